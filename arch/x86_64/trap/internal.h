/* Shared by the sources of traps in this folder. */
#pragma once

#include <x86/trap_frame.h>

#define TRAP_STUB_BYTES 16

/* entry.S: the stub of vector n is TRAP_STUB_BYTES * n bytes in. */
extern const uint8_t trap_stubs[];

/* Return addresses of the calls of trap_dispatch: a backtrace finds the frame there. */
extern const uint8_t trap_return[];
extern const uint8_t trap_debug_return[];
extern const uint8_t trap_nmi_return[];
extern const uint8_t trap_double_fault_return[];
extern const uint8_t trap_machine_check_return[];
extern const uint8_t trap_page_fault_return[];

/* Called by entry.S with interrupts off, and returns so. */
void trap_dispatch(struct trap_frame *frame);

/* If the faulting instruction has an entry in the fixup table, continues there instead and returns true. */
bool trap_fix_up(struct trap_frame *frame);
