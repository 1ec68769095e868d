/* System calls of the three timers that every process has: alarm, setitimer, getitimer. */
#include <ashlar/clock.h>
#include <ashlar/string.h>

#include "calls.h"
#include "timers.h"
#include "tree.h"

#define MICROSECOND  1000ULL
#define MICROSECONDS 1000000ULL /* of a second */

/* struct itimerval */
struct interval_value {
    uint64_t interval[2];
    uint64_t left[2];
};

static bool is_time(const uint64_t time[2])
{
    return (int64_t)time[0] >= 0 && time[1] < MICROSECONDS;
}

/* Longer than the clock counts is as long as it does. */
static uint64_t to_nanoseconds(const uint64_t time[2])
{
    uint64_t seconds = min_u64(time[0], INT64_MAX / NANOSECONDS_PER_SECOND - 1);
    return seconds * NANOSECONDS_PER_SECOND + time[1] * MICROSECOND;
}

static void from_nanoseconds(uint64_t time[2], uint64_t nanoseconds)
{
    time[0] = nanoseconds / NANOSECONDS_PER_SECOND;
    time[1] = nanoseconds % NANOSECONDS_PER_SECOND / MICROSECOND;
}

/* A timer that runs never says that nothing is left. */
static void get(uint32_t which, struct interval_value *value)
{
    tree_lock();
    const struct program_timer *timer = &process_current()->timers.interval[which];
    uint64_t left = timer_left(timer);
    uint64_t interval = timer->interval;
    tree_unlock();
    from_nanoseconds(value->left, left != 0 ? max_u64(left, MICROSECOND) : 0);
    from_nanoseconds(value->interval, interval);
}

static int set(uint32_t which, uint64_t left, uint64_t interval)
{
    int error = left ? timers_prepare() : 0;
    if (error == 0) {
        tree_lock();
        struct program_timer *timer = &process_current()->timers.interval[which];
        timer_set(timer, left ? timer_time(timer) + left : 0, interval);
        tree_unlock();
    }
    return error;
}

int64_t call_getitimer(const struct trap_frame *frame)
{
    struct interval_value value;
    uint32_t which = (uint32_t)argument_1(frame);
    if (which >= INTERVAL_TIMERS) {
        return -EINVAL;
    }
    get(which, &value);
    return copy_to_user(user_addr(argument_2(frame)), &value, sizeof value) ? 0 : -EFAULT;
}

/* Without a value it is set to zeros, as it has always been. */
int64_t call_setitimer(const struct trap_frame *frame)
{
    struct interval_value value = {{0, 0}, {0, 0}};
    struct interval_value before;
    uint32_t which = (uint32_t)argument_1(frame);
    user_addr_t new = user_addr(argument_2(frame));
    user_addr_t old = user_addr(argument_3(frame));
    if (new.raw != 0 && !copy_from_user(&value, new, sizeof value)) {
        return -EFAULT;
    }
    if (which >= INTERVAL_TIMERS || !is_time(value.left) || !is_time(value.interval)) {
        return -EINVAL;
    }
    get(which, &before);
    int error = set(which, to_nanoseconds(value.left), to_nanoseconds(value.interval));
    if (error) {
        return error;
    }
    return old.raw == 0 || copy_to_user(old, &before, sizeof before) ? 0 : -EFAULT;
}

/* What was left is told in seconds, rounded, but never as nothing. */
int64_t call_alarm(const struct trap_frame *frame)
{
    struct interval_value before;
    uint64_t seconds = min_u64((uint32_t)argument_1(frame), INT32_MAX);
    get(INTERVAL_REAL, &before);
    int error = set(INTERVAL_REAL, seconds * NANOSECONDS_PER_SECOND, 0);
    bool up = before.left[1] >= MICROSECONDS / 2 || (before.left[0] == 0 && before.left[1] != 0);
    return error ? error : (int64_t)(before.left[0] + up);
}
