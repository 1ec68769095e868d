/*
 * The last memory is another CPU's: all frames are taken but for some that CPU 1 keeps for itself, in its
 * magazines.
 */
#pragma once

#include "tests/host/frame/fixture.h"
#include <ashlar/slab.h>

#define HOARD_KEPT    32 /* frames that CPU 1 keeps */
#define HOARD_OBJECTS 64 /* objects that it frees, most of which stay in its magazines */
#define HOARD_BYTES   2000

enum keeper { KEEPS_FRAMES, KEEPS_OBJECTS, KEEPERS };

/* Which kernel this stands for, and what is taken from it. */
extern struct hoard {
    struct frame_pool *frames;
    struct slab_pool *slabs;  /* its caches */
    struct slab_cache cache;  /* what CPU 1's objects are of */
    phys_addr_t taken[16384]; /* frames */
    uint64_t count;           /* used entries */
    unsigned collections;     /* so far */
} hoard;

/* Prepares for it: with two CPUs, and a cache more. */
void hoard_start(struct frame_pool *frames, struct slab_pool *slabs);
void hoard_stop(void);

/* Takes all memory but what CPU 1 keeps, which nobody reaches before hoard_reach(). */
void hoard_all(enum keeper keeper);
void hoard_reach(void);
void hoard_give_back(void);
