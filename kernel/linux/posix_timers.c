/* Timers that a program makes: timer_create, timer_settime, timer_gettime, timer_getoverrun, timer_delete. */
#include <ashlar/clock.h>
#include <ashlar/heap.h>
#include <ashlar/memory.h>

#include "calls.h"
#include "time.h"
#include "timers.h"
#include "tree.h"

#define CLOCK_THIS_PROCESS (-6) /* CLOCK_PROCESS as C libraries write it: of process 0, which is this one */
#define CLOCK_IS_OF_THREAD 4U   /* of a number below 0: the rest is that of a thread, inverted */
#define CLOCK_COUNTS       3U   /* its lowest two bits say what counts; if odd, there are no timers of it */

enum notification {
    NOTIFY_SIGNAL = 0,
    NOTIFY_NONE = 1,
    NOTIFY_TASK = 4, /* SIGEV_THREAD_ID, with NOTIFY_SIGNAL */
};

#define FLAG_ABSOLUTE 1U /* TIMER_ABSTIME */

struct posix_timer {
    struct program_timer timer;
    struct posix_timer *next; /* of the same process; numbers fall */
    uint32_t number;
    enum notification notification;
    uint32_t task_number; /* of NOTIFY_TASK */
    bool by_wall_clock;   /* moments that it is set to are those of the wall clock */
    struct signal_record *record;
};

/* The head of struct sigevent, whose 64 bytes are all read. */
struct event {
    uint64_t value;
    uint32_t signal;
    uint32_t notification;
    uint32_t task_number;
    uint32_t unused[11];
};

_Static_assert(sizeof(struct event) == 64, "Linux's struct sigevent");

/* ---- Expiring ---- */

/* (T) While its signal is pending, the times are counted. */
static bool counts(struct posix_timer *timer, uint64_t times)
{
    struct signal_actions *actions = timer->timer.process->actions;
    int32_t *overrun = &timer->record->information.timer.overrun;
    spinlock_acquire(&actions->lock);
    bool queued = timer->record->is_queued;
    uint64_t more = queued ? (uint64_t)*overrun + times : times - 1;
    *overrun = (int32_t)min_u64(more, INT32_MAX);
    spinlock_release(&actions->lock);
    return queued;
}

/* (T) The timer is the first of what it is part of. */
static bool expired(struct program_timer *part, uint64_t times)
{
    struct posix_timer *timer = (struct posix_timer *)part;
    struct process *process = timer->timer.process;
    struct task *task = NULL;
    if (timer->notification == NOTIFY_NONE || counts(timer, times)) {
        return false;
    }
    if (timer->notification == NOTIFY_TASK) {
        task = task_find(timer->task_number);
        if (!task || task->process != process) {
            return false;
        }
    }
    return signal_send_owned(process, task, timer->record);
}

/* ---- Making and ending ---- */

/* What is pending of it stays, and its record goes with it then. */
static void disown(struct process *process, struct signal_record *record)
{
    spinlock_acquire(&process->actions->lock);
    bool queued = record->is_queued;
    record->is_owned = false;
    spinlock_release(&process->actions->lock);
    if (!queued) {
        signal_record_free(record);
    }
}

static void end(struct posix_timer *timer)
{
    timer_set(&timer->timer, 0, 0);
    disown(timer->timer.process, timer->record);
    heap_free(&kernel_heap, timer);
}

void posix_timers_end(struct process *process)
{
    while (process->timers.posix) {
        struct posix_timer *timer = process->timers.posix;
        process->timers.posix = timer->next;
        end(timer);
    }
}

void posix_timers_end_task(const struct task *task)
{
    for (struct posix_timer *timer = task->process->timers.posix; timer; timer = timer->next) {
        if (timer->timer.task == task) {
            timer_set(&timer->timer, 0, 0);
            timer->timer.task = NULL;
        }
    }
}

/* (T) The link that leads to the timer of that number; to NULL: there is none. */
static struct posix_timer **find(struct process *process, uint64_t number)
{
    struct posix_timer **link = &process->timers.posix;
    while (*link && (*link)->number != (uint32_t)number) {
        link = &(*link)->next;
    }
    return link;
}

static int64_t clock_of(uint32_t number, enum timer_clock *clock)
{
    switch ((int32_t)number) {
    case CLOCK_REAL:
    case CLOCK_MONOTONIC:
    case CLOCK_BOOT_TIME:
        *clock = TIMER_MONOTONIC;
        return 0;
    case CLOCK_PROCESS:
    case CLOCK_THIS_PROCESS:
        *clock = TIMER_PROCESS;
        return 0;
    case CLOCK_THREAD:
        *clock = TIMER_THREAD;
        return 0;
    default:
        if ((int32_t)number < 0 && number & CLOCK_IS_OF_THREAD && (number & CLOCK_COUNTS) % 2 == 0) {
            *clock = TIMER_THREAD;
            return 0;
        }
        return number >= CLOCK_MONOTONIC_RAW && number <= CLOCK_MONOTONIC_COARSE ? -EOPNOTSUPP : -EINVAL;
    }
}

static bool is_sound(const struct event *event)
{
    switch (event->notification) {
    case NOTIFY_NONE:
        return true;
    case NOTIFY_TASK:
    case NOTIFY_SIGNAL:
        return event->signal >= 1 && event->signal < SIGNALS_END;
    default:
        return false;
    }
}

/* (T) The process's task whose time the clock counts; NULL: there is none. */
static struct task *task_of_clock(const struct process *process, uint32_t clock)
{
    uint32_t number = clock == CLOCK_THREAD ? 0 : ~clock >> 3;
    struct task *task = number == 0 ? task_current() : task_find(number);
    return task && task->process == process ? task : NULL;
}

/* (T) Enters a timer of that clock, with the next number. */
static int64_t enter(struct process *process, struct posix_timer *timer, uint32_t clock)
{
    if (timer->timer.clock == TIMER_THREAD) {
        timer->timer.task = task_of_clock(process, clock);
        if (!timer->timer.task) {
            return -EINVAL;
        }
    }
    if (timer->notification == NOTIFY_TASK) {
        const struct task *task = task_find(timer->task_number);
        if (!task || task->process != process) {
            return -EINVAL;
        }
    }
    timer->number = process->timers.posix ? process->timers.posix->number + 1 : 0;
    if (timer->number > INT32_MAX) {
        return -EAGAIN;
    }
    timer->next = process->timers.posix;
    process->timers.posix = timer;
    return 0;
}

static struct posix_timer *make(const struct event *event, uint32_t number, enum timer_clock clock)
{
    struct process *process = process_current();
    struct posix_timer *timer = heap_alloc_zeroed(&kernel_heap, sizeof *timer);
    struct signal_record *record = timer ? signal_record_create(process->limits[LIMIT_SIGNALS].soft) : NULL;
    if (!record) {
        heap_free(&kernel_heap, timer);
        return NULL;
    }
    record->is_owned = true;
    record->is_queued = false;
    record->information = (struct signal_information){
        .signal = (int32_t)event->signal, .code = CODE_TIMER, .timer.value = event->value};
    timer->timer = (struct program_timer){.clock = clock, .process = process, .expired = expired};
    timer->by_wall_clock = number == CLOCK_REAL;
    timer->notification = (enum notification)event->notification;
    timer->task_number = event->task_number;
    timer->record = record;
    return timer;
}

int64_t call_timer_create(const struct trap_frame *frame)
{
    struct process *process = process_current();
    user_addr_t from = user_addr(argument_2(frame));
    struct event event = {.signal = SIGNAL_ALARM};
    enum timer_clock clock;
    if (from.raw != 0 && !copy_from_user(&event, from, sizeof event)) {
        return -EFAULT;
    }
    int64_t error = clock_of((uint32_t)argument_1(frame), &clock);
    if (error || !is_sound(&event)) {
        return error ? error : -EINVAL;
    }
    struct posix_timer *timer =
        timers_prepare() == 0 ? make(&event, (uint32_t)argument_1(frame), clock) : NULL;
    if (!timer) {
        return -EAGAIN;
    }
    tree_lock();
    error = enter(process, timer, (uint32_t)argument_1(frame));
    uint32_t number = timer->number;
    timer->record->information.timer.number = (int32_t)number;
    timer->record->information.timer.value = from.raw ? event.value : number;
    if (error) {
        end(timer);
    }
    tree_unlock();
    if (!error && !put_user_32(user_addr(argument_3(frame)), number)) {
        tree_lock();
        struct posix_timer **link = find(process, number);
        timer = *link;
        if (timer) {
            *link = timer->next;
            end(timer);
        }
        tree_unlock();
        return -EFAULT;
    }
    return error;
}

int64_t call_timer_delete(const struct trap_frame *frame)
{
    tree_lock();
    struct posix_timer **link = find(process_current(), argument_1(frame));
    struct posix_timer *timer = *link;
    if (timer) {
        *link = timer->next;
        end(timer);
    }
    tree_unlock();
    return timer ? 0 : -EINVAL;
}

/* ---- Setting and asking ---- */

static void get_value(const struct program_timer *timer, struct user_timer *value)
{
    value->left = time_from_nanoseconds(timer_left(timer));
    value->interval = time_from_nanoseconds(timer->interval);
}

/* A moment, or a time from now on. One that has gone by is not 0, which would mean that the timer does not
 * run. Only a moment follows when the time of day is set. */
static void set_value(struct posix_timer *timer, uint32_t flags, const struct user_timer *value)
{
    uint64_t time = time_to_nanoseconds(&value->left);
    uint64_t expires = time;
    timer_set(&timer->timer, 0, 0);
    if (timer->by_wall_clock) {
        timer->timer.clock = flags & FLAG_ABSOLUTE ? TIMER_WALL : TIMER_MONOTONIC;
    }
    if (!(flags & FLAG_ABSOLUTE)) {
        expires = timer_time(&timer->timer) + time;
    }
    timer_set(&timer->timer, time != 0 ? expires : 0, time_to_nanoseconds(&value->interval));
}

int64_t call_timer_settime(const struct trap_frame *frame)
{
    user_addr_t new = user_addr(argument_3(frame));
    user_addr_t old = user_addr(argument_4(frame));
    struct user_timer value;
    struct user_timer before;
    if (new.raw == 0) {
        return -EINVAL;
    }
    if (!copy_from_user(&value, new, sizeof value)) {
        return -EFAULT;
    }
    if (!time_is_sound(&value.left) || !time_is_sound(&value.interval)) {
        return -EINVAL;
    }
    tree_lock();
    struct posix_timer *timer = *find(process_current(), argument_1(frame));
    int64_t error = !timer ? -EINVAL : timer->timer.clock == TIMER_THREAD && !timer->timer.task ? -ESRCH : 0;
    if (error == 0) {
        get_value(&timer->timer, &before);
        set_value(timer, (uint32_t)argument_2(frame), &value);
    }
    tree_unlock();
    if (error) {
        return error;
    }
    return old.raw == 0 || copy_to_user(old, &before, sizeof before) ? 0 : -EFAULT;
}

int64_t call_timer_gettime(const struct trap_frame *frame)
{
    struct user_timer value;
    tree_lock();
    const struct posix_timer *timer = *find(process_current(), argument_1(frame));
    if (timer) {
        get_value(&timer->timer, &value);
    }
    tree_unlock();
    if (!timer) {
        return -EINVAL;
    }
    return copy_to_user(user_addr(argument_2(frame)), &value, sizeof value) ? 0 : -EFAULT;
}

/* Of the signal that was taken last. */
int64_t call_timer_getoverrun(const struct trap_frame *frame)
{
    tree_lock();
    const struct process *process = process_current();
    const struct posix_timer *timer = *find(process_current(), argument_1(frame));
    int64_t overrun = -EINVAL;
    if (timer) {
        spinlock_acquire(&process->actions->lock);
        overrun = timer->record->overrun_taken;
        spinlock_release(&process->actions->lock);
    }
    tree_unlock();
    return overrun;
}
