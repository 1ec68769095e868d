/* A first-fit allocator over one linked list of free blocks, merged with their neighbours: for comparison. */
#pragma once

#include <stddef.h>

/* Manages `bytes` bytes at `memory`, aligned to 16. */
void first_fit_start(void *memory, size_t bytes);
void *first_fit_alloc(size_t bytes);
void first_fit_free(void *pointer);

/* Bytes up to the end of the highest allocated block: what cannot be given back. */
size_t first_fit_held(void);
