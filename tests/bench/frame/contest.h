/*
 * The frame allocators that are compared: our pool with its buddy policy, the same without magazines, the
 * same with the bitmap policy, and a linked-list buddy. All calls go through the same two function pointers,
 * so that costs of the comparison itself are the same for all.
 */
#pragma once

#include "tests/host/frame/fixture.h"

#define CONTESTANTS 4

struct contestant {
    const char *peer;                   /* its name in results */
    void (*start)(struct contestant *); /* makes all memory free */
    phys_addr_t (*alloc)(struct contestant *, unsigned order);
    void (*free)(struct contestant *, phys_addr_t block, unsigned order);
    uint64_t (*free_frames)(struct contestant *, unsigned order); /* in blocks of at least `order` */
    const struct frame_policy *policy;                            /* a pool's; NULL for the list buddy */
    bool no_magazines;                                            /* a pool's */
    unsigned cpus;                                                /* that will use it */
    uint64_t bytes;                                               /* of the machine */
    struct machine machine;                                       /* a pool's */
};

extern struct contestant contestants[CONTESTANTS];

/* Sets the machine of all contestants; before any of them is started. */
void contest_machine(uint64_t bytes, unsigned cpus);

/* Starts one with memory that has been used before: no whole machine in one block. */
void contest_start(struct contestant *contestant);

/* The next number of a random sequence; a state is never 0. */
static inline uint32_t contest_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)(*state >> 16);
}

#define CONTEST_SEED 88172645463325252ULL

static inline void contest_exchange(phys_addr_t *a, phys_addr_t *b)
{
    phys_addr_t block = *a;
    *a = *b;
    *b = block;
}
