/* The inline half of <ashlar/thread.h>. */
#pragma once

#include <ashlar/platform.h>

static inline struct thread *thread_current(void)
{
    return (struct thread *)thread_self();
}

static inline bool thread_killed(void)
{
    return atomic_load(&thread_current()->killed);
}

static inline bool thread_interrupted(void)
{
    return atomic_load_explicit(&thread_current()->user_work, memory_order_relaxed) != 0;
}
