/*
 * Allocation of a given block. When it is not free in the store, the first part of it that is not decides. If
 * it has an owner, the allocation fails. If it lies in a free block in a magazine of this CPU, that block is
 * taken out; it is the result if it is the block that is wanted, else it returns to the store, and there is
 * another attempt. Each attempt is one hold of the lock.
 */
#include "internal.h"
#include "mm/frame/cpu/cpu.h"
#include "valid.h"

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
    if (frame_is_managed(pool, first)) {
        return FRAME_OK;
    }
    return first < pool->frame_limit && frame_pool_range(pool, first) ? FRAME_RESERVED : FRAME_NOT_MANAGED;
}

/* What became of a block that is not free in the store. */
enum way {
    WAY_CLOSED,  /* by what somebody owns, or by no memory at all; or there is nothing in the way */
    WAY_ASK,     /* another CPU has it in a magazine, and is to be asked to drain */
    WAY_CLEARED, /* a part was in a magazine of this CPU, and is free now */
    WAY_TAKEN    /* so was exactly this block; it is out of there and not free */
};

/*
 * Looks at what is in the way of a block at `missing`, and returns it to the store if it is in a magazine of
 * this CPU.
 */
static enum way clear_way(struct frame_pool *pool, uint64_t frame, unsigned order, uint64_t missing)
    REQUIRES(pool->lock)
{
    uint64_t block = frame_find_block(pool, missing);
    if (block == FRAME_NUMBER_NONE) {
        return WAY_CLOSED;
    }
    uint32_t tag = atomic_load_explicit(&pool->descriptors[block].tag, memory_order_relaxed);
    unsigned its_order = frame_tag_order(tag);
    if (frame_tag_state(tag) != FRAME_CACHED) {
        return WAY_CLOSED;
    }
    if (!frame_magazine_remove(pool, block, its_order)) {
        return WAY_ASK;
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
    uint64_t missing = FRAME_NUMBER_NONE;
    *way = WAY_CLOSED;
    spinlock_acquire(&pool->lock);
    enum frame_error error = check_at(pool, address, order, owner);
    if (error == FRAME_OK && !frame_store_take_at(pool, frame, order, &missing)) {
        bool busy = missing != FRAME_NUMBER_NONE;
        *way = busy ? clear_way(pool, frame, order, missing) : WAY_CLOSED;
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
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    VALIDATE_AT_RANDOM(frame, frame_pool_check, pool);
    struct frame_shortage shortage = {.order = 0, .frames = 1}; /* of memory for a descriptor */
    enum frame_error error;
    enum way way;
    do {
        error = take_at(pool, address, order, owner, &way);
    } while (error == FRAME_BUSY        ? way == WAY_CLEARED
             : error == FRAME_NO_MEMORY ? frame_reclaim(pool, &shortage)
                                        : false);
    if (way == WAY_ASK) {
        frame_magazines_ask(pool);
    }
    return error;
}
