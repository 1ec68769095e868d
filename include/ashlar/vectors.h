/*
 * Which interrupt vectors of one CPU are free: a bitmap. Vectors are given out in runs of 1, 2, 4 .. 32 that
 * begin at a multiple of their length, because a device with several MSI messages puts the number of the
 * message into the low bits of its vector (PCI 3.0, 6.8.1.3). A run is cut from the shortest free stretch
 * that can hold it, so that single vectors leave the long stretches whole.
 *
 * A vector that is given back may still be on its way: its interrupt has reached the CPU, which has not taken
 * it yet. Such a vector is *leaving*: it belongs to nobody, and is given out again only once the interrupt
 * has been taken.
 *
 * An instance for each CPU that devices interrupt; it has no lock of its own: the caller keeps two calls from
 * overlapping.
 */
#pragma once

#include <ashlar/types.h>

#define VECTORS        256
#define VECTOR_RUN_MAX 32 /* the most messages that one function's MSI can have */

struct vector_set {
    uint64_t free[VECTORS / 64];    /* a bit for each vector: nobody has it, and it may be given out */
    uint64_t leaving[VECTORS / 64]; /* given back, but an interrupt of it was on its way */
    uint64_t own[VECTORS / 64];     /* what the set was made with */
    bool (*is_pending)(unsigned vector);
};

/*
 * Makes a set of the vectors first .. end - 1, all free; 0 < first < end <= VECTORS.
 * is_pending: says whether an interrupt of the vector has reached the CPU and is not over. Called by
 * vector_set_take() and vector_set_give_back().
 */
void vector_set_init(struct vector_set *set, unsigned first, unsigned end,
                     bool (*is_pending)(unsigned vector));

/*
 * Takes `count` vectors in a row, the first a multiple of count. count: 1, 2, 4, 8, 16 or VECTOR_RUN_MAX.
 * Returns the first, or 0 when no such run is free.
 */
unsigned vector_set_take(struct vector_set *set, unsigned count);

/* Gives back what one vector_set_take() of `count` returned. */
void vector_set_give_back(struct vector_set *set, unsigned first, unsigned count);

/* Vectors that are free or leaving. */
unsigned vector_set_free_count(const struct vector_set *set);

/* Whether no vector is free and leaving at once, and none is either that the set was not made with. */
bool vector_set_is_valid(const struct vector_set *set);
