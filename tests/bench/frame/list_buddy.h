/*
 * A buddy system with linked lists, to compare with: as it is written since Knuth (The Art of Computer
 * Programming 2.5) and as large kernels have it. A record per frame, a doubly linked list of free blocks per
 * order, last in first out, one lock.
 */
#pragma once

#include <ashlar/types.h>

/* Prepares `frames` frames, numbered from 0, all free. */
void list_buddy_init(uint64_t frames);

/* First frame of a block of 2^order, or UINT64_MAX. */
uint64_t list_buddy_alloc(unsigned order);
void list_buddy_free(uint64_t frame, unsigned order);

/* Frames that lie in free blocks of at least 2^order. */
uint64_t list_buddy_free_frames(unsigned order);
