/*
 * Timers of programs that send signals: those of alarm() and setitimer(), three for each process, and those
 * of timer_create(). All are guarded by the tree's mutex (T); one thread of the kernel sends their signals.
 */
#pragma once

#include <ashlar/timer_heap.h>

#include "signal/queue.h"

struct process;

/* What a timer counts. */
enum timer_clock {
    TIMER_MONOTONIC,
    TIMER_WALL,    /* the time of day, which may be set */
    TIMER_PROCESS, /* time that the process's tasks have run */
    TIMER_THREAD,  /* time that one of them has run */
};

/* A timer: (T). Times in nanoseconds, of its clock. */
struct program_timer {
    struct timer link; /* the first; in a heap by its deadline, which is when to look at the timer next */
    bool is_queued;    /* it is in the heap */
    enum timer_clock clock;
    uint64_t expires; /* 0: it does not run */
    uint64_t interval;
    struct process *process;
    struct task *task;               /* of TIMER_THREAD; NULL: it has ended */
    struct program_timer *next_wall; /* of TIMER_WALL, in the heap: the next such one */
    struct program_timer *previous_wall;
    uint32_t signal; /* of those of setitimer() */
    bool is_unheard; /* nobody was told when it expired last */
    /* It has expired, so many times. Returns whether somebody is told. NULL: sends `signal`. */
    bool (*expired)(struct program_timer *timer, uint64_t times);
};

enum interval_timer { INTERVAL_REAL, INTERVAL_VIRTUAL, INTERVAL_PROFILE, INTERVAL_TIMERS };

/* What a process has of them: (T). */
struct process_timers {
    struct program_timer interval[INTERVAL_TIMERS];
    struct posix_timer *posix; /* the last one made */
};

/* Makes the thread that looks at timers, if there is none yet. -ENOMEM. Not with the mutex held. */
int timers_prepare(void);

/* The time of day has been set: timers by it are looked at when it says now. Not with the mutex held. */
void timers_clock_set(void);

/* The task ends: timers of its time never expire any more. */
void posix_timers_end_task(const struct task *task);

/* The clock's time now; of a task that has ended 0. */
uint64_t timer_time(const struct program_timer *timer);

/* Sets a timer, that may run: to expire at a time of its clock, 0: never, and after each interval then. */
void timer_set(struct program_timer *timer, uint64_t expires, uint64_t interval);

/* How long it has still to run; 0: it does not run. */
uint64_t timer_left(const struct program_timer *timer);

/* A process begins, and ends: with its last task, or, what timer_create() made, when it executes a program.
 */
void process_timers_begin(struct process *process);
void process_timers_end(struct process *process);
void posix_timers_end(struct process *process);
