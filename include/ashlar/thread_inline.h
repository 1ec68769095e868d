/* The inline half of <ashlar/thread.h>. */
#pragma once

#include <ashlar/platform.h>

static inline struct thread *thread_current(void)
{
    return thread_self();
}
