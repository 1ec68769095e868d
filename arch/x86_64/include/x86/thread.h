/* What of threads depends on the CPU: see arch/x86_64/thread/. */
#pragma once

#include <ashlar/thread_types.h>

/*
 * Makes the stack of a thread that has not run yet, so that the first switch to it calls `begin`, which does
 * not return, with interrupts off.
 */
void thread_prepare(struct thread *thread, void (*begin)(void));

/*
 * Leaves `from`, which runs here, and goes on in `to`; returns when somebody switches back, maybe on another
 * CPU. Interrupts are off. What belongs to the thread and not to the CPU changes with it: registers, flags,
 * trap frames, the stack for traps from user mode.
 */
void thread_switch(struct thread *from, struct thread *to);

/* The words that thread_switch() leaves at the stack pointer of a thread that does not run, lowest first. */
struct thread_saved {
    uint64_t r15, r14, r13, r12, rbx, rbp;
    uint64_t rflags;
    uint64_t rip; /* where it goes on */
};
