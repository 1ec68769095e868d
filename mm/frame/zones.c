/*
 * The policy with its zones and the count of free frames: the ground that store and backing stand on.
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

uint64_t frame_zones_take(struct frame_pool *pool, unsigned order, unsigned most, uint64_t limit,
                          unsigned *got)
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
