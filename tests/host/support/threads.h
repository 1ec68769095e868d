/* Threads that stand for CPUs: each runs the test's work under a number and a random sequence of its own. */
#pragma once

#include <pthread.h>

#include <ashlar/platform.h>

#define THREADS_MAX 8

struct worker {
    pthread_t thread; /* it runs work(this) */
    unsigned cpu;     /* from 0 on */
    uint64_t random;  /* state of the generator */
};

/* Runs `work` on `count` threads at once, and waits for all of them. */
static inline void threads_run(unsigned count, void *(*work)(void *))
{
    struct worker workers[THREADS_MAX];
    if (count > THREADS_MAX) {
        panic("%u threads, at most %u", count, THREADS_MAX);
    }
    for (unsigned i = 0; i < count; i++) {
        workers[i].cpu = i;
        workers[i].random = 77 + i;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
            panic("thread %u does not start", i);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
    }
}
