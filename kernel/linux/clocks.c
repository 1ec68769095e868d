/*
 * System calls of clocks: the time of day, clocks that count from the start of the machine, and those of
 * processes and threads, which count what these have run for. The number of one of the last kind holds the
 * number of the process or the thread (include/linux/posix-timers.h).
 */
#include <ashlar/wait.h>

#include "calls.h"
#include "time.h"
#include "timer_file.h"
#include "tree.h"
#include "usage.h"

#define ZONE_MINUTES_MOST (15 * 60)

/* The lowest bits of such a number; the others are those of the process, inverted. */
enum cpu_clock {
    CPU_CLOCK_ALL = 0,  /* user and system time */
    CPU_CLOCK_USER = 1, /* user time */
    CPU_CLOCK_RAN = 2,  /* as the first, and finer on Linux */
    CPU_CLOCK_KIND = 3, /* the bits of the three above */
    CPU_CLOCK_THREAD = 4,
};

/* struct timeval */
static int64_t put_microseconds(user_addr_t to, uint64_t nanoseconds)
{
    struct user_time time = time_in_microseconds(nanoseconds);
    return copy_to_user(to, &time, sizeof time) ? 0 : -EFAULT;
}

/* ---- Clocks ---- */

/* (T) The time of the process or the thread that a clock's number names; 0 for the calling one. */
static int64_t read_cpu_clock(uint32_t clock, struct thread_times *times)
{
    uint32_t number = ~clock >> 3;
    if (clock & CPU_CLOCK_THREAD) {
        const struct task *task = number == 0 ? task_current() : task_find(number);
        if (!task || task->process != process_current()) {
            return -EINVAL;
        }
        *times = thread_times(task->thread);
        return 0;
    }
    const struct process *process = number == 0 ? process_current() : process_find(number);
    if (!process) {
        return -EINVAL;
    }
    *times = process_times(process);
    return 0;
}

int64_t clock_read(uint32_t clock, uint64_t *nanoseconds)
{
    struct thread_times times = {0, 0};
    if (clock_is_monotonic(clock) || clock_is_real(clock)) {
        *nanoseconds = clock_is_real(clock) ? clock_epoch_nanoseconds() : clock_nanoseconds();
        return 0;
    }
    if (clock == CLOCK_THREAD) {
        times = thread_times(thread_current());
    } else if (clock == CLOCK_PROCESS || (int32_t)clock < 0) {
        if ((int32_t)clock < 0 && (clock & CPU_CLOCK_KIND) == CPU_CLOCK_KIND) {
            return -EINVAL; /* of a file */
        }
        tree_lock();
        int64_t error = read_cpu_clock(clock == CLOCK_PROCESS ? ~0U << 3 : clock, &times);
        tree_unlock();
        if (error) {
            return error;
        }
    } else {
        return -EINVAL;
    }
    bool user_alone = (int32_t)clock < 0 && (clock & CPU_CLOCK_KIND) == CPU_CLOCK_USER;
    *nanoseconds = clock_ticks_to_nanoseconds(user_alone ? times.all - times.kernel : times.all);
    return 0;
}

int64_t call_clock_gettime(const struct trap_frame *frame)
{
    uint64_t now;
    int64_t error = clock_read((uint32_t)argument_1(frame), &now);
    return error ? error : time_put(user_addr(argument_2(frame)), now);
}

int64_t call_clock_getres(const struct trap_frame *frame)
{
    uint64_t now;
    int64_t error = clock_read((uint32_t)argument_1(frame), &now);
    return error || argument_2(frame) == 0 ? error : time_put(user_addr(argument_2(frame)), 1);
}

static int64_t set_real(uint64_t nanoseconds)
{
    if (!clock_set_epoch(nanoseconds)) {
        return -EINVAL;
    }
    wake_all(clock_real_queue());
    timer_files_clock_set();
    timers_clock_set();
    return 0;
}

int64_t call_clock_settime(const struct trap_frame *frame)
{
    uint64_t wanted;
    uint32_t clock = (uint32_t)argument_1(frame);
    if (clock != CLOCK_REAL) {
        int64_t error = (int32_t)clock < 0 ? clock_read(clock, &wanted) : -EINVAL;
        return error ? error : -EPERM;
    }
    int64_t error = time_get(&wanted, user_addr(argument_2(frame)));
    return error ? error : set_real(wanted);
}

/* ---- Older forms ---- */

/* struct timezone: kept for whoever asks for it, and of no effect. */
static _Atomic(uint64_t) zone;

int64_t call_gettimeofday(const struct trap_frame *frame)
{
    uint64_t to = argument_1(frame);
    uint64_t zone_to = argument_2(frame);
    if (to != 0 && put_microseconds(user_addr(to), clock_epoch_nanoseconds()) != 0) {
        return -EFAULT;
    }
    return zone_to == 0 || put_user_64(user_addr(zone_to), zone) ? 0 : -EFAULT;
}

int64_t call_settimeofday(const struct trap_frame *frame)
{
    struct user_time time = {0, 0};
    uint64_t from = argument_1(frame);
    uint64_t zone_from = argument_2(frame);
    uint64_t wanted = 0;
    if (from != 0 && !copy_from_user(&time, user_addr(from), sizeof time)) {
        return -EFAULT;
    }
    if (time.part < 0 || (uint64_t)time.part > NANOSECONDS_PER_SECOND / MICROSECOND) {
        return -EINVAL;
    }
    if (zone_from != 0 && !get_user_64(&wanted, user_addr(zone_from))) {
        return -EFAULT;
    }
    time.part *= (int64_t)MICROSECOND;
    if (from != 0 && (time.seconds < 0 || (uint64_t)time.part >= NANOSECONDS_PER_SECOND)) {
        return -EINVAL;
    }
    int32_t minutes = (int32_t)(uint32_t)wanted;
    if (minutes > ZONE_MINUTES_MOST || minutes < -ZONE_MINUTES_MOST) {
        return -EINVAL;
    }
    if (zone_from != 0) {
        zone = wanted;
    }
    return from == 0 ? 0 : set_real(time_to_nanoseconds(&time));
}

int64_t call_time(const struct trap_frame *frame)
{
    uint64_t seconds = clock_epoch_nanoseconds() / NANOSECONDS_PER_SECOND;
    uint64_t to = argument_1(frame);
    return to == 0 || put_user_64(user_addr(to), seconds) ? (int64_t)seconds : -EFAULT;
}
