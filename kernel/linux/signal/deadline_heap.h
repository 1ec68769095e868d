/*
 * Timers by deadline: a pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986). Adding one takes a moment,
 * and taking one out a logarithm of how many there are, on average. Pure; no locks: the owner has one.
 */
#pragma once

#include <ashlar/types.h>

/* Part of what expires. Zeros at first. */
struct deadline_link {
    uint64_t deadline;
    struct deadline_link *child;    /* the first of those that expire later */
    struct deadline_link *next;     /* of the same parent */
    struct deadline_link *previous; /* or, of the first child, the parent */
    bool is_there;
};

struct deadline_heap {
    struct deadline_link *first; /* that expires first; NULL: there is none */
};

/* Adds one that is not there, with its deadline. */
void deadline_heap_add(struct deadline_heap *heap, struct deadline_link *link);

/* Takes one out, if it is there. */
void deadline_heap_remove(struct deadline_heap *heap, struct deadline_link *link);
