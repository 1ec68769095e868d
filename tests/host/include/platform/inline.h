/* The platform for host tests: a thread stands for a CPU. See <ashlar/platform.h>. */
#pragma once

#include <ashlar/lock_types.h>
#include <ashlar/types.h>
#include <sched.h>

/* The CPU this thread stands for; a test that starts threads numbers them. */
extern _Thread_local unsigned host_cpu;
extern _Thread_local unsigned host_preempt_depth;
/* What stands for the CPU's interrupt flag. No thread is interrupted: it is kept to be checked, no more. */
extern _Thread_local bool host_interrupts_off;
/* Whether this thread plays an interrupt handler. */
extern _Thread_local bool host_in_interrupt;
/* Whether it plays that of an NMI. */
extern _Thread_local bool host_in_nmi;
#ifdef ASHLAR_DEBUG
#define HOST_CPUS 512 /* more than any test plays */

extern struct locks_held host_locks_held[HOST_CPUS];   /* by CPU */
extern struct locks_held host_mutexes_held[HOST_CPUS]; /* by thread, each of which stands for a CPU */
#ifdef ASHLAR_LOCK_STATISTICS
extern struct lock_counts host_lock_counts[HOST_CPUS][LOCK_RANKS];
#endif
#endif
/* Or NULL: what other CPUs do whenever this one has let go of its last lock. Checked builds only. */
extern _Thread_local void (*host_meanwhile)(void);

static inline unsigned cpu_number(void)
{
    return host_cpu;
}

static inline void *cpu_part(void *first)
{
    return (char *)first + (size_t)host_cpu * CPU_PART_BYTES;
}

static inline void *cpu_page(void *first)
{
    return (char *)first + (size_t)host_cpu * FRAME_BYTES;
}

/* Nothing preempts a thread on its CPU, since both are the same: the depth is kept to be checked, no more. */
static inline void preempt_disable(void)
{
#ifdef ASHLAR_DEBUG
    host_preempt_depth++;
#endif
}

static inline void preempt_enable(void)
{
#ifdef ASHLAR_DEBUG
    if (--host_preempt_depth == 0 && host_meanwhile) {
        host_meanwhile();
    }
#endif
}

/* A test that plays several CPUs plays their threads, too. */
static inline void *thread_self(void)
{
    return (void *)(uintptr_t)((host_cpu + 1) * 8);
}

static inline void thread_mutexes_add(int count)
{
    (void)count;
}

static inline bool interrupts_enabled(void)
{
    return !host_interrupts_off;
}

static inline bool interrupts_disable(void)
{
    bool were_enabled = !host_interrupts_off;
    host_interrupts_off = true;
    return were_enabled;
}

static inline void interrupts_restore(bool were_enabled)
{
    host_interrupts_off = !were_enabled;
}

static inline bool cpu_in_interrupt(void)
{
    return host_in_interrupt;
}

static inline bool cpu_in_nmi(void)
{
    return host_in_nmi;
}

static inline bool cpu_may_wait(void)
{
    return host_preempt_depth == 0 && interrupts_enabled();
}

#ifdef LOCKS_ARE_NOTED
static inline struct locks_held *cpu_locks_held(void)
{
    return &host_locks_held[host_cpu];
}

static inline struct locks_held *thread_locks_held(void)
{
    return &host_mutexes_held[host_cpu];
}
#endif

#ifdef ASHLAR_LOCK_STATISTICS
static inline struct lock_counts *cpu_lock_counts(void)
{
    return host_lock_counts[host_cpu];
}
#endif

static inline void cpu_relax(void)
{
    static _Thread_local unsigned turns;
    __builtin_ia32_pause();
    if (++turns % 64 == 0) { /* more threads than processors: let the one that holds the lock run */
        sched_yield();
    }
}

static inline void cpu_interleave(void)
{
}

/* How far the clock of all CPUs is ahead: a test adds to it what passes while none of them runs. */
extern _Atomic(uint64_t) host_ticks_ahead;

/* How far the counter of this CPU is ahead of CPU 0's: 0 unless a test says otherwise. */
extern _Thread_local uint64_t host_counter_ahead;

static inline uint64_t cpu_ticks(void)
{
    return __builtin_ia32_rdtsc() + host_ticks_ahead + host_counter_ahead;
}

static inline uint64_t cpu_common_ticks(void)
{
    return cpu_ticks() - host_counter_ahead;
}
