/* Page faults that an address space may resolve. */
#pragma once

#include <ashlar/types.h>

struct trap_frame;

/*
 * Asks the space that `address` belongs to; whether the instruction may be repeated. Not for an access made
 * with preemption or interrupts off or in an interrupt handler, nor for one that user memory is protected
 * from (SMAP, SMEP). Called with interrupts off, and returns so; in between they are let in where the
 * interrupted code let them.
 */
bool kernel_page_fault(const struct trap_frame *frame, virt_addr_t address);
