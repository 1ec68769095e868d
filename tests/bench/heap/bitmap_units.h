/* A first-fit allocator over one bitmap of 64-byte units: for comparison. */
#pragma once

#include <stddef.h>

#define BITMAP_UNIT_BYTES 64

/* Manages `bytes` bytes at `memory`, aligned to a unit; at most 64 MiB. */
void bitmap_units_start(void *memory, size_t bytes);
void *bitmap_units_alloc(size_t bytes);
void bitmap_units_free(void *pointer);

/* Bytes up to the end of the highest allocated block: what cannot be given back. */
size_t bitmap_units_held(void);
