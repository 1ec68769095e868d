/*
 * The common store: the policy, with the zones it is searched in, the count of free frames, and descriptors
 * backed for what leaves it. Everything here runs under the pool's lock.
 *
 * Zones. Memory that few addresses can name is given out last: a request is served from above 4 GiB if it can
 * be, else from 16 MiB on, else from 2 MiB on, else from anywhere. Within a zone the policy takes the lowest
 * address.
 */
#include "internal.h"

static const uint64_t zone_starts[] = {GIB(4) >> FRAME_SHIFT, MIB(16) >> FRAME_SHIFT, MIB(2) >> FRAME_SHIFT,
                                       0};

unsigned frame_first_zone(uint64_t frame_limit)
{
    unsigned zone = 0;
    while (zone_starts[zone] >= frame_limit) {
        zone++;
    }
    return zone;
}

unsigned frame_order_above(uint64_t frames)
{
    return frames <= 1 ? 0 : 64U - (unsigned)__builtin_clzll(frames - 1);
}

unsigned frame_order_below(uint64_t frames)
{
    return 63U - (unsigned)__builtin_clzll(frames);
}

void frame_for_each_block(void *state, uint64_t first, uint64_t end,
                          unsigned (*visit)(void *state, uint64_t frame, unsigned order))
{
    while (first < end) {
        unsigned order = frame_order_below(end - first);
        if (first != 0) {
            order = (unsigned)min_u64(order, (uint64_t)__builtin_ctzll(first));
        }
        order = (unsigned)min_u64(order, FRAME_ORDER_MAX);
        visit(state, first, order);
        first += 1ULL << order;
    }
}

/* Asks the policy zone by zone; counts what it gives. */
static uint64_t take_from_zones(struct frame_pool *pool, unsigned order, unsigned most, uint64_t limit,
                                unsigned *got) REQUIRES(pool->lock)
{
    uint64_t end = min_u64(limit, FRAME_LIMIT_MAX);
    if (pool->free_frames >> order == 0) { /* spares searching all zones in vain where nothing is left */
        return FRAME_NO_FRAME;
    }
    for (unsigned zone = pool->first_zone; zone < ARRAY_LENGTH(zone_starts); zone++) {
        uint64_t from = zone_starts[zone];
        uint64_t frame = FRAME_NO_FRAME;
        if (from < end) {
            pool->work.searches++;
            frame = pool->config.policy->take(pool->policy_state, order, most, from, end, got);
        }
        if (frame != FRAME_NO_FRAME) {
            pool->free_frames -= 1ULL << *got;
            return frame;
        }
    }
    return FRAME_NO_FRAME;
}

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
    if (order > FRAME_PAGE_SHIFT && frame_reserve_is_low(pool)) {
        most = order; /* if it has to be backed, that is enough work without more blocks */
    }
    uint64_t frame = take_from_zones(pool, order, most, limit, got);
    if (frame != FRAME_NO_FRAME && *got > order && order > FRAME_PAGE_SHIFT) {
        keep_described(pool, frame, order, got);
    }
    if (frame != FRAME_NO_FRAME && !frame_back(pool, frame)) {
        frame_store_give_plain(pool, frame, frame + (1ULL << *got));
        return FRAME_NO_FRAME;
    }
    return frame;
}

uint64_t frame_store_take_plain(struct frame_pool *pool, unsigned order)
{
    unsigned got;
    return take_from_zones(pool, order, order, FRAME_LIMIT_MAX, &got);
}

bool frame_store_take_at(struct frame_pool *pool, uint64_t frame, unsigned order, uint64_t *missing)
{
    *missing = pool->config.policy->take_at(pool->policy_state, frame, order);
    if (*missing != FRAME_NO_FRAME) {
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
    struct frame_descriptor *descriptor = &pool->descriptors[frame];
    atomic_store_explicit(&descriptor->tag, frame_tag(FRAME_FREED, order, 0), memory_order_relaxed);
    frame_policy_give(pool, frame, order);
}

/* As a policy's give(); `state` is the pool, whose lock is held. */
static unsigned give_block(void *state, uint64_t frame, unsigned order) NO_LOCK_ANALYSIS
{
    return frame_policy_give(state, frame, order);
}

void frame_store_give_plain(struct frame_pool *pool, uint64_t first, uint64_t end)
{
    frame_for_each_block(pool, first, end, give_block);
}

/* As a policy's give(); `state` is the pool. */
static unsigned return_block(void *state, uint64_t frame, unsigned order)
{
    struct frame_pool *pool = state;
    spinlock_acquire(&pool->lock);
    unsigned changes = frame_policy_give(pool, frame, order);
    spinlock_release(&pool->lock);
    return changes;
}

void frame_store_return(struct frame_pool *pool, uint64_t first, uint64_t end)
{
    frame_for_each_block(pool, first, end, return_block);
}

bool frame_store_merge(struct frame_pool *pool)
{
    spinlock_acquire(&pool->lock);
    bool merged = pool->config.policy->merge(pool->policy_state);
    spinlock_release(&pool->lock);
    return merged;
}

bool frame_store_merge_all(struct frame_pool *pool)
{
    bool any = false;
    uint64_t left = frame_store_merges_max(pool);
    while (left-- > 0 && frame_store_merge(pool)) {
        any = true;
    }
    return any;
}
