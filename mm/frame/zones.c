/*
 * The policy with its zones and the count of free frames: the ground that store and backing stand on.
 *
 * Zones. Memory that few addresses can name is given out last: a request is served from above 4 GiB if it can
 * be, else from 16 MiB on, else from 2 MiB on, else from anywhere. Within a zone the policy takes the lowest
 * address.
 */
#include "internal.h"
#include "valid.h"

const uint64_t frame_zone_starts[FRAME_ZONES] = {GIB(4) >> FRAME_SHIFT, MIB(16) >> FRAME_SHIFT,
                                                 MIB(2) >> FRAME_SHIFT, 0};

unsigned frame_first_zone(uint64_t frame_limit)
{
    unsigned zone = 0;
    while (frame_zone_starts[zone] >= frame_limit) {
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

/* As a policy's give(); `state` is the pool, whose lock is held. */
static unsigned give_block(void *state, uint64_t frame, unsigned order) NO_LOCK_ANALYSIS
{
    return frame_policy_give(state, frame, order);
}

void frame_store_give_plain(struct frame_pool *pool, uint64_t first, uint64_t end)
{
    DEBUG_ASSERT(frame_store_is_valid(pool));
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
