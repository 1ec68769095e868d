/* The platform of explored code: a CPU is a coroutine of tests/host/explore/explore.c. See
 * <ashlar/platform.h>. */
#pragma once

#include <ashlar/lock_types.h>
#include <ashlar/types.h>

unsigned explore_cpu(void);
bool explore_interrupts(bool on);
bool explore_interrupts_are_on(void);
void explore_spin(void);

static inline unsigned cpu_number(void)
{
    return explore_cpu();
}

static inline void *cpu_part(void *first)
{
    return (char *)first + (size_t)explore_cpu() * CPU_PART_BYTES;
}

static inline void *cpu_page(void *first)
{
    return (char *)first + (size_t)explore_cpu() * FRAME_BYTES;
}

static inline void preempt_disable(void)
{
}

static inline void preempt_enable(void)
{
}

static inline bool interrupts_enabled(void)
{
    return explore_interrupts_are_on();
}

static inline bool interrupts_disable(void)
{
    return explore_interrupts(false);
}

static inline void interrupts_restore(bool were_enabled)
{
    explore_interrupts(were_enabled);
}

static inline bool cpu_in_interrupt(void)
{
    return false;
}

static inline bool cpu_in_nmi(void)
{
    return false;
}

static inline bool cpu_may_wait(void)
{
    return true;
}

static inline void cpu_relax(void)
{
    explore_spin();
}

static inline void cpu_interleave(void)
{
}

static inline uint64_t cpu_ticks(void)
{
    return 0;
}

static inline uint64_t cpu_common_ticks(void)
{
    return 0;
}
