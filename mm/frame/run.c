/*
 * Runs: lengths that are no power of two. A run is made of blocks, the largest that are aligned and lie in
 * it; the first is FRAME_RUN and has the references, the others are FRAME_RUN_PART. Whoever claims the first
 * has all of it. A run that starts at a multiple of its largest block is its length in binary, the largest
 * first; one that starts elsewhere begins with smaller ones.
 */
#include "internal.h"
#include "valid.h"

/* ---- Making ---- */

bool frame_run_back(struct frame_pool *pool, uint64_t first, uint64_t frames)
{
    bool backed = true;
    uint64_t end = first + frames;
    uint64_t at = first;
    while (backed && at < end) {
        if (at >> FRAME_PAGE_SHIFT != first >> FRAME_PAGE_SHIFT) { /* described by another page */
            spinlock_acquire(&pool->lock);
            backed = frame_back(pool, at);
            spinlock_release(&pool->lock);
            first = at;
        }
        at += 1ULL << frame_run_first_order(at, end - at);
    }
    return backed;
}

void frame_run_describe(struct frame_pool *pool, uint64_t first, uint64_t frames, enum frame_owner owner)
{
    enum frame_state state = is_power_of_two(frames) ? FRAME_ALLOCATED : FRAME_RUN;
    while (frames > 0) {
        unsigned order = frame_run_first_order(first, frames);
        frame_describe(pool, first, state, order, owner);
        state = FRAME_RUN_PART;
        first += 1ULL << order;
        frames -= 1ULL << order;
    }
}

/* ---- Giving back ---- */

/* Whether the blocks that start at `first` are those of a run of exactly `frames` frames. */
static bool run_matches(struct frame_pool *pool, uint64_t first, uint64_t frames) REQUIRES(pool->lock)
{
    enum frame_state state = FRAME_RUN;
    unsigned order = 0;
    for (uint64_t left = frames; left > 0; left -= 1ULL << order) {
        order = frame_run_first_order(first, left);
        if (!frame_is_backed(pool, first) ||
            frame_tag_plain(frame_tag_of(pool, first)) != frame_tag(state, order, 1)) {
            return false;
        }
        state = FRAME_RUN_PART;
        first += 1ULL << order;
    }
    /* A longer run goes on; what else follows does not start with a part of one. */
    return first >= pool->frame_limit || !frame_is_backed(pool, first) ||
           frame_tag_state(frame_tag_of(pool, first)) != FRAME_RUN_PART;
}

static enum frame_error diagnose_run(struct frame_pool *pool, phys_addr_t run, uint64_t frames)
    REQUIRES(pool->lock)
{
    if (frames == 0 || frames > FRAME_RUN_MAX) {
        return FRAME_BAD_ORDER;
    }
    enum frame_error error = frame_diagnose_start(pool, run);
    if (error != FRAME_OK) {
        return error;
    }
    uint32_t tag = frame_tag_of(pool, run.raw >> FRAME_SHIFT);
    error = frame_diagnose_use(pool, run.raw >> FRAME_SHIFT);
    if (error != FRAME_OK || frame_tag_references(tag) != 1) {
        return error != FRAME_OK ? error : FRAME_SHARED;
    }
    return frame_tag_state(tag) == FRAME_RUN && run_matches(pool, run.raw >> FRAME_SHIFT, frames)
               ? FRAME_OK
               : FRAME_WRONG_LENGTH;
}

/*
 * Gives the blocks of a claimed run back, one under each hold of the lock; the last one first, so that nobody
 * can get memory of it behind which a part of a run follows. Preemption is off from the claim to the end, as
 * for a block (free.c).
 */
static void give_run(struct frame_pool *pool, uint64_t first, uint64_t frames) EXCLUDES(pool->lock)
{
    frame_book(pool, frame_descriptor_owner(&pool->descriptors[first]), -(int64_t)frames);
    while (frames > 0) {
        unsigned order = frame_run_last_order(first + frames, frames);
        frames -= 1ULL << order;
        spinlock_acquire(&pool->lock);
        frame_store_give(pool, first + frames, order);
        spinlock_release(&pool->lock);
    }
}

enum frame_error frame_try_free_run(struct frame_pool *pool, phys_addr_t run, uint64_t frames)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    VALIDATE_AT_RANDOM(frame, frame_pool_check, pool);
    uint64_t first = run.raw >> FRAME_SHIFT;
    enum frame_error error;
    if (is_power_of_two(frames) && frames <= FRAME_RUN_MAX) {
        error = frame_try_free(pool, run, frame_order_below(frames));
        return error == FRAME_WRONG_ORDER ? FRAME_WRONG_LENGTH : error;
    }
    preempt_disable();
    spinlock_acquire(&pool->lock);
    do {
        error = diagnose_run(pool, run, frames);
    } while (error == FRAME_OK && !frame_claim(pool, first, FRAME_RUN, frame_run_first_order(first, frames)));
    spinlock_release(&pool->lock);
    if (error == FRAME_OK) {
        give_run(pool, first, frames);
    }
    preempt_enable();
    return error;
}

void frame_free_run(struct frame_pool *pool, phys_addr_t run, uint64_t frames)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    VALIDATE_AT_RANDOM(frame, frame_pool_check, pool);
    enum frame_error error = frame_try_free_run(pool, run, frames);
    if (error != FRAME_OK) {
        frame_report(pool, "frame_free_run", run, frames, error);
    }
}

/* Frames of the run that starts at `first`: the sum of its blocks; 0 if none does. */
static uint64_t run_length(struct frame_pool *pool, uint64_t first) REQUIRES(pool->lock)
{
    uint64_t frames = 0;
    for (;;) {
        uint64_t next = first + frames;
        if (next >= pool->frame_limit || !frame_is_backed(pool, next)) {
            return frames;
        }
        uint32_t tag = frame_tag_of(pool, next);
        if (frame_tag_state(tag) != (frames ? FRAME_RUN_PART : FRAME_RUN)) {
            return frames;
        }
        frames += 1ULL << frame_tag_order(tag);
    }
}

bool frame_run_put(struct frame_pool *pool, phys_addr_t run)
{
    uint64_t first = run.raw >> FRAME_SHIFT;
    preempt_disable();
    spinlock_acquire(&pool->lock);
    uint64_t frames = run_length(pool, first);
    enum frame_error error = diagnose_run(pool, run, frames);
    bool claimed =
        error == FRAME_OK && frame_claim(pool, first, FRAME_RUN, frame_run_first_order(first, frames));
    spinlock_release(&pool->lock);
    if (claimed) {
        give_run(pool, first, frames);
    }
    preempt_enable();
    if (error != FRAME_OK) {
        frame_report(pool, "frame_put", run, frames, error);
    }
    return claimed;
}
