/*
 * What is always true of the frame pool's structures and seen in constant time; asserted by its operations.
 */
#pragma once

#include <ashlar/assert.h>
#include <ashlar/frame.h>
#include <ashlar/validate.h>

/* A pool that was made. Reads what never changes: from any context, with or without the lock. */
static inline bool frame_pool_is_valid(const struct frame_pool *pool)
{
    return pool->descriptors != NULL && pool->frame_limit != 0 && pool->policy_state != NULL &&
           pool->config.policy != NULL && pool->config.cpus != 0 && pool->cpu != NULL &&
           is_aligned(pool->state_base.raw, FRAME_BYTES);
}

/* A stock of frames for descriptors. */
static inline bool frame_reserve_is_valid(const struct frame_pool *pool, const struct frame_reserve *reserve)
{
    return reserve->next <= reserve->end && reserve->end <= pool->frame_limit;
}

/* The common store: its counts fit together. */
static inline bool frame_store_is_valid(const struct frame_pool *pool) REQUIRES(pool->lock)
{
    return pool->free_frames <= pool->managed_frames && pool->managed_frames <= pool->frame_limit &&
           frame_reserve_is_valid(pool, &pool->reserve[0]) && frame_reserve_is_valid(pool, &pool->reserve[1]);
}

/* A magazine of this CPU: it holds neither less than nothing nor more than its slots. */
static inline bool frame_magazine_is_valid(const struct frame_magazine *magazine)
{
    uint32_t top = atomic_load_explicit(&magazine->top, memory_order_relaxed);
    uint32_t limit = atomic_load_explicit(&magazine->limit, memory_order_relaxed);
    return magazine->bottom <= top && top <= magazine->end && magazine->end <= FRAME_SLOTS &&
           (limit == 0 || limit == magazine->end);
}
