/*
 * Backing the descriptors. One page of descriptors describes 1 MiB; it is backed when the first block that
 * starts there leaves the store. The frames for it are never given back. They come from a reserve, which
 * grows by blocks of many frames: so they lie together, and there is not one of them in every 2 MiB of
 * memory.
 *
 * A block of the reserve is itself an allocated block, whose descriptor may need backing; the page for that
 * comes out of the block. So the work ends after a few pages, whatever was asked for.
 */
#include "internal.h"
#include "valid.h"

#define RESERVE_ORDER_MIN 3 /* more than one page of descriptors and its page tables need */

unsigned frame_reserve_order(uint64_t frame_limit)
{
    /* A sixteenth of what describes the whole machine, at most 2 MiB. */
    uint64_t frames = (frame_limit >> FRAME_PAGE_SHIFT) / 16;
    unsigned order = frames == 0 ? 0 : frame_order_below(frames);
    return order < RESERVE_ORDER_MIN ? RESERVE_ORDER_MIN : (unsigned)min_u64(order, FRAME_ORDER_2M);
}

bool frame_is_backed(struct frame_pool *pool, uint64_t frame)
{
    uint64_t page = frame >> FRAME_PAGE_SHIFT;
    return pool->backed[page / 64] >> page % 64 & 1;
}

static uint64_t reserve_frames(const struct frame_pool *pool) REQUIRES(pool->lock)
{
    return pool->reserve[0].end - pool->reserve[0].next + pool->reserve[1].end - pool->reserve[1].next;
}

bool frame_reserve_is_low(const struct frame_pool *pool)
{
    return reserve_frames(pool) < 1 + FRAME_TABLES_MAX;
}

static uint64_t reserve_take(struct frame_pool *pool) REQUIRES(pool->lock)
{
    if (pool->reserve[0].next == pool->reserve[0].end) {
        pool->reserve[0] = pool->reserve[1];
        pool->reserve[1] = (struct frame_reserve){0, 0};
    }
    return pool->reserve[0].next++;
}

/* The frames that reserve_take() would give next. */
static void reserve_peek(const struct frame_pool *pool, phys_addr_t frames[FRAME_TABLES_MAX])
    REQUIRES(pool->lock)
{
    uint64_t next = pool->reserve[0].next;
    for (unsigned i = 0; i < FRAME_TABLES_MAX; i++) {
        next = next == pool->reserve[0].end ? pool->reserve[1].next : next;
        frames[i] = phys_addr(next++ << FRAME_SHIFT);
    }
}

/* Backs the page of descriptors that holds `frame`'s; the reserve has enough. */
static void back_page(struct frame_pool *pool, uint64_t frame) REQUIRES(pool->lock)
{
    const struct frame_backing *backing = &pool->config.backing;
    uint64_t page = frame >> FRAME_PAGE_SHIFT;
    phys_addr_t page_frame = phys_addr(reserve_take(pool) << FRAME_SHIFT);
    memset(frame_pointer(pool, page_frame), 0, FRAME_BYTES);
    phys_addr_t tables[FRAME_TABLES_MAX];
    reserve_peek(pool, tables);
    unsigned used =
        backing->map(backing->context, &pool->descriptors[page << FRAME_PAGE_SHIFT], page_frame, tables);
    if (used > FRAME_TABLES_MAX) {
        panic("frames: backing used %u page tables of %u", used, FRAME_TABLES_MAX);
    }
    while (used-- > 0) {
        reserve_take(pool);
    }
    pool->backed[page / 64] |= 1ULL << page % 64;
    pool->work.pages++;
}

/* Sets another block apart; smaller ones when memory is short. Its frame, or none; *order is its order. */
static uint64_t reserve_grow(struct frame_pool *pool, unsigned *order) REQUIRES(pool->lock)
{
    for (*order = pool->reserve_order;; --*order) {
        unsigned got;
        uint64_t frame = frame_zones_take(pool, *order, *order, FRAME_LIMIT_MAX, &got);
        if (frame != FRAME_NUMBER_NONE) {
            pool->reserve[1] = (struct frame_reserve){frame, frame + (1ULL << *order)};
            return frame;
        }
        if (*order == RESERVE_ORDER_MIN) {
            return FRAME_NUMBER_NONE;
        }
    }
}

/* Fills the reserve until it can back one page; false when there is no memory. */
static bool reserve_fill(struct frame_pool *pool) REQUIRES(pool->lock)
{
    while (frame_reserve_is_low(pool)) {
        unsigned order;
        uint64_t frame = reserve_grow(pool, &order);
        if (frame == FRAME_NUMBER_NONE) {
            return false;
        }
        if (!frame_is_backed(pool, frame)) {
            back_page(pool, frame);
        }
        frame_describe(pool, frame, FRAME_ALLOCATED, order, OWNER_DESCRIPTORS);
        frame_book(pool, OWNER_DESCRIPTORS, (int64_t)1 << order);
    }
    return true;
}

bool frame_back(struct frame_pool *pool, uint64_t frame)
{
    DEBUG_ASSERT(frame_store_is_valid(pool));
    if (frame_is_backed(pool, frame)) {
        return true;
    }
    if (!reserve_fill(pool)) {
        return false;
    }
    if (!frame_is_backed(pool, frame)) { /* filling the reserve may have done it */
        back_page(pool, frame);
    }
    return true;
}

static bool back_locked(struct frame_pool *pool, uint64_t frame) EXCLUDES(pool->lock)
{
    spinlock_acquire(&pool->lock);
    bool backed = frame_back(pool, frame);
    spinlock_release(&pool->lock);
    return backed;
}

/* The reserve grows by blocks: what is free may have to be merged to one first. */
bool frame_back_all(struct frame_pool *pool, uint64_t frame, uint64_t end)
{
    bool backed = true;
    while (backed && frame < end) {
        backed = back_locked(pool, frame) || (frame_store_merge_all(pool) && back_locked(pool, frame));
        frame = align_down(frame, FRAME_DESCRIPTORS_PER_PAGE) + FRAME_DESCRIPTORS_PER_PAGE;
    }
    return backed;
}

enum frame_error frame_pool_back(struct frame_pool *pool, phys_addr_t base, uint64_t bytes)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    uint64_t first = base.raw >> FRAME_SHIFT;
    uint64_t last = (base.raw + bytes + FRAME_BYTES - 1) >> FRAME_SHIFT;
    bool backed = true;
    for (uint32_t i = 0; backed && i < pool->config.map_count; i++) {
        const struct memory_range *range = &pool->config.map[i];
        uint64_t range_first = range->base.raw >> FRAME_SHIFT;
        uint64_t range_last = range_first + (range->bytes >> FRAME_SHIFT);
        if (frame_type_is_ram(range->type)) {
            backed = frame_back_all(pool, max_u64(first, range_first), min_u64(last, range_last));
        }
    }
    return backed ? FRAME_OK : FRAME_NO_MEMORY;
}
