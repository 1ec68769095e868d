/*
 * Allocation: the slow path of frame_alloc(), and requests for exact lengths, an alignment, an address limit
 * or a batch. Each function first checks its arguments, then takes memory; when there is none,
 * frame_reclaim() does something that may help, and the function tries again. The lock is held for one block
 * at a time: between two holds nobody else can find the block that a run is cut from.
 */
#include "internal.h"
#include "mm/frame/cpu/cpu.h"
#include "valid.h"

phys_addr_t frame_alloc_slow(struct frame_pool *pool, unsigned order, enum frame_owner owner)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    VALIDATE_AT_RANDOM(frame, frame_pool_check, pool);
    if (order > FRAME_ORDER_MAX || (unsigned)owner >= OWNER_COUNT) {
        panic("frame_alloc: order %u, owner %u: %s", order, (unsigned)owner,
              frame_error_name(order > FRAME_ORDER_MAX ? FRAME_BAD_ORDER : FRAME_BAD_OWNER));
    }
    struct frame_shortage shortage = {.order = order, .frames = 1ULL << order};
    phys_addr_t block;
    do {
        preempt_disable();
        block = frame_magazine_alloc(pool, order, owner);
        preempt_enable();
    } while (block.raw == 0 && frame_reclaim(pool, &shortage));
    return block;
}

phys_addr_t frame_alloc_must(struct frame_pool *pool, unsigned order, enum frame_owner owner)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    phys_addr_t block;
    if (!frame_alloc_cached(pool, order, owner, &block)) {
        block = frame_alloc_slow(pool, order, owner);
    }
    if (block.raw == 0) {
        panic("frames: out of memory: no block of order %u for %s, %" PRIu64 " frames free", order,
              frame_owner_name(owner), frame_pool_free(pool));
    }
    return block;
}

static enum frame_error check_request(const struct frame_request *request)
{
    if (request->frames == 0 || request->frames > FRAME_RUN_MAX) {
        return FRAME_BAD_ORDER;
    }
    if (request->alignment != 0 && (!is_power_of_two(request->alignment) || request->alignment > GIB(1))) {
        return FRAME_BAD_ALIGNMENT;
    }
    return (unsigned)request->owner < OWNER_COUNT ? FRAME_OK : FRAME_BAD_OWNER;
}

/* Whether a frame from the stock of zeroed ones serves the request. */
static bool wants_zeroed_frame(const struct frame_request *request)
{
    return request->zeroed && request->frames == 1 && request->alignment <= FRAME_BYTES &&
           request->limit == 0;
}

enum frame_error frame_alloc_request(struct frame_pool *pool, const struct frame_request *request,
                                     phys_addr_t *address)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    VALIDATE_AT_RANDOM(frame, frame_pool_check, pool);
    enum frame_error error = check_request(request);
    if (error != FRAME_OK) {
        return error;
    }
    if (FAILING_NOW()) {
        return FRAME_NO_MEMORY;
    }
    phys_addr_t zeroed = wants_zeroed_frame(request) ? frame_zeroed_take(pool, request->owner) : FRAME_NONE;
    if (zeroed.raw != 0) {
        *address = zeroed;
        return FRAME_OK;
    }
    struct frame_shortage shortage = {.order = frame_request_order(request), .frames = request->frames};
    uint64_t frame;
    do {
        preempt_disable();
        frame = frame_request_take(pool, request);
        preempt_enable();
    } while (frame == FRAME_NUMBER_NONE && !request->try_only && frame_reclaim(pool, &shortage));
    if (frame == FRAME_NUMBER_NONE) {
        return FRAME_NO_MEMORY;
    }
    *address = phys_addr(frame << FRAME_SHIFT);
    if (request->zeroed) {
        memset(frame_pointer(pool, *address), 0, request->frames << FRAME_SHIFT);
    }
    return FRAME_OK;
}

phys_addr_t frame_alloc_zeroed(struct frame_pool *pool, enum frame_owner owner)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    if (FAILING_NOW()) {
        return FRAME_NONE;
    }
    phys_addr_t frame = (unsigned)owner < OWNER_COUNT ? frame_zeroed_take(pool, owner) : FRAME_NONE;
    if (frame.raw != 0) {
        return frame;
    }
    frame = frame_alloc(pool, 0, owner);
    if (frame.raw != 0) {
        memset(frame_pointer(pool, frame), 0, FRAME_BYTES);
    }
    return frame;
}

#define BATCH_PIECES  8 /* that memory may come in under one hold of the lock */
#define SINGLE_PIECES 3 /* as which a single frame counts: its leaf may have been merged for it */

/* Takes single frames under one hold of the lock, fewer than 2 * FRAME_BATCH; returns how many. */
static uint64_t take_batch(struct frame_pool *pool, uint64_t count, phys_addr_t *frames,
                           enum frame_owner owner)
{
    uint64_t done = 0;
    spinlock_acquire(&pool->lock);
    unsigned pieces = 0;
    while (done < min_u64(count, FRAME_BATCH) && pieces < BATCH_PIECES) {
        unsigned got;
        unsigned most = frame_order_below(min_u64(count - done, FRAME_BATCH));
        uint64_t frame = frame_store_take(pool, 0, most, FRAME_LIMIT_MAX, &got);
        if (frame == FRAME_NUMBER_NONE) {
            break;
        }
        for (uint64_t end = frame + (1ULL << got); frame < end; frame++) {
            frame_describe(pool, frame, FRAME_ALLOCATED, 0, owner);
            frames[done++] = phys_addr(frame << FRAME_SHIFT);
        }
        pieces += got == 0 ? SINGLE_PIECES : 1;
    }
    frame_book(pool, owner, (int64_t)done);
    spinlock_release(&pool->lock);
    return done;
}

uint64_t frame_alloc_batch(struct frame_pool *pool, uint64_t count, phys_addr_t *frames,
                           enum frame_owner owner)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    VALIDATE_AT_RANDOM(frame, frame_pool_check, pool);
    if ((unsigned)owner >= OWNER_COUNT || FAILING_NOW()) {
        return 0;
    }
    uint64_t done = 0;
    struct frame_shortage shortage = {.order = 0};
    while (done < count) {
        uint64_t taken = take_batch(pool, count - done, frames + done, owner);
        shortage.frames = count - done;
        if (taken == 0 && !frame_reclaim(pool, &shortage)) {
            break;
        }
        done += taken;
    }
    return done;
}
