/*
 * Threads that do the work of a case together. They are started before the clock and wait at a gate; opening
 * it and waiting for the last one is what is timed, not making and ending threads. Each member stands for the
 * CPU of its number; member 0 is the thread that calls.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define TEAM_MAX 8

struct team {
    unsigned members;                                /* 1 .. TEAM_MAX */
    void (*prepare)(void *context, unsigned member); /* before the gate; NULL for nothing */
    void (*work)(void *context, unsigned member);    /* one member's part */
    void *context;                                   /* passed to both */
    pthread_t threads[TEAM_MAX];                     /* of members 1 and up */
    _Atomic(unsigned) arrived;                       /* members 1 and up at the gate */
    _Atomic(unsigned) finished;                      /* members 1 and up that have done their part */
    _Atomic(bool) open;                              /* the gate */
};

/*
 * Starts the threads, which prepare one after the other, each on its own thread: what it works with is then
 * in the cache of its processor. Returns when all stand at the gate. The first four fields are set.
 */
void team_gather(struct team *team);

/* All members do their part; returns when the last one has. Once for each team_gather(). */
void team_work(struct team *team);

/* Ends the threads. */
void team_leave(struct team *team);
