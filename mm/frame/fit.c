/*
 * Where the memory of a request lies. A block, and a run that has to be aligned, is the front of a free block
 * of the next power of two. A run that may start at any frame begins with the free frames in front of that
 * block: so runs of one length lie one behind the other, where else up to half of the memory would lie
 * between them, in pieces too small for one more. When no block is large enough, free memory may still be,
 * around a smaller one: any stretch of the run's length holds an aligned block of a fourth of the next power
 * of two.
 *
 * Each step takes or gives one block under one hold of the lock. What was taken is nobody else's; what turns
 * out not to suffice goes back.
 */
#include "internal.h"

#define TRIES 4 /* blocks of one order that are looked at for a run that is longer than they are */

/* Frames that were taken one after the other, and belong to no one yet. */
struct stretch {
    uint64_t first; /* frame */
    uint64_t end;   /* the frame behind the last one */
};

unsigned frame_request_order(const struct frame_request *request)
{
    unsigned order = frame_order_above(request->frames);
    unsigned alignment_order = frame_order_above(request->alignment >> FRAME_SHIFT);
    return order > alignment_order ? order : alignment_order;
}

static uint64_t request_limit(const struct frame_request *request)
{
    return request->limit == 0 ? FRAME_LIMIT_MAX : request->limit >> FRAME_SHIFT;
}

/* A block of `order` of which the front may serve the request; its first frame, or none. */
static uint64_t take_block(struct frame_pool *pool, const struct frame_request *request, unsigned order)
    EXCLUDES(pool->lock)
{
    uint64_t limit = request_limit(request);
    /* A block that is cut must lie below the limit only as far as it is used. */
    uint64_t used = min_u64(request->frames, 1ULL << order);
    uint64_t unused = (1ULL << order) - used;
    unsigned got;
    spinlock_acquire(&pool->lock);
    uint64_t frame = frame_store_take(pool, order, order, limit, &got);
    if (frame == FRAME_NUMBER_NONE && unused > 0 && limit < FRAME_LIMIT_MAX) {
        frame = frame_store_take(pool, order, order, limit + unused, &got);
    }
    spinlock_release(&pool->lock);
    return frame;
}

/* Order of the free block that a frame lies in, but no more than `most` frames; -1 if it is not free. */
static int order_of(struct frame_pool *pool, uint64_t frame, uint64_t most) REQUIRES(pool->lock)
{
    int order = pool->config.policy->free_order(pool->policy_state, frame);
    return order < (int)frame_order_below(most) ? order : (int)frame_order_below(most);
}

/* Memory that few addresses can name is not taken for a run that starts above it. */
static bool starts_zone(uint64_t frame)
{
    bool any = frame == 0;
    for (unsigned zone = 0; zone < FRAME_ZONES; zone++) {
        any = any || frame == frame_zone_starts[zone];
    }
    return any;
}

/* Takes the free block in front of a stretch, of a long one its end, up to `most` frames; whether it did. */
static bool extend_down(struct frame_pool *pool, struct stretch *stretch, uint64_t most) EXCLUDES(pool->lock)
{
    uint64_t missing;
    if (most == 0 || starts_zone(stretch->first)) {
        return false;
    }
    spinlock_acquire(&pool->lock);
    int order = order_of(pool, stretch->first - 1, most);
    uint64_t first = stretch->first - (order < 0 ? 0 : 1ULL << order);
    bool taken = order >= 0 && frame_store_take_at(pool, first, (unsigned)order, &missing);
    spinlock_release(&pool->lock);
    stretch->first = taken ? first : stretch->first;
    return taken;
}

/* Takes the free block behind a stretch, of a long one its front, up to `most` frames; whether it did. */
static bool extend_up(struct frame_pool *pool, struct stretch *stretch, uint64_t most) EXCLUDES(pool->lock)
{
    uint64_t missing;
    if (most == 0 || stretch->end >= pool->frame_limit) {
        return false;
    }
    spinlock_acquire(&pool->lock);
    int order = order_of(pool, stretch->end, most);
    bool taken = order >= 0 && frame_store_take_at(pool, stretch->end, (unsigned)order, &missing);
    spinlock_release(&pool->lock);
    stretch->end += taken ? 1ULL << order : 0;
    return taken;
}

/*
 * Makes a stretch as long as a run of `frames`, beginning with what is free in front of it: in each direction
 * as many blocks as a run may have, for frames that are not merged yet may be any number.
 */
static void extend(struct frame_pool *pool, struct stretch *stretch, uint64_t frames, uint64_t limit)
{
    uint64_t lowest = stretch->first - min_u64(stretch->first, 2 * frames);
    for (unsigned i = 0; i < FRAME_ORDERS && extend_down(pool, stretch, stretch->first - lowest); i++) {
    }
    uint64_t end = min_u64(stretch->first + frames, limit);
    for (unsigned i = 0; i < FRAME_ORDERS && stretch->end < end; i++) {
        if (!extend_up(pool, stretch, end - stretch->end)) {
            return;
        }
    }
}

/* Cuts a request out of a stretch, of which the rest is free again; its first frame, or none, and then all of
 * the stretch is free again. */
static uint64_t cut(struct frame_pool *pool, const struct frame_request *request,
                    const struct stretch *stretch) EXCLUDES(pool->lock)
{
    if (!frame_run_back(pool, stretch->first, request->frames)) {
        frame_store_return(pool, stretch->first, stretch->end);
        return FRAME_NUMBER_NONE;
    }
    frame_store_return(pool, stretch->first + request->frames, stretch->end);
    return stretch->first;
}

/*
 * Serves a run that may start anywhere from a free block of `order` and its neighbours; the first frame, or
 * none. Blocks that have too few neighbours are kept, so that others are found, until the search ends.
 */
static uint64_t take_around(struct frame_pool *pool, const struct frame_request *request, unsigned order)
    EXCLUDES(pool->lock)
{
    struct stretch tried[TRIES];
    unsigned count = 0;
    uint64_t frame = FRAME_NUMBER_NONE;
    while (count < TRIES) {
        uint64_t block = take_block(pool, request, order);
        if (block == FRAME_NUMBER_NONE) {
            break;
        }
        struct stretch *stretch = &tried[count++];
        *stretch = (struct stretch){block, block + (1ULL << order)};
        extend(pool, stretch, request->frames, request_limit(request));
        if (stretch->end - stretch->first >= request->frames) {
            count--;
            frame = cut(pool, request, stretch);
            break;
        }
    }
    while (count-- > 0) {
        frame_store_return(pool, tried[count].first, tried[count].end);
    }
    return frame;
}

/* Serves a request from the front of an aligned block; the first frame, or none. */
static uint64_t take_front(struct frame_pool *pool, const struct frame_request *request, unsigned order)
    EXCLUDES(pool->lock)
{
    uint64_t block = take_block(pool, request, order);
    struct stretch stretch = {block, block + (1ULL << order)};
    return block == FRAME_NUMBER_NONE ? block : cut(pool, request, &stretch);
}

uint64_t frame_request_take(struct frame_pool *pool, const struct frame_request *request)
{
    bool block = is_power_of_two(request->frames);
    unsigned order = frame_request_order(request);
    uint64_t frame;
    if (block || request->alignment == 0 || request->alignment > FRAME_BYTES) {
        frame = take_front(pool, request, order);
    } else {
        frame = take_around(pool, request, order);
        unsigned fourth = order < 2 ? 0 : order - 2;
        frame = frame == FRAME_NUMBER_NONE ? take_around(pool, request, fourth) : frame;
    }
    if (frame != FRAME_NUMBER_NONE) {
        frame_run_describe(pool, frame, request->frames, request->owner);
        frame_book(pool, request->owner, (int64_t)request->frames);
    }
    return frame;
}
