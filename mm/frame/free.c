/*
 * Freeing a block. The fast path compares one word; everything that does not match comes here.
 *
 * A descriptor may change while it is looked at, because frees of other CPUs and references take no lock. So
 * whatever is done on the strength of a look is one compare-and-exchange of the tag that was seen; if that
 * fails, the look is taken again.
 *
 * From the claim of a block until it is free preemption is off: a validator, for which all CPUs are stopped,
 * finds no block in between.
 */
#include "internal.h"
#include "mm/frame/cpu/cpu.h"
#include "valid.h"

bool frame_claim(struct frame_pool *pool, uint64_t frame, enum frame_state state, unsigned order)
{
    uint64_t both = frame_both_of(pool, frame);
    uint32_t use = (uint32_t)(both >> 32);
    return frame_tag_plain((uint32_t)both) == frame_tag(state, order, 1) && frame_use_pins(use) == 0 &&
           !frame_use_busy(use) &&
           frame_both_change(pool, frame, both, frame_tag(FRAME_CACHED, order, 1),
                             frame_use(frame_use_owner(use), 0, false, 0));
}

/* Frees a block if it is allocated and has one reference, no marks and this order. */
static bool claim_and_free(struct frame_pool *pool, uint64_t frame, unsigned order)
{
    preempt_disable();
    bool claimed = frame_claim(pool, frame, FRAME_ALLOCATED, order);
    if (claimed) {
        frame_magazine_free(pool, frame, order);
    }
    preempt_enable();
    return claimed;
}

enum frame_error frame_try_free(struct frame_pool *pool, phys_addr_t block, unsigned order)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    VALIDATE_AT_RANDOM(frame, frame_pool_check, pool);
    uint64_t frame = block.raw >> FRAME_SHIFT;
    enum frame_error error;
    preempt_disable();
    spinlock_acquire(&pool->lock);
    do {
        error = frame_diagnose_block(pool, block, order);
    } while (error == FRAME_OK && !frame_claim(pool, frame, FRAME_ALLOCATED, order));
    spinlock_release(&pool->lock);
    if (error == FRAME_OK) {
        frame_magazine_free(pool, frame, order);
    }
    preempt_enable();
    return error;
}

void frame_free_slow(struct frame_pool *pool, phys_addr_t block, unsigned order)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    VALIDATE_AT_RANDOM(frame, frame_pool_check, pool);
    uint64_t frame = block.raw >> FRAME_SHIFT;
    if (order <= FRAME_ORDER_MAX && is_aligned(block.raw, FRAME_BYTES) && frame < pool->frame_limit &&
        claim_and_free(pool, frame, order)) {
        return;
    }
    enum frame_error error = frame_try_free(pool, block, order);
    if (error != FRAME_OK) {
        frame_report(pool, "frame_free", block, order <= FRAME_ORDER_MAX ? 1ULL << order : 0, error);
    }
}

void frame_free_batch(struct frame_pool *pool, uint64_t count, const phys_addr_t *frames)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    for (uint64_t i = 0; i < count; i++) {
        frame_free(pool, frames[i], 0);
    }
}
