/*
 * Floating-point and vector registers (SDM volume 1, chapter 13). The kernel uses none of them, so what is in
 * them belongs to the thread that runs, if it has been in user mode, or is of no meaning. They are saved when
 * such a thread is left and loaded when one is gone on with, every time: a register that is left until it is
 * touched can be read by speculation (SDM volume 3, 13.4; "lazy FP state restore").
 */
#pragma once

#include <ashlar/types.h>
#include <ashlar/user_copy.h>

#define EXTENDED_STATE_ALIGN 64

/* Lets user mode use the registers, on this CPU. After cpu_control_set(). */
void extended_state_enable(void);

/* How much room a thread's registers take. The same on all CPUs. */
size_t extended_state_bytes(void);

/* Fills the room, which is aligned to EXTENDED_STATE_ALIGN, with what a program finds when it starts. */
void extended_state_init(void *room);

/* Saves this CPU's registers in the room, or loads them from there. Preemption is off. */
void extended_state_save(void *room);
void extended_state_load(const void *room);

/* The components that XSAVE stores, as bits of XCR0; 0: there is FXSAVE alone. */
uint64_t extended_state_components(void);

/* Gives this CPU's registers the values that a program begins with. */
void extended_state_reset(void);

/*
 * Stores this CPU's registers, which are the calling thread's, in its program's memory, as the instruction
 * XSAVE or FXSAVE does; and loads those of `components` from there (0: by FXRSTOR), the others staying as
 * they are. False: the memory cannot be reached, or what it holds is refused by the CPU (SDM volume 1, 13.8);
 * then they are in no state to rely on. Where waiting is allowed.
 */
bool extended_state_save_to_user(user_addr_t to);
bool extended_state_load_from_user(user_addr_t from, uint64_t components);

/* Exceptions that are flagged and not masked: of SSE (MXCSR), or of x87 (SDM volume 1, 8.1.3, 10.2.3). */
uint32_t extended_state_exceptions(bool of_sse);

/* Both, for a switch between threads; either may be NULL. */
static inline void extended_state_switch(void *from, const void *to)
{
    if (__builtin_expect(from != NULL, false)) {
        extended_state_save(from);
    }
    if (__builtin_expect(to != NULL, false)) {
        extended_state_load(to);
    }
}
