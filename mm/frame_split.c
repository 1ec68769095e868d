/* Cutting an allocated block into single frames that live on by themselves. */
#include "frame_internal.h"

/* Whether `block` is an allocated block with one reference; its order to *order. */
static bool can_split(struct frame_pool *pool, phys_addr_t block, unsigned *order) REQUIRES(pool->lock)
{
    uint64_t frame = block.raw >> FRAME_SHIFT;
    if (!is_aligned(block.raw, FRAME_BYTES) || frame >= pool->frame_limit || !frame_is_backed(pool, frame)) {
        return false;
    }
    uint32_t tag = atomic_load_explicit(&pool->descriptors[frame].tag, memory_order_relaxed);
    *order = frame_tag_order(tag);
    return tag == frame_tag(FRAME_ALLOCATED, *order, 1);
}

static bool back_all(struct frame_pool *pool, uint64_t frame, unsigned order) REQUIRES(pool->lock)
{
    for (uint64_t at = frame; at < frame + (1ULL << order); at += FRAME_DESCRIPTORS_PER_PAGE) {
        if (!frame_back(pool, at)) {
            return false;
        }
    }
    return true;
}

enum frame_error frame_split(struct frame_pool *pool, phys_addr_t block)
{
    uint64_t frame = block.raw >> FRAME_SHIFT;
    unsigned order;
    enum frame_error error = FRAME_NOT_ALLOCATED;
    spinlock_acquire(&pool->lock);
    if (can_split(pool, block, &order)) {
        error = back_all(pool, frame, order) ? FRAME_OK : FRAME_NO_MEMORY;
    }
    if (error == FRAME_OK) {
        enum frame_owner owner = atomic_load_explicit(&pool->descriptors[frame].owner, memory_order_relaxed);
        for (uint64_t at = frame; at < frame + (1ULL << order); at++) {
            frame_describe(pool, at, FRAME_ALLOCATED, 0, owner);
        }
    }
    spinlock_release(&pool->lock);
    return error;
}
