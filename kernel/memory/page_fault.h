/* Page faults that an address space may resolve. */
#pragma once

#include <ashlar/types.h>

struct trap_frame;

/*
 * Asks the space that `address` belongs to; returns whether the instruction may be repeated. False without
 * asking for an access that was made with preemption or interrupts off or in an interrupt handler, and for
 * one that SMAP or SMEP forbids. Called with interrupts off, and returns so; in between they are on if the
 * interrupted code had them on.
 */
bool kernel_page_fault(const struct trap_frame *frame, virt_addr_t address);
