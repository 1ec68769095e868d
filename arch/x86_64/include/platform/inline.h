/* The machine's side of <ashlar/platform.h>: the CPU's own data is one %gs-relative instruction away. */
#pragma once

#include <ashlar/interleave.h>
#include <ashlar/types.h>
#include <x86/interrupt_flag.h>
#include <x86/per_cpu.h>
#include <x86/trap_frame.h>

static inline unsigned cpu_number(void)
{
    uint64_t number; /* 64 bits wide, as the load leaves them zero: an index then needs no extension */
    __asm__ volatile("movl %%gs:%c1, %k0" : "=r"(number) : "i"(offsetof(struct per_cpu, number)));
    __builtin_assume(number <= UINT32_MAX);
    return (unsigned)number;
}

/* One instruction: it is in every fast path. */
static inline void *cpu_part(void *first)
{
    uintptr_t part = (uintptr_t)first;
    __asm__ volatile("addq %%gs:%c1, %0" : "+r"(part) : "i"(offsetof(struct per_cpu, part_offset)) : "cc");
    return (void *)part;
}

static inline void *cpu_page(void *first)
{
    uintptr_t page = (uintptr_t)first;
    __asm__ volatile("addq %%gs:%c1, %0" : "+r"(page) : "i"(offsetof(struct per_cpu, page_offset)) : "cc");
    return (void *)page;
}

/* The clobbers keep the compiler from moving memory accesses out of the section between the two. The CPU
 * needs no ordering, since nobody else reads the counter. */
static inline void preempt_disable(void)
{
    __asm__ volatile("incl %%gs:%c0" : : "i"(offsetof(struct per_cpu, preempt_depth)) : "memory", "cc");
}

static inline void preempt_enable(void)
{
    __asm__ volatile("decl %%gs:%c0" : : "i"(offsetof(struct per_cpu, preempt_depth)) : "memory", "cc");
}

static inline bool cpu_in_interrupt(void)
{
    return per_cpu()->interrupt_depth != 0;
}

static inline bool cpu_in_nmi(void)
{
    const struct trap_frame *frame = per_cpu()->frame;
    return frame && (frame->vector == EXCEPTION_NMI || frame->vector == EXCEPTION_MACHINE_CHECK);
}

static inline bool cpu_may_wait(void)
{
    const struct per_cpu *cpu = per_cpu();
    return cpu->preempt_depth == 0 && (interrupts_enabled() || !cpu->interrupts_begun);
}

#ifdef LOCKS_ARE_NOTED
static inline struct locks_held *cpu_locks_held(void)
{
    return &per_cpu()->locks_held;
}
#endif

#ifdef ASHLAR_LOCK_STATISTICS
static inline struct lock_counts *cpu_lock_counts(void)
{
    return per_cpu()->lock_counts;
}
#endif

static inline void cpu_relax(void)
{
    __builtin_ia32_pause();
}

static inline void cpu_interleave(void)
{
#ifdef ASHLAR_DEBUG
    interleave_point();
#endif
}

static inline uint64_t cpu_ticks(void)
{
    return __builtin_ia32_rdtsc();
}

static inline uint64_t cpu_common_ticks(void)
{
    uint64_t ticks = __builtin_ia32_rdtsc();
    __asm__ volatile("subq %%gs:%c1, %0" : "+r"(ticks) : "i"(offsetof(struct per_cpu, ticks_ahead)) : "cc");
    return ticks;
}
