/*
 * nanosleep, clock_nanosleep: waiting for a time, or until a moment by one of the clocks. A signal without a
 * handler lets it go on to the moment that it had (restart.c).
 */
#include <ashlar/wait.h>

#include "calls.h"
#include "time.h"

#define TIMER_ABSOLUTE 1U
#define STEP_LEAST     1000000ULL /* nanoseconds between two looks at the time of a process */

/* Until clock_nanoseconds() is `deadline`. */
static enum wait_result rest_until(uint64_t deadline)
{
    const struct wait_how how = {
        .deadline = deadline >= INT64_MAX ? WAIT_FOREVER : deadline, .killable = true, .from_outside = true};
    struct wait_queue nobody = WAIT_QUEUE_INITIALIZER; /* wakes it */
    struct waiter waiter;
    wait_enter(&nobody, &waiter, "time");
    return wait_rest(&waiter, &how);
}

/* remaining: where to write what is left when it is interrupted; or 0. */
static int64_t sleep_for(uint64_t nanoseconds, uint64_t remaining)
{
    uint64_t deadline = restart_deadline(nanoseconds);
    if (rest_until(deadline) != WAIT_KILLED) {
        return 0;
    }
    uint64_t now = clock_nanoseconds();
    if (remaining != 0 && time_put(user_addr(remaining), deadline > now ? deadline - now : 0) != 0) {
        return -EFAULT;
    }
    return -EINTR;
}

static int64_t sleep_until(uint64_t deadline)
{
    return rest_until(deadline) == WAIT_KILLED ? -EINTR : 0;
}

/* Whoever sets the clock wakes all, to look what is left now. */
static int64_t sleep_until_real(uint64_t moment)
{
    for (;;) {
        uint32_t changes = clock_epoch_changes();
        uint64_t deadline = clock_from_real(moment);
        const struct wait_how how = {.deadline = moment >= INT64_MAX ? WAIT_FOREVER : deadline,
                                     .killable = true,
                                     .from_outside = true};
        switch (WAIT_UNTIL(clock_real_queue(), clock_epoch_changes() != changes, "a time of day", how)) {
        case WAIT_KILLED:
            return -EINTR;
        case WAIT_TIMED_OUT:
            return 0;
        case WAIT_WOKEN:
            break;
        }
    }
}

/* The clock of a process goes on at most as fast as there are threads of it that run, so it is looked at
 * again when each of its threads may have run for what is left. */
static int64_t sleep_by_cpu_clock(uint32_t clock, uint64_t time, bool absolute, uint64_t remaining)
{
    uint64_t now;
    int64_t error = clock_read(clock, &now);
    uint64_t end = absolute || error ? time : restart_moment(now, time);
    while (!error && now < end) {
        uint64_t share = min_u64(end - now, INT64_MAX / 2) / max_u64(process_current()->task_count, 1);
        uint64_t step = max_u64(share, STEP_LEAST);
        error = sleep_until(clock_nanoseconds() + step);
        if (error && remaining != 0 && !absolute && clock_read(clock, &now) == 0 &&
            time_put(user_addr(remaining), end > now ? end - now : 0) != 0) {
            return -EFAULT;
        }
        error = error ? error : clock_read(clock, &now);
    }
    return error;
}

/* 0, or why nobody can sleep by the clock. */
static int64_t check_clock(uint32_t clock)
{
    uint64_t now;
    int64_t error = clock_read(clock, &now);
    bool unfit = clock == CLOCK_THREAD || clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REAL_COARSE ||
                 clock == CLOCK_MONOTONIC_COARSE;
    uint32_t number = ~clock >> 3;
    bool own = (int32_t)clock < 0 && clock & 4 && (number == 0 || number == task_current()->number);
    return error ? error : unfit ? -EOPNOTSUPP : own ? -EINVAL : 0; /* nobody wakes itself by its own time */
}

int64_t call_nanosleep(const struct trap_frame *frame)
{
    uint64_t time;
    int64_t error = time_get(&time, user_addr(argument_1(frame)));
    return error ? error : sleep_for(time, argument_2(frame));
}

int64_t call_clock_nanosleep(const struct trap_frame *frame)
{
    uint32_t clock = (uint32_t)argument_1(frame);
    bool absolute = argument_2(frame) & TIMER_ABSOLUTE;
    uint64_t time;
    int64_t error = check_clock(clock);
    error = error ? error : time_get(&time, user_addr(argument_3(frame)));
    if (error) {
        return error;
    }
    if (!clock_is_real(clock) && !clock_is_monotonic(clock)) {
        return sleep_by_cpu_clock(clock, time, absolute, argument_4(frame));
    }
    if (!absolute) {
        return sleep_for(time, argument_4(frame));
    }
    return clock_is_real(clock) ? sleep_until_real(time) : sleep_until(time);
}
