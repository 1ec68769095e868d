/*
 * Allocation with wishes: exact lengths, alignment, address limits, given addresses, batches. Each function
 * first checks what it was asked, then takes from the store; when the store has nothing, what
 * frame_reclaim() finds is taken first.
 */
#include "frame_internal.h"

phys_addr_t frame_alloc_must(struct frame_pool *pool, unsigned order, enum frame_owner owner)
{
    phys_addr_t block = frame_alloc(pool, order, owner);
    if (block.raw == 0) {
        panic("frames: out of memory: no block of order %u for %s, %llu frames free", order,
              frame_owner_name(owner), (unsigned long long)frame_pool_free(pool));
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

/* Order of the block that a request is cut from. */
static unsigned request_order(const struct frame_request *request)
{
    unsigned order = frame_order_above(request->frames);
    unsigned alignment_order = frame_order_above(request->alignment >> FRAME_SHIFT);
    return order > alignment_order ? order : alignment_order;
}

/* Backs the descriptor of every block that a run is made of. */
static bool back_run(struct frame_pool *pool, uint64_t first, uint64_t frames) REQUIRES(pool->lock)
{
    while (frames > 0) {
        if (!frame_back(pool, first)) {
            return false;
        }
        uint64_t size = 1ULL << frame_order_below(frames);
        first += size;
        frames -= size;
    }
    return true;
}

/* Writes the descriptors of a run: its length in binary, the largest block first. */
static void describe_run(struct frame_pool *pool, uint64_t first, uint64_t frames, enum frame_owner owner)
{
    enum frame_state state = is_power_of_two(frames) ? FRAME_ALLOCATED : FRAME_RUN;
    while (frames > 0) {
        unsigned order = frame_order_below(frames);
        frame_describe(pool, first, state, order, owner);
        state = FRAME_RUN_PART;
        first += 1ULL << order;
        frames -= 1ULL << order;
    }
}

/* One attempt to serve a checked request; the first frame, or none. */
static uint64_t take_request(struct frame_pool *pool, const struct frame_request *request)
{
    unsigned order = request_order(request);
    uint64_t limit = request->limit == 0 ? FRAME_LIMIT_MAX : request->limit >> FRAME_SHIFT;
    /* A block that is cut must lie below the limit only as far as it is used. */
    uint64_t unused = (1ULL << order) - request->frames;
    unsigned got;
    spinlock_acquire(&pool->lock);
    uint64_t frame = frame_store_take(pool, order, order, limit, &got);
    if (frame == FRAME_NO_FRAME && unused > 0 && limit < FRAME_LIMIT_MAX) {
        frame = frame_store_take(pool, order, order, limit + unused, &got);
    }
    if (frame != FRAME_NO_FRAME) {
        frame_store_give_plain(pool, frame + request->frames, frame + (1ULL << order));
        if (back_run(pool, frame, request->frames)) {
            describe_run(pool, frame, request->frames, request->owner);
            frame_book(pool, request->owner, (int64_t)request->frames);
        } else {
            frame_store_give_plain(pool, frame, frame + request->frames);
            frame = FRAME_NO_FRAME;
        }
    }
    spinlock_release(&pool->lock);
    return frame;
}

enum frame_error frame_alloc_request(struct frame_pool *pool, const struct frame_request *request,
                                     phys_addr_t *address)
{
    enum frame_error error = check_request(request);
    if (error != FRAME_OK) {
        return error;
    }
    unsigned step = 0;
    uint64_t frame = take_request(pool, request);
    while (frame == FRAME_NO_FRAME && !request->try_only && frame_reclaim(pool, &step, request->frames)) {
        frame = take_request(pool, request);
    }
    if (frame == FRAME_NO_FRAME) {
        return FRAME_NO_MEMORY;
    }
    *address = phys_addr(frame << FRAME_SHIFT);
    if (request->zeroed) {
        memset(frame_pointer(pool, *address), 0, request->frames << FRAME_SHIFT);
    }
    return FRAME_OK;
}

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
                                enum frame_owner owner)
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

enum frame_error frame_alloc_at(struct frame_pool *pool, phys_addr_t address, unsigned order,
                                enum frame_owner owner)
{
    unsigned step = 0;
    enum frame_error error = take_at(pool, address, order, owner);
    while ((error == FRAME_BUSY || error == FRAME_NO_MEMORY) && frame_reclaim(pool, &step, 1ULL << order)) {
        error = take_at(pool, address, order, owner);
    }
    return error;
}

#define BATCH_PIECES 8 /* that memory may come in under one hold of the lock */

/* Some single frames under one hold of the lock, fewer than 2 * FRAME_BATCH; returns how many. */
static uint64_t take_batch(struct frame_pool *pool, uint64_t count, phys_addr_t *frames,
                           enum frame_owner owner)
{
    uint64_t done = 0;
    spinlock_acquire(&pool->lock);
    for (unsigned pieces = 0; done < min_u64(count, FRAME_BATCH) && pieces < BATCH_PIECES; pieces++) {
        unsigned got;
        unsigned most = frame_order_below(min_u64(count - done, FRAME_BATCH));
        uint64_t frame = frame_store_take(pool, 0, most, FRAME_LIMIT_MAX, &got);
        if (frame == FRAME_NO_FRAME) {
            break;
        }
        for (uint64_t end = frame + (1ULL << got); frame < end; frame++) {
            frame_describe(pool, frame, FRAME_ALLOCATED, 0, owner);
            frames[done++] = phys_addr(frame << FRAME_SHIFT);
        }
    }
    frame_book(pool, owner, (int64_t)done);
    spinlock_release(&pool->lock);
    return done;
}

uint64_t frame_alloc_batch(struct frame_pool *pool, uint64_t count, phys_addr_t *frames,
                           enum frame_owner owner)
{
    if ((unsigned)owner >= OWNER_COUNT) {
        return 0;
    }
    uint64_t done = 0;
    unsigned step = 0;
    while (done < count) {
        uint64_t taken = take_batch(pool, count - done, frames + done, owner);
        if (taken == 0 && !frame_reclaim(pool, &step, count - done)) {
            break;
        }
        done += taken;
    }
    return done;
}
