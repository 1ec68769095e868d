/* Threads that stand for CPUs: each runs the test's work under a number and a random sequence of its own. */
#pragma once

#include <ashlar/platform.h>
#include <pthread.h>

struct worker {
    pthread_t thread; /* it runs work(this) */
    unsigned cpu;     /* from 0 on */
    uint64_t random;  /* state of the generator */
};

/* Runs `work` on `count` threads at once, and waits for all of them. */
void threads_run(unsigned count, void *(*work)(void *));
