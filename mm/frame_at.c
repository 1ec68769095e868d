/*
 * Allocation of a given block. When it is not free, the first thing in it that is in the way decides: what
 * somebody owns is not asked for; a free block in a magazine of this CPU is taken out, and the next attempt
 * made. Each step holds the lock by itself.
 */
#include "frame_internal.h"

static enum frame_error check_at(struct frame_pool *pool, phys_addr_t address, unsigned order,
                                 enum frame_owner owner) REQUIRES(pool->lock)
{
    if (order > FRAME_ORDER_MAX) {
        return FRAME_BAD_ORDER;
    }
    if (!is_aligned(address.raw, FRAME_BYTES << order)) {
        return FRAME_BAD_ALIGNMENT;
    }
    if ((unsigned)owner >= OWNER_COUNT) {
        return FRAME_BAD_OWNER;
    }
    uint64_t first = address.raw >> FRAME_SHIFT;
    if (first >= pool->frame_limit || !frame_pool_range(pool, first)) {
        return FRAME_NOT_MANAGED;
    }
    return frame_is_managed(pool, first) ? FRAME_OK : FRAME_RESERVED;
}

static enum frame_error take_at(struct frame_pool *pool, phys_addr_t address, unsigned order,
                                enum frame_owner owner) EXCLUDES(pool->lock)
{
    uint64_t frame = address.raw >> FRAME_SHIFT;
    bool busy = false;
    spinlock_acquire(&pool->lock);
    enum frame_error error = check_at(pool, address, order, owner);
    if (error == FRAME_OK && !frame_store_take_at(pool, frame, order, &busy)) {
        error = busy ? FRAME_BUSY : FRAME_NO_MEMORY;
    }
    if (error == FRAME_OK) {
        frame_describe(pool, frame, FRAME_ALLOCATED, order, owner);
        frame_book(pool, owner, (int64_t)1 << order);
    }
    spinlock_release(&pool->lock);
    return error;
}

/* The first frame of [frame, end) that the policy does not hold; none if it holds all of them. */
static uint64_t first_missing(struct frame_pool *pool, uint64_t frame, uint64_t end) REQUIRES(pool->lock)
{
    while (frame < end) {
        int order = pool->config.policy->free_order(pool->policy_state, frame);
        if (order < 0) {
            return frame;
        }
        frame = align_down(frame, 1ULL << order) + (1ULL << order);
    }
    return FRAME_NO_FRAME;
}

/*
 * Returns what lies in the way to the store if it is a free block in a magazine of this CPU; whether it was.
 * Another CPU that has it is asked to drain.
 */
static bool clear_way(struct frame_pool *pool, uint64_t frame, uint64_t end) EXCLUDES(pool->lock)
{
    bool cleared = false;
    bool elsewhere = false;
    spinlock_acquire(&pool->lock);
    uint64_t missing = first_missing(pool, frame, end);
    uint64_t block = missing == FRAME_NO_FRAME ? FRAME_NO_FRAME : frame_find_block(pool, missing);
    if (block != FRAME_NO_FRAME) {
        uint32_t tag = atomic_load_explicit(&pool->descriptors[block].tag, memory_order_relaxed);
        bool cached = frame_tag_state(tag) == FRAME_CACHED;
        cleared = cached && frame_magazine_remove(pool, block, frame_tag_order(tag));
        elsewhere = cached && !cleared;
    }
    spinlock_release(&pool->lock);
    if (elsewhere) {
        frame_magazines_ask(pool);
    }
    return cleared;
}

enum frame_error frame_alloc_at(struct frame_pool *pool, phys_addr_t address, unsigned order,
                                enum frame_owner owner)
{
    struct frame_shortage shortage = {.order = 0, .frames = 1}; /* of memory for a descriptor */
    uint64_t frame = address.raw >> FRAME_SHIFT;
    enum frame_error error;
    do {
        error = take_at(pool, address, order, owner);
    } while (error == FRAME_BUSY        ? clear_way(pool, frame, frame + (1ULL << order))
             : error == FRAME_NO_MEMORY ? frame_reclaim(pool, &shortage)
                                        : false);
    return error;
}
