/*
 * Freeing a block. The fast path compares one word; everything that does not match comes here.
 *
 * A descriptor may change while it is looked at, because frees of other CPUs and references take no lock. So
 * whatever is done on the strength of a look is one compare-and-exchange of the tag that was seen; if that
 * fails, the look is taken again.
 */
#include "internal.h"

/* Makes an allocated block with one reference a free one that only the caller knows; whether it was one. */
static bool claim_block(struct frame_pool *pool, uint64_t frame, unsigned order)
{
    return frame_tag_change(pool, frame, frame_tag(FRAME_ALLOCATED, order, 1),
                            frame_tag(FRAME_CACHED, order, 1));
}

enum frame_error frame_try_free(struct frame_pool *pool, phys_addr_t block, unsigned order)
{
    uint64_t frame = block.raw >> FRAME_SHIFT;
    enum frame_error error;
    spinlock_acquire(&pool->lock);
    do {
        error = frame_diagnose_block(pool, block, order);
    } while (error == FRAME_OK && !claim_block(pool, frame, order));
    spinlock_release(&pool->lock);
    if (error == FRAME_OK) {
        frame_magazine_free(pool, frame, order);
    }
    return error;
}

void frame_free_slow(struct frame_pool *pool, phys_addr_t block, unsigned order)
{
    uint64_t frame = block.raw >> FRAME_SHIFT;
    if (order <= FRAME_ORDER_MAX && is_aligned(block.raw, FRAME_BYTES) && frame < pool->frame_limit &&
        claim_block(pool, frame, order)) {
        frame_magazine_free(pool, frame, order);
        return;
    }
    enum frame_error error = frame_try_free(pool, block, order);
    if (error != FRAME_OK) {
        frame_report(pool, "frame_free", block, order <= FRAME_ORDER_MAX ? 1ULL << order : 0, error);
    }
}

void frame_free_batch(struct frame_pool *pool, uint64_t count, const phys_addr_t *frames)
{
    for (uint64_t i = 0; i < count; i++) {
        frame_free(pool, frames[i], 0);
    }
}
