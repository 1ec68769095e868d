/*
 * What portable code (mm/, kernel/lib/) asks of the place it runs in. arch/x86_64 provides it for the
 * machine, tests/host for a host process where a thread stands for a CPU. Everything here is inline in
 * <platform/inline.h>, found on the include path, because the allocators' fast paths are a dozen
 * instructions.
 *
 *   unsigned cpu_number(void)        this CPU, from 0 on; stable only while preemption is off
 *   void *cpu_part(void *first)      this CPU's part of an array that has one of CPU_PART_BYTES for each CPU;
 *                                    `first` is that of CPU 0. Stable only while preemption is off
 *   void *cpu_page(void *first)      the same for an array that has one page of FRAME_BYTES for each CPU
 *   void preempt_disable(void)       nothing else runs on this CPU until the matching enable; nests
 *   void preempt_enable(void)        where the last one is undone, another thread may run here at once
 *   void *thread_self(void)          the thread that runs this code: an address that no other has
 *   void cpu_relax(void)             hint inside a spin loop
 *   void cpu_interleave(void)        a point where other CPUs may go ahead, in the kernel's builds with all
 *                                    assertions (<ashlar/interleave.h>); nothing elsewhere
 *   uint64_t cpu_ticks(void)         time-stamp counter of this CPU
 *   uint64_t cpu_common_ticks(void)  the same, less what it is known to be ahead of CPU 0's: what different
 *                                    CPUs read can be compared. Only while preemption is off
 *   bool cpu_in_interrupt(void)      whether this CPU is inside a device interrupt's handler
 *   bool cpu_in_nmi(void)            whether the innermost trap of this CPU is an NMI or a machine check
 *   bool cpu_may_wait(void)          whether preemption and interrupts are on, so that others can go on while
 *                                    this CPU waits. Interrupts count as on until start-up lets them in
 *   struct locks_held *cpu_locks_held(void)      where locks are noted, for <ashlar/lock_check.h>: the
 *                                                spinlocks of this CPU
 *   struct locks_held *thread_locks_held(void)   the mutexes of this thread
 *   struct lock_counts *cpu_lock_counts(void)    in builds with lock statistics: of this CPU, by rank
 *   bool interrupts_enabled(void)    whether device interrupts reach this CPU
 *   bool interrupts_disable(void)    keeps them out; returns whether they were let in before. Nests
 *   void interrupts_restore(bool)    undoes one interrupts_disable(), whose result it gets
 *
 * Interrupt handlers never allocate and never wait for a lock that is held with interrupts on; so no fast
 * path needs to disable interrupts.
 */
#pragma once

#include <ashlar/types.h>

#define CPU_PART_BYTES KIB(16) /* see cpu_part() */

/*
 * Ends the kernel with a message and a report. For a broken invariant, never for bad input. From any context.
 * format: as in printf.
 */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Writes to `text` where the call is that returns to `address`: "name+0x10 (file:line)", or the bare number
 * when that is not known. Returns `text`. From any context.
 */
#define CODE_PLACE_BYTES 160
const char *code_place(uintptr_t address, char text[CODE_PLACE_BYTES]);

/* The rest of preempt_enable() where another thread is wished for. Saves all registers itself, so that its
 * callers, which hardly ever call it, need not save any. */
__attribute__((preserve_most)) void preempt_reschedule(void);

#include <platform/inline.h>
