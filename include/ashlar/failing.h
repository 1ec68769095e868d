/*
 * Allocations that fail on purpose: for builds with all assertions. One thread at a time says which of its
 * next allocations finds no memory, carries something out, and asks how many did not. So a test can make
 * every allocation of one operation fail in turn.
 *
 * An allocation is a call of the frame pool, of a slab cache, or of the heap, for any pool and any heap, that
 * the thread itself makes. One that needs another (a slab needs a frame) counts as both. frame_alloc_must()
 * and frame_alloc_at(), whose callers want one certain frame, do not count.
 */
#pragma once

#include <ashlar/types.h>

#ifdef ASHLAR_DEBUG

struct failing_plan {
    uint64_t nth; /* which allocation fails: 1 is the next; 0: none */
    bool rest;    /* and all that follow it */
};

/* From now on the calling thread's allocations are counted. False, and nothing has changed, while those of
 * another thread are. */
bool failing_begin(struct failing_plan plan);

/* Ends it, if it is the calling thread's; returns how many allocations have failed. */
uint64_t failing_end(void);

extern _Atomic(void *) failing_thread; /* whose allocations are counted, or NULL; for what follows */

/* The slow half of FAILING_NOW(). */
bool failing_count(void);

/* Whether this allocation is to fail. First in each function that allocates. */
#define FAILING_NOW()                                                                                        \
    (__builtin_expect(atomic_load_explicit(&failing_thread, memory_order_relaxed) != NULL, 0) &&             \
     failing_count())

#else

#define FAILING_NOW() false

#endif
