/* Times as programs give and get them, and what kinds of clocks there are; see time.h. */
#include "time.h"

#include <ashlar/wait.h>

bool time_is_sound(const struct user_time *time)
{
    return time->seconds >= 0 && (uint64_t)time->part < NANOSECONDS_PER_SECOND;
}

uint64_t time_to_nanoseconds(const struct user_time *time)
{
    uint64_t seconds = (uint64_t)time->seconds;
    return seconds >= INT64_MAX / NANOSECONDS_PER_SECOND
               ? INT64_MAX
               : seconds * NANOSECONDS_PER_SECOND + (uint64_t)time->part;
}

struct user_time time_from_nanoseconds(uint64_t nanoseconds)
{
    return (struct user_time){.seconds = (int64_t)(nanoseconds / NANOSECONDS_PER_SECOND),
                              .part = (int64_t)(nanoseconds % NANOSECONDS_PER_SECOND)};
}

struct user_time time_in_microseconds(uint64_t nanoseconds)
{
    struct user_time time = time_from_nanoseconds(nanoseconds);
    time.part /= (int64_t)MICROSECOND;
    return time;
}

int64_t time_get(uint64_t *nanoseconds, user_addr_t from)
{
    struct user_time time;
    if (!copy_from_user(&time, from, sizeof time)) {
        return -EFAULT;
    }
    if (!time_is_sound(&time)) {
        return -EINVAL;
    }
    *nanoseconds = time_to_nanoseconds(&time);
    return 0;
}

int64_t time_put(user_addr_t to, uint64_t nanoseconds)
{
    struct user_time time = time_from_nanoseconds(nanoseconds);
    return copy_to_user(to, &time, sizeof time) ? 0 : -EFAULT;
}

bool clock_is_real(uint32_t clock)
{
    return clock == CLOCK_REAL || clock == CLOCK_REAL_COARSE || clock == CLOCK_ATOMIC;
}

bool clock_is_monotonic(uint32_t clock)
{
    return clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_MONOTONIC_COARSE ||
           clock == CLOCK_BOOT_TIME;
}

uint64_t clock_from_real(uint64_t nanoseconds)
{
    uint64_t start = clock_epoch_nanoseconds() - clock_nanoseconds();
    return nanoseconds > start ? nanoseconds - start : 0;
}

struct wait_queue *clock_real_queue(void)
{
    static struct wait_queue queue = WAIT_QUEUE_INITIALIZER;
    return &queue;
}
