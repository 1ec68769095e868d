/*
 * A fixed-block allocator, blocks of one length for every request up to that, in a linked list: for
 * comparison.
 */
#pragma once

#include <stddef.h>

/* Manages `bytes` bytes at `memory`, in blocks of `block_bytes`, a multiple of 8. */
void fixed_blocks_start(void *memory, size_t bytes, size_t block_bytes);
void *fixed_blocks_alloc(size_t bytes);
void fixed_blocks_free(void *pointer);

/* Bytes of the blocks that are allocated. */
size_t fixed_blocks_held(void);
