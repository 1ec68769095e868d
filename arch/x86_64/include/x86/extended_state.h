/*
 * Floating-point and vector registers (SDM volume 1, chapter 13). The kernel uses none of them, so what is in
 * them belongs to the thread that runs, if it has been in user mode, or is of no meaning. They are saved when
 * such a thread is left and loaded when one is gone on with, every time: a register that is left until it is
 * touched can be read by speculation (SDM volume 3, 13.4; "lazy FP state restore").
 */
#pragma once

#include <ashlar/types.h>

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
