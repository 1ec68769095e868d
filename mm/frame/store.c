/*
 * The common store: what is free, with descriptors backed for what leaves it. Everything here runs under the
 * pool's lock.
 */
#include "internal.h"
#include "valid.h"

/*
 * Of a block that was taken for several blocks of `order`, each described by pages of its own: gives back
 * what lies behind the first whose descriptor is not backed, since backing all of them would take long.
 */
static void keep_described(struct frame_pool *pool, uint64_t frame, unsigned order, unsigned *got)
    REQUIRES(pool->lock)
{
    unsigned kept = order;
    uint64_t next = frame + (1ULL << order);
    while (kept < *got && frame_is_backed(pool, next)) {
        next += 1ULL << order;
        kept += next == frame + (2ULL << kept);
    }
    if (kept < *got) {
        frame_store_give_plain(pool, frame + (1ULL << kept), frame + (1ULL << *got));
        *got = kept;
    }
}

uint64_t frame_store_take(struct frame_pool *pool, unsigned order, unsigned most, uint64_t limit,
                          unsigned *got)
{
    DEBUG_ASSERT(frame_store_is_valid(pool));
    if (order > FRAME_PAGE_SHIFT && frame_reserve_is_low(pool)) {
        most = order; /* if it has to be backed, that is enough work without more blocks */
    }
    uint64_t frame = frame_zones_take(pool, order, most, limit, got);
    if (frame != FRAME_NUMBER_NONE && *got > order && order > FRAME_PAGE_SHIFT) {
        keep_described(pool, frame, order, got);
    }
    if (frame != FRAME_NUMBER_NONE && !frame_back(pool, frame)) {
        frame_store_give_plain(pool, frame, frame + (1ULL << *got));
        return FRAME_NUMBER_NONE;
    }
    return frame;
}

bool frame_store_take_at(struct frame_pool *pool, uint64_t frame, unsigned order, uint64_t *missing)
{
    DEBUG_ASSERT(frame_store_is_valid(pool));
    *missing = pool->config.policy->take_at(pool->policy_state, frame, order);
    if (*missing != FRAME_NUMBER_NONE) {
        return false;
    }
    pool->free_frames -= 1ULL << order;
    if (!frame_back(pool, frame)) {
        frame_store_give_plain(pool, frame, frame + (1ULL << order));
        return false;
    }
    return true;
}

void frame_store_give(struct frame_pool *pool, uint64_t frame, unsigned order)
{
    DEBUG_ASSERT(frame_store_is_valid(pool));
    struct frame_descriptor *descriptor = &pool->descriptors[frame];
    atomic_store_explicit(&descriptor->tag, frame_tag(FRAME_FREED, order, 0), memory_order_relaxed);
    frame_policy_give(pool, frame, order);
}
