/* System calls of the three timers that every process has: alarm, setitimer, getitimer. */
#include <ashlar/clock.h>
#include <ashlar/string.h>

#include "calls.h"
#include "time.h"
#include "timers.h"
#include "tree.h"

#define MICROSECONDS 1000000ULL /* of a second */

static bool is_sound(const struct user_time *time)
{
    return time->seconds >= 0 && (uint64_t)time->part < MICROSECONDS;
}

static uint64_t to_nanoseconds(const struct user_time *time)
{
    const struct user_time fine = {time->seconds, time->part * (int64_t)MICROSECOND};
    return time_to_nanoseconds(&fine);
}

/* A timer that runs never says that nothing is left. */
static void get(uint32_t which, struct user_timer *value)
{
    tree_lock();
    const struct program_timer *timer = &process_current()->timers.interval[which];
    uint64_t left = timer_left(timer);
    uint64_t interval = timer->interval;
    tree_unlock();
    value->left = time_in_microseconds(left != 0 ? max_u64(left, MICROSECOND) : 0);
    value->interval = time_in_microseconds(interval);
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
    struct user_timer value;
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
    struct user_timer value = {{0, 0}, {0, 0}};
    struct user_timer before;
    uint32_t which = (uint32_t)argument_1(frame);
    user_addr_t new = user_addr(argument_2(frame));
    user_addr_t old = user_addr(argument_3(frame));
    if (new.raw != 0 && !copy_from_user(&value, new, sizeof value)) {
        return -EFAULT;
    }
    if (which >= INTERVAL_TIMERS || !is_sound(&value.left) || !is_sound(&value.interval)) {
        return -EINVAL;
    }
    get(which, &before);
    int error = set(which, to_nanoseconds(&value.left), to_nanoseconds(&value.interval));
    if (error) {
        return error;
    }
    return old.raw == 0 || copy_to_user(old, &before, sizeof before) ? 0 : -EFAULT;
}

/* What was left is told in seconds, rounded, but never as nothing. */
int64_t call_alarm(const struct trap_frame *frame)
{
    struct user_timer before;
    uint64_t seconds = min_u64((uint32_t)argument_1(frame), INT32_MAX);
    get(INTERVAL_REAL, &before);
    int error = set(INTERVAL_REAL, seconds * NANOSECONDS_PER_SECOND, 0);
    bool up =
        (uint64_t)before.left.part >= MICROSECONDS / 2 || (before.left.seconds == 0 && before.left.part != 0);
    return error ? error : before.left.seconds + up;
}
