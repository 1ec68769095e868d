/*
 * Timers of programs, and the thread that looks at them; see timers.h.
 *
 * A timer of a process's own running time is looked at when it could have expired at the earliest, and again
 * as often as that was too early. A timer that nobody hears, as its signal is pending, masked or ignored, is
 * looked at no more often than that either: whatever its interval, it takes little of the CPU, and the times
 * that it has expired are counted when it is looked at.
 */
#include "timers.h"

#include <ashlar/clock.h>
#include <ashlar/platform.h>

#include "tree.h"
#include "usage.h"

#define AT_ONE_TIME  64         /* timers that are looked at in one hold of the mutex */
#define LOOK_SOONEST 1000000ULL /* nanoseconds until such a timer is looked at again */

static struct timer *heap; /* of all that run: no interrupt expires them, but the thread */
static struct thread *looker;
static struct wait_queue pokes = WAIT_QUEUE_INITIALIZER;
static _Atomic(uint64_t) next_look = WAIT_FOREVER; /* when the thread looks next */
static struct program_timer *wall;                 /* those of the heap that are by the time of day */
static uint64_t wall_start;                        /* when clocks began, by the time of day */
static uint32_t wall_changes;                      /* clock_epoch_changes() of that */

/* ---- Clocks ---- */

/* What a process's tasks have run; of one that runs now, up to this moment. */
static uint64_t running_time(const struct process *process)
{
    return clock_ticks_to_nanoseconds(process_times(process).all);
}

uint64_t timer_time(const struct program_timer *timer)
{
    switch (timer->clock) {
    case TIMER_WALL:
        return wall_start + clock_nanoseconds();
    case TIMER_PROCESS:
        return running_time(timer->process);
    case TIMER_THREAD:
        return timer->task ? clock_ticks_to_nanoseconds(thread_times(timer->task->thread).all) : 0;
    case TIMER_MONOTONIC:
        break;
    }
    return clock_nanoseconds();
}

uint64_t timer_left(const struct program_timer *timer)
{
    uint64_t now = timer_time(timer);
    if (timer->expires == 0 || timer->expires > now) {
        return timer->expires == 0 ? 0 : timer->expires - now;
    }
    bool goes_on = timer->is_unheard && timer->interval != 0;
    return goes_on ? timer->interval - (now - timer->expires) % timer->interval : 1;
}

/* ---- Setting ---- */

/* When to look at it: all tasks may run at the same time. */
static uint64_t when_to_look(const struct program_timer *timer)
{
    uint64_t left = timer_left(timer);
    uint64_t now = clock_nanoseconds();
    if (timer->is_unheard) {
        left = max_u64(left, LOOK_SOONEST);
    }
    if (timer->clock == TIMER_PROCESS) {
        uint32_t tasks = atomic_load(&timer->process->task_count);
        left = max_u64(left / (tasks ? tasks : 1), LOOK_SOONEST);
    }
    if (timer->clock == TIMER_THREAD) {
        left = max_u64(left, LOOK_SOONEST);
    }
    return left < WAIT_FOREVER - 1 - now ? now + left : WAIT_FOREVER - 1;
}

static void take_out(struct program_timer *timer)
{
    if (!timer->is_queued) {
        return;
    }
    timer_heap_remove(&heap, &timer->link);
    timer->is_queued = false;
    if (timer->clock == TIMER_WALL) {
        *(timer->previous_wall ? &timer->previous_wall->next_wall : &wall) = timer->next_wall;
        if (timer->next_wall) {
            timer->next_wall->previous_wall = timer->previous_wall;
        }
    }
}

static void put_in(struct program_timer *timer)
{
    timer->link.deadline = when_to_look(timer);
    timer_heap_add(&heap, &timer->link);
    timer->is_queued = true;
    if (timer->clock == TIMER_WALL) {
        timer->previous_wall = NULL;
        timer->next_wall = wall;
        if (wall) {
            wall->previous_wall = timer;
        }
        wall = timer;
    }
}

static void queue_again(struct program_timer *timer)
{
    take_out(timer);
    if (timer->expires != 0) {
        put_in(timer);
    }
}

static void poke(void)
{
    if (heap && heap->deadline < atomic_load(&next_look)) {
        atomic_store(&next_look, heap->deadline);
        wake_all(&pokes);
    }
}

/* Whoever comes with an older time than another one has left it is too late. */
void timers_clock_set(void)
{
    uint32_t changes = clock_epoch_changes();
    uint64_t start = clock_epoch_nanoseconds() - clock_nanoseconds();
    tree_lock();
    if ((int32_t)(changes - wall_changes) >= 0) {
        wall_start = start;
        wall_changes = changes;
        for (struct program_timer *timer = wall; timer; timer = timer->next_wall) {
            timer_heap_remove(&heap, &timer->link);
            timer->link.deadline = when_to_look(timer);
            timer_heap_add(&heap, &timer->link);
        }
        poke();
    }
    tree_unlock();
}

void timer_set(struct program_timer *timer, uint64_t expires, uint64_t interval)
{
    timer->expires = expires;
    timer->interval = interval;
    timer->is_unheard = false;
    queue_again(timer);
    poke();
}

/* ---- Expiring ---- */

/* Returns whether somebody is told. */
static bool send(struct program_timer *timer, uint64_t times)
{
    if (timer->expired) {
        return timer->expired(timer, times);
    }
    const struct signal_information information = signal_by_kernel(timer->signal);
    bool comes = signal_would_come(timer->process, timer->signal);
    signal_send(timer->process, NULL, &information);
    return comes;
}

/* Of a timer that is late, all times count that have gone by. */
static void look_at(struct program_timer *timer)
{
    uint64_t now = timer_time(timer);
    if (timer->expires <= now) {
        uint64_t times = timer->interval ? (now - timer->expires) / timer->interval + 1 : 1;
        timer->expires = timer->interval ? timer->expires + times * timer->interval : 0;
        timer->is_unheard = !send(timer, times);
    }
    queue_again(timer);
}

/* Returns when to look again. */
static uint64_t look(void)
{
    tree_lock();
    uint64_t now = clock_nanoseconds();
    for (unsigned i = 0; i < AT_ONE_TIME && heap && heap->deadline <= now; i++) {
        look_at((struct program_timer *)heap);
    }
    uint64_t next = heap ? heap->deadline : WAIT_FOREVER;
    atomic_store(&next_look, next);
    tree_unlock();
    return next;
}

static uint64_t look_for_ever(void *unused)
{
    (void)unused;
    for (;;) {
        uint64_t next = look();
        const struct wait_how how = {.deadline = next};
        WAIT_UNTIL(&pokes, atomic_load(&next_look) != next, "timers of programs", how);
    }
}

int timers_prepare(void)
{
    tree_lock();
    bool first = !looker;
    if (first) {
        looker = thread_run("program timers", look_for_ever, NULL);
    }
    tree_unlock();
    if (first) {
        timers_clock_set();
    }
    return looker ? 0 : -ENOMEM;
}

/* ---- Beginning and end ---- */

void process_timers_begin(struct process *process)
{
    static const struct program_timer kinds[INTERVAL_TIMERS] = {
        [INTERVAL_REAL] = {.clock = TIMER_MONOTONIC, .signal = SIGNAL_ALARM},
        [INTERVAL_VIRTUAL] = {.clock = TIMER_PROCESS, .signal = SIGNAL_VIRTUAL_ALARM},
        [INTERVAL_PROFILE] = {.clock = TIMER_PROCESS, .signal = SIGNAL_PROFILE}};
    for (unsigned i = 0; i < INTERVAL_TIMERS; i++) {
        process->timers.interval[i] = kinds[i];
        process->timers.interval[i].process = process;
    }
}

void process_timers_end(struct process *process)
{
    for (unsigned i = 0; i < INTERVAL_TIMERS; i++) {
        take_out(&process->timers.interval[i]);
    }
}
