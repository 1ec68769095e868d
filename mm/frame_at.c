/*
 * Allocation of a given block. When it is not free, the first thing in it that is in the way decides: what
 * somebody owns is not asked for; a free block in a magazine of this CPU is taken out, and if it is not the
 * one that is wanted, returned to the store for the next attempt. Each attempt holds the lock by itself.
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

/* What became of a block that is not free in the store. */
enum way {
    WAY_OWNED,   /* somebody's */
    WAY_ASKED,   /* another CPU has it in a magazine, and is asked to drain */
    WAY_CLEARED, /* a part was in a magazine of this CPU, and is free now */
    WAY_TAKEN    /* so was exactly this block; it is out of there and not free */
};

/* Looks at what is the first to be in the way, and returns it to the store if it is in a magazine of this
 * CPU. */
static enum way clear_way(struct frame_pool *pool, uint64_t frame, unsigned order) REQUIRES(pool->lock)
{
    uint64_t missing = first_missing(pool, frame, frame + (1ULL << order));
    uint64_t block = missing == FRAME_NO_FRAME ? FRAME_NO_FRAME : frame_find_block(pool, missing);
    if (block == FRAME_NO_FRAME) {
        return WAY_OWNED;
    }
    uint32_t tag = atomic_load_explicit(&pool->descriptors[block].tag, memory_order_relaxed);
    unsigned its_order = frame_tag_order(tag);
    if (frame_tag_state(tag) != FRAME_CACHED) {
        return WAY_OWNED;
    }
    if (!frame_magazine_remove(pool, block, its_order)) {
        return WAY_ASKED;
    }
    if (block == frame && its_order == order) {
        return WAY_TAKEN;
    }
    frame_store_give(pool, block, its_order);
    return WAY_CLEARED;
}

/* One attempt; what is in the way says whether to make another. */
static enum frame_error take_at(struct frame_pool *pool, phys_addr_t address, unsigned order,
                                enum frame_owner owner, enum way *way) EXCLUDES(pool->lock)
{
    uint64_t frame = address.raw >> FRAME_SHIFT;
    bool busy = false;
    *way = WAY_OWNED;
    spinlock_acquire(&pool->lock);
    enum frame_error error = check_at(pool, address, order, owner);
    if (error == FRAME_OK && !frame_store_take_at(pool, frame, order, &busy)) {
        *way = busy ? clear_way(pool, frame, order) : WAY_OWNED;
        error = *way == WAY_TAKEN ? FRAME_OK : busy ? FRAME_BUSY : FRAME_NO_MEMORY;
    }
    if (error == FRAME_OK) {
        frame_describe(pool, frame, FRAME_ALLOCATED, order, owner);
        frame_book(pool, owner, (int64_t)1 << order);
    }
    spinlock_release(&pool->lock);
    return error;
}

enum frame_error frame_alloc_at(struct frame_pool *pool, phys_addr_t address, unsigned order,
                                enum frame_owner owner)
{
    struct frame_shortage shortage = {.order = 0, .frames = 1}; /* of memory for a descriptor */
    enum frame_error error;
    enum way way;
    do {
        error = take_at(pool, address, order, owner, &way);
    } while (error == FRAME_BUSY        ? way == WAY_CLEARED
             : error == FRAME_NO_MEMORY ? frame_reclaim(pool, &shortage)
                                        : false);
    if (way == WAY_ASKED) {
        frame_magazines_ask(pool);
    }
    return error;
}
