/* Cutting an allocated block into single frames that live on by themselves. */
#include "internal.h"
#include "valid.h"

/*
 * Whether `block` is an allocated block with one reference, neither pinned nor busy; its order to *order. Its
 * age is not passed on.
 */
static bool can_split(struct frame_pool *pool, phys_addr_t block, unsigned *order) EXCLUDES(pool->lock)
{
    uint64_t frame = block.raw >> FRAME_SHIFT;
    uint32_t tag = 0;
    spinlock_acquire(&pool->lock);
    if (is_aligned(block.raw, FRAME_BYTES) && frame < pool->frame_limit && frame_is_backed(pool, frame)) {
        tag = atomic_load_explicit(&pool->descriptors[frame].tag, memory_order_relaxed);
    }
    spinlock_release(&pool->lock);
    *order = frame_tag_order(tag);
    return frame_tag_plain(tag) == frame_tag(FRAME_ALLOCATED, *order, 1) &&
           frame_diagnose_use(pool, frame) == FRAME_OK;
}

/*
 * The block is the caller's, and so are its descriptors: only backing them takes the lock, for one page of
 * them at a time. The first one is written last; until then whoever looks finds one block.
 */
enum frame_error frame_split(struct frame_pool *pool, phys_addr_t block)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    VALIDATE_AT_RANDOM(frame, frame_pool_check, pool);
    uint64_t frame = block.raw >> FRAME_SHIFT;
    unsigned order;
    if (!can_split(pool, block, &order)) {
        return FRAME_NOT_ALLOCATED;
    }
    if (!frame_back_all(pool, frame, frame + (1ULL << order))) {
        return FRAME_NO_MEMORY;
    }
    enum frame_owner owner = frame_descriptor_owner(&pool->descriptors[frame]);
    for (uint64_t i = 1ULL << order; i-- > 0;) {
        frame_describe(pool, frame + i, FRAME_ALLOCATED, 0, owner);
    }
    return FRAME_OK;
}
