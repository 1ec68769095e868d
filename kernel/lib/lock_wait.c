/* Waiting by the clock, and how long is too long (<ashlar/lock.h>). */
#include <ashlar/lock.h>

#define FASTEST_HERTZ UINT64_C(10000000000) /* of a time-stamp counter whose rate is not known yet */
#define READINGS_MIN  500                   /* before a wait has been too long */

static _Atomic(uint64_t) patience = LOCK_PATIENCE_SECONDS * FASTEST_HERTZ; /* in ticks */

void lock_set_patience(uint64_t ticks)
{
    atomic_store_explicit(&patience, ticks, memory_order_relaxed);
}

struct lock_wait lock_wait_begin(unsigned patiences)
{
    uint64_t ticks = patiences * atomic_load_explicit(&patience, memory_order_relaxed);
    return (struct lock_wait){cpu_ticks(), ticks, ticks / READINGS_MIN + 1};
}

bool lock_wait_goes_on(struct lock_wait *wait)
{
    uint64_t now = cpu_ticks();
    wait->left -= min_u64(wait->left, min_u64(now - wait->reading, wait->most));
    wait->reading = now;
    return wait->left != 0;
}
