#include "threads.h"

#define THREADS_MAX 8

void threads_run(unsigned count, void *(*work)(void *))
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
