/*
 * A source of virtually contiguous blocks for a heap on the host. The blocks are shorter than what is asked
 * for, so that a test can ask for more than the machine has, and fill what it gets.
 */
#pragma once

#include <ashlar/heap.h>

#define VIRTUALS_MAX  4
#define VIRTUAL_BYTES (4 * KIB(4)) /* what a block really has, whatever was asked for */

struct virtual_source {
    _Alignas(FRAME_BYTES) uint8_t pages[VIRTUALS_MAX][VIRTUAL_BYTES];
    bool taken[VIRTUALS_MAX]; /* by block */
    unsigned count;           /* so many blocks can be had */
    uint64_t least;           /* shorter requests are refused */
};

/* Gives a heap the source: `count` blocks, for requests of `least` bytes or more. */
void virtual_start(struct heap *heap, struct virtual_source *source, unsigned count, uint64_t least);
