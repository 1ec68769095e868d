/* A fixed-block allocator, 2 KiB for every request up to that, in a linked list: for comparison. */
#pragma once

#include <stddef.h>

#define FIXED_BLOCK_BYTES 2048

/* Manages `bytes` bytes at `memory`. */
void fixed_blocks_start(void *memory, size_t bytes);
void *fixed_blocks_alloc(size_t bytes);
void fixed_blocks_free(void *pointer);
