/*
 * The common store: what is free, with descriptors backed for what leaves it. Everything here runs under the
 * pool's lock.
 */
#include "internal.h"
#include "valid.h"

#define PARTS_OF_2M  0x5555555555555555ULL  /* pages of descriptors at which blocks of 2 MiB start */
#define TOGETHER_MAX (FRAME_PAGE_SHIFT + 6) /* order of what 64 pages describe */

/*
 * Of a block that was taken to be cut into parts of 2^order frames, of which each starts in a page of
 * descriptors of its own: gives back what follows the first part whose descriptor is not backed, since
 * backing all of them would take long. The part in front is backed later. All bits are in one word.
 */
static void keep_described(struct frame_pool *pool, uint64_t frame, unsigned order, unsigned *got)
    REQUIRES(pool->lock)
{
    uint64_t page = frame >> FRAME_PAGE_SHIFT;
    uint64_t starts = order == FRAME_PAGE_SHIFT ? ~1ULL : PARTS_OF_2M & ~1ULL;
    uint64_t missing = ~(pool->backed[page / 64] >> page % 64) & starts;
    uint64_t first = missing != 0 ? (uint64_t)__builtin_ctzll(missing) : 64;
    if (first >> (*got - FRAME_PAGE_SHIFT) == 0) {
        unsigned kept = FRAME_PAGE_SHIFT + frame_order_below(first);
        frame_store_give_plain(pool, frame + (1ULL << kept), frame + (1ULL << *got));
        *got = kept;
    }
}

uint64_t frame_store_take(struct frame_pool *pool, unsigned order, unsigned most, uint64_t limit,
                          unsigned *got)
{
    DEBUG_ASSERT(frame_store_is_valid(pool));
    unsigned described = order > FRAME_PAGE_SHIFT ? order : FRAME_PAGE_SHIFT; /* by one page in any case */
    DEBUG_ASSERT(most == order || (described <= FRAME_ORDER_2M && most <= TOGETHER_MAX));
    if (most > described && frame_reserve_is_low(pool)) {
        most = described; /* if it has to be backed, that is enough work without more blocks */
    }
    uint64_t frame = frame_zones_take(pool, order, most, limit, got);
    if (frame != FRAME_NUMBER_NONE && *got > described) {
        keep_described(pool, frame, described, got);
    }
    if (frame != FRAME_NUMBER_NONE && !frame_back(pool, frame)) {
        frame_store_give_plain(pool, frame, frame + (1ULL << *got));
        return FRAME_NUMBER_NONE;
    }
    return frame;
}

unsigned frame_store_take_more(struct frame_pool *pool, uint64_t frame, unsigned order, uint64_t frames,
                               struct frame_piece pieces[], unsigned most)
{
    uint64_t first = align_down(frame, 1ULL << FRAME_ORDER_2M);
    if (!frame_is_backed(pool, first) || !frame_is_backed(pool, first + FRAME_DESCRIPTORS_PER_PAGE)) {
        return 0;
    }
    unsigned count = pool->config.policy->take_more(pool->policy_state, frame, order, frames, pieces, most);
    for (unsigned i = 0; i < count; i++) {
        pool->free_frames -= 1ULL << pieces[i].order;
    }
    return count;
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
