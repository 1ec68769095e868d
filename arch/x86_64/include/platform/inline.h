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
    bool wished; /* which is in the flags, and goes nowhere else */
    __asm__ volatile("decl %%gs:%c1"
                     : "=@ccz"(wished)
                     : "i"(offsetof(struct per_cpu, preempt_depth))
                     : "memory");
    if (__builtin_expect(wished, false)) {
        preempt_reschedule();
    }
}

/* Each is one instruction, as the thread may go on on another CPU before the next. */
static inline void *thread_self(void)
{
    void *self;
    __asm__ volatile("movq %%gs:%c1, %0" : "=r"(self) : "i"(offsetof(struct per_cpu, thread)));
    return self;
}

static inline bool cpu_in_interrupt(void)
{
    uint32_t depth;
    __asm__ volatile("movl %%gs:%c1, %0" : "=r"(depth) : "i"(offsetof(struct per_cpu, interrupt_depth)));
    return depth != 0;
}

/* The thread goes nowhere from a trap that counts here, so its frame stays this CPU's. */
static inline bool cpu_in_nmi(void)
{
    const struct trap_frame *frame;
    __asm__ volatile("movq %%gs:%c1, %0" : "=r"(frame) : "i"(offsetof(struct per_cpu, frame)));
    return frame && (frame->vector == EXCEPTION_NMI || frame->vector == EXCEPTION_MACHINE_CHECK);
}

static inline bool cpu_may_wait(void)
{
    return preempt_is_on() && (interrupts_enabled() || !per_cpu()->interrupts_begun);
}

/* The mutexes that this thread holds or waits for are so many more, or less. */
static inline void thread_mutexes_add(int count)
{
    struct thread_locks *self = (struct thread_locks *)thread_self();
    self->mutexes += (uint32_t)count;
}

#ifdef LOCKS_ARE_NOTED
static inline struct locks_held *cpu_locks_held(void)
{
    return &per_cpu()->locks_held;
}

static inline struct locks_held *thread_locks_held(void)
{
    struct thread_locks *self = (struct thread_locks *)thread_self();
    return &self->held;
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
