/* The interrupt flag of this CPU (SDM volume 3, section 6.8.1). */
#pragma once

#include <ashlar/types.h>

#define RFLAGS_INTERRUPT ((uint64_t)1 << 9)
#define RFLAGS_ACCESS    ((uint64_t)1 << 18) /* AC: the kernel said that it touches user memory */

static inline uint64_t rflags_read(void)
{
    uint64_t flags;
    __asm__ volatile("pushfq; popq %0" : "=r"(flags) : : "memory");
    return flags;
}

static inline bool interrupts_enabled(void)
{
    return (rflags_read() & RFLAGS_INTERRUPT) != 0;
}

static inline void interrupts_enable(void)
{
    __asm__ volatile("sti" : : : "memory");
}

/* Turns interrupts off and returns whether they were on, for interrupts_restore(). Nests. */
static inline bool interrupts_disable(void)
{
    bool were_enabled = interrupts_enabled();
    __asm__ volatile("cli" : : : "memory");
    return were_enabled;
}

static inline void interrupts_restore(bool were_enabled)
{
    if (were_enabled) {
        interrupts_enable();
    }
}
