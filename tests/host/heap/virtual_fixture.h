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

static inline void *virtual_alloc(void *context, uint64_t bytes)
{
    struct virtual_source *source = context;
    for (unsigned i = 0; i < source->count && bytes >= source->least; i++) {
        if (!source->taken[i]) {
            source->taken[i] = true;
            return source->pages[i];
        }
    }
    return NULL;
}

static inline bool virtual_find(void *context, const void *pointer, struct heap_virtual_block *block)
{
    struct virtual_source *source = context;
    uint64_t offset = (uintptr_t)pointer - (uintptr_t)source->pages;
    if (offset >= sizeof source->pages || !source->taken[offset / VIRTUAL_BYTES]) {
        return false;
    }
    *block = (struct heap_virtual_block){source->pages[offset / VIRTUAL_BYTES], VIRTUAL_BYTES};
    return true;
}

static inline bool virtual_free(void *context, void *pointer)
{
    struct virtual_source *source = context;
    struct heap_virtual_block block;
    bool found = virtual_find(context, pointer, &block) && block.pointer == pointer;
    if (found) {
        source->taken[((uintptr_t)pointer - (uintptr_t)source->pages) / VIRTUAL_BYTES] = false;
    }
    return found;
}

static inline void virtual_visit(void *context,
                                 bool (*visit)(void *to, const struct heap_virtual_block *block), void *to)
{
    struct virtual_source *source = context;
    bool more = true;
    for (unsigned i = 0; i < VIRTUALS_MAX && more; i++) {
        struct heap_virtual_block block = {source->pages[i], VIRTUAL_BYTES};
        more = !source->taken[i] || visit(to, &block);
    }
}

/* Gives a heap the source: `count` blocks, for requests of `least` bytes or more. */
static inline void virtual_start(struct heap *heap, struct virtual_source *source, unsigned count,
                                 uint64_t least)
{
    memset(source->taken, 0, sizeof source->taken);
    source->count = count;
    source->least = least;
    heap->virtually = (struct heap_virtual){virtual_alloc, virtual_free, virtual_find, virtual_visit, source};
}
