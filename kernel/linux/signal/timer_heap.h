/*
 * Timers by deadline: a pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986). Adding one takes a moment,
 * and taking one out a logarithm of how many there are, on average. Pure; no locks: the owner has one.
 */
#pragma once

#include <ashlar/types.h>

/* Part of what expires. Zeros at first. */
struct timer_link {
    uint64_t deadline;
    struct timer_link *child;    /* the first of those that expire later */
    struct timer_link *next;     /* of the same parent */
    struct timer_link *previous; /* or, of the first child, the parent */
    bool is_there;
};

struct timer_heap {
    struct timer_link *first; /* that expires first; NULL: there is none */
};

/* Adds one that is not there, with its deadline. */
void timer_heap_add(struct timer_heap *heap, struct timer_link *link);

/* Takes one out, if it is there. */
void timer_heap_remove(struct timer_heap *heap, struct timer_link *link);
