/*
 * Inside the heap: what its files share. Not for users of the heap.
 */
#pragma once

#include <ashlar/heap.h>

#include "slab_internal.h"

/* The smallest block: what a request of 0 bytes gets. */
#define HEAP_BYTES_MIN 16

/* ---- kmalloc_large.c: blocks with frames of their own ---- */

/* A block of whole frames, or virtually contiguous pages; NULL when there is no memory. */
void *heap_large_alloc(struct heap *heap, uint64_t bytes, uint64_t alignment, const void *caller);

/* The record of the block that starts at `pointer`, or NULL. Any pointer whatever. */
struct heap_large *heap_large_find(struct heap *heap, const void *pointer);

/* Frees the block. Between finding and freeing, nobody else frees it. */
void heap_large_free(struct heap *heap, struct heap_large *large);

/* Calls `visit` for each large block until it returns false; whether it never did. */
bool heap_large_visit(struct heap *heap, bool (*visit)(void *context, const struct heap_block *block),
                      void *context) EXCLUDES(heap->large_lock);

bool heap_large_check(struct heap *heap, struct slab_problem *problem) EXCLUDES(heap->large_lock);
void heap_large_destroy(struct heap *heap);
