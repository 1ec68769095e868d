/* The machine's side of <ashlar/platform.h>: the CPU's own data is one %gs-relative instruction away. */
#pragma once

#include <ashlar/types.h>
#include <x86/per_cpu.h>

static inline unsigned cpu_number(void)
{
    unsigned number;
    __asm__ volatile("movl %%gs:%c1, %0" : "=r"(number) : "i"(offsetof(struct per_cpu, number)));
    return number;
}

/* The clobbers keep what the compiler moves inside the section: the counter orders nothing for the CPU. */
static inline void preempt_disable(void)
{
    __asm__ volatile("incl %%gs:%c0" : : "i"(offsetof(struct per_cpu, preempt_depth)) : "memory", "cc");
}

static inline void preempt_enable(void)
{
    __asm__ volatile("decl %%gs:%c0" : : "i"(offsetof(struct per_cpu, preempt_depth)) : "memory", "cc");
}

static inline void cpu_relax(void)
{
    __builtin_ia32_pause();
}

static inline uint64_t cpu_ticks(void)
{
    return __builtin_ia32_rdtsc();
}
