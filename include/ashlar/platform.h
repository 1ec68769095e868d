/*
 * What portable code (mm/, kernel/lib/) asks of the place it runs in. arch/x86_64 provides it for the
 * machine, tests/host for a host process where a thread stands for a CPU. Everything here is inline in
 * <platform/inline.h>, found on the include path, because the allocators' fast paths are a dozen
 * instructions.
 *
 *   unsigned cpu_number(void)        this CPU, 0 .. CPUS_MAX - 1; stable only while preemption is off
 *   void preempt_disable(void)       nothing else runs on this CPU until the matching enable; nests
 *   void preempt_enable(void)
 *   void cpu_relax(void)             hint inside a spin loop
 *   uint64_t cpu_ticks(void)         time-stamp counter
 *   bool interrupts_enabled(void)    whether device interrupts reach this CPU
 *   bool interrupts_disable(void)    keeps them out; returns whether they were let in before. Nests
 *   void interrupts_restore(bool)    undoes one interrupts_disable(), whose result it gets
 *
 * Interrupt handlers never allocate and never take a lock that is held with interrupts on; so no fast path
 * disables interrupts.
 */
#pragma once

#include <ashlar/types.h>

#define CPUS_MAX 64

/*
 * Stops everything with one message: a broken invariant, never bad input. Does not return.
 * format: as in printf.
 */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

#include <platform/inline.h>
