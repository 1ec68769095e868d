/*
 * Inside the heap: what its files share. Not for users of the heap.
 */
#pragma once

#include <ashlar/heap.h>

#include "mm/slab/internal.h"

/* `caller`, here and below, is the return address in the code that made the call, or NULL. */

/* The smallest block: what a request of 0 bytes gets. */
#define HEAP_BYTES_MIN 16

/* ---- free.c ---- */

/* heap_free() for what heap_push() did not take. */
void heap_free_for(struct heap *heap, void *pointer, const void *caller);

/* ---- look.c ---- */

/* Bytes that may be used of what heap_look() found; 0 when no allocated block starts there. */
size_t heap_usable_bytes(const struct heap *heap, const struct heap_facts *facts);

/* ---- large.c: blocks with frames of their own ---- */

/* A large block, as found. */
struct heap_large {
    void *pointer;                    /* first byte */
    uint64_t bytes;                   /* as asked for */
    uint64_t frames;                  /* of its run */
    const struct slab_who *allocated; /* with the owner policy; else NULL */
    uint32_t marks;                   /* the leak scan's: HEAP_LARGE_... */
};

/* Marks of the leak scan, kept with the block while nobody else uses the heap. */
#define HEAP_LARGE_REACHED  0x10
#define HEAP_LARGE_SEARCHED 0x20

/* Bytes of a record of who allocated a large block. */
extern const uint32_t heap_track_bytes;

/* Prepares for large blocks; heap->slabs is made. */
void heap_large_init(struct heap *heap);

/* A block of whole frames, or virtually contiguous pages; NULL when there is no memory. */
void *heap_large_alloc(struct heap *heap, uint64_t bytes, uint64_t alignment, const void *caller);

/* The same, not empty and with room to grow if that can be had at once: for a block that grows already. */
void *heap_large_alloc_roomy(struct heap *heap, uint64_t bytes, const void *caller);

/*
 * Frees the block of this heap that starts at the frame of this descriptor, which heap_large_free_cached()
 * did not take. A damaged one is reported, and kept.
 */
void heap_large_free(struct heap *heap, struct frame_descriptor *descriptor, const void *caller);

/* Adds up the CPUs' accounts. */
void heap_large_sum(const struct heap *heap, struct heap_statistics *statistics);

/* ---- grow.c: blocks that are resized where they are ---- */

/*
 * Makes the block that starts at `pointer` `bytes` long where it is. False, and nothing has changed, when it
 * would need fewer frames, or more and those that follow are not all free. A damaged one is reported, and
 * keeps its length.
 */
bool heap_large_resize(struct heap *heap, void *pointer, uint64_t bytes, const void *caller);

/* Frees the frames of a block with room, which may have grown. */
void heap_large_free_grown(struct heap *heap, const struct heap_large *large);

/* ---- large_walk.c ---- */

/* Fills *large with the block that `pointer`, which may have any value, lies in; false when there is none. */
bool heap_large_find(struct heap *heap, const void *pointer, struct heap_large *large);

/* Replaces the marks of a block. */
void heap_large_mark(struct heap *heap, const struct heap_large *large, uint32_t marks);

/*
 * Calls `visit`, which may free the block, for each large block by address until it returns false; whether it
 * never did. Looks at all memory that is in use.
 */
bool heap_large_visit(struct heap *heap, bool (*visit)(void *context, const struct heap_large *large),
                      void *context);

bool heap_large_check(struct heap *heap, struct slab_problem *problem);

/* ---- policy.c: debug policies of large blocks ---- */

/* Fills a new block of so many frames as the policies say. */
void heap_large_fill(struct heap *heap, void *pointer, uint64_t bytes, uint64_t frames);

/* Examines a block without changing it; false and *report when it is damaged. */
bool heap_large_examine(struct heap *heap, const struct heap_large *large, struct slab_report *report);

/* Examines a block that is being freed; false when it is damaged: reported. */
bool heap_large_leave(struct heap *heap, const struct heap_large *large, const void *caller);

/* Poisons a block that is the heap's no more, but whose frames are not free yet. */
void heap_large_spoil(struct heap *heap, const struct heap_large *large);

/* Moves the red zone of a block to behind `bytes` bytes; false when it is damaged: reported. */
bool heap_large_stretch(struct heap *heap, const struct heap_large *large, uint64_t bytes,
                        const void *caller);

/* ---- The way of an allocation ---- */

/* heap_alloc() for whoever hands the caller through. */
static inline void *heap_alloc_for(struct heap *heap, size_t bytes, const void *caller)
{
    void *object;
    if (FAILING_NOW()) {
        return NULL;
    }
    if (bytes > HEAP_CLASS_MAX) {
        return heap_large_alloc(heap, bytes, FRAME_BYTES, caller);
    }
    if (heap_pop(heap, bytes, &object)) {
        return object;
    }
    return slab_alloc_for(&heap->classes[heap_class(bytes)], (uint32_t)max_u64(bytes, 1), caller);
}
