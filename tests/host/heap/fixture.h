/* A heap on a machine of its own, and a report function that keeps what it was told. */
#pragma once

#include "tests/host/frame/fixture.h"
#include <ashlar/heap.h>

#define HEAP_MACHINE_BYTES MIB(256)

struct heap_fixture {
    struct machine machine;
    struct heap heap;
    uint64_t free_at_start;    /* frames free before the heap was made */
    struct slab_report report; /* the last one */
    unsigned reports;          /* how many */
};

/* A heap for `cpus` CPUs on `bytes` of memory, with debug rules; its frame pool with this policy. */
enum slab_error fixture_start_on(struct heap_fixture *fixture, uint64_t bytes, unsigned cpus,
                                 const char *debug, const struct frame_policy *policy, bool no_magazines);
enum slab_error fixture_start(struct heap_fixture *fixture, uint64_t bytes, unsigned cpus, const char *debug);

/* Destroys the heap; every frame must be back, and the frame pool sound. */
void fixture_stop(struct heap_fixture *fixture);
void fixture_check(struct heap_fixture *fixture);
