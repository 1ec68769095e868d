/*
 * Freeing, and what is wrong with a free. The fast path compares one word; everything that does not match
 * comes here and is looked at until the mistake has a name.
 *
 * A descriptor may change while it is looked at, because frees of other CPUs and references take no lock. So
 * whatever is done here on the strength of a look is one compare-and-exchange of the tag that was seen; if
 * that fails, the look is taken again.
 */
#include "internal.h"

static uint32_t tag_of(const struct frame_pool *pool, uint64_t frame)
{
    return atomic_load_explicit(&pool->descriptors[frame].tag, memory_order_relaxed);
}

/* Replaces the tag of a block's first frame if it still is `seen`; whether it was. */
static bool change_tag(struct frame_pool *pool, uint64_t frame, uint32_t seen, uint32_t tag)
{
    return atomic_compare_exchange_strong_explicit(&pool->descriptors[frame].tag, &seen, tag,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

/* What is wrong with using `block` as the start of an allocated block, whatever its order; FRAME_OK if
 * nothing. */
static enum frame_error diagnose_start(struct frame_pool *pool, phys_addr_t block) REQUIRES(pool->lock)
{
    uint64_t frame = block.raw >> FRAME_SHIFT;
    if (!is_aligned(block.raw, FRAME_BYTES)) {
        return FRAME_BAD_ALIGNMENT;
    }
    if (frame >= pool->frame_limit || !frame_pool_range(pool, frame)) {
        return FRAME_NOT_MANAGED;
    }
    if (!frame_is_managed(pool, frame)) {
        return FRAME_RESERVED;
    }
    enum frame_state state =
        frame_is_backed(pool, frame) ? frame_tag_state(tag_of(pool, frame)) : FRAME_UNKNOWN;
    if (state == FRAME_ALLOCATED || state == FRAME_RUN) {
        return FRAME_OK;
    }
    if (state == FRAME_CACHED) {
        return FRAME_DOUBLE_FREE;
    }
    uint64_t first = frame_find_block(pool, frame);
    if (state == FRAME_RUN_PART || (first != FRAME_NO_FRAME && first != frame)) {
        return first != FRAME_NO_FRAME && frame_tag_state(tag_of(pool, first)) == FRAME_CACHED
                   ? FRAME_DOUBLE_FREE
                   : FRAME_PART_OF_BLOCK;
    }
    return state == FRAME_FREED ? FRAME_DOUBLE_FREE : FRAME_NOT_ALLOCATED;
}

static enum frame_error diagnose_block(struct frame_pool *pool, phys_addr_t block, unsigned order)
    REQUIRES(pool->lock)
{
    if (order > FRAME_ORDER_MAX) {
        return FRAME_BAD_ORDER;
    }
    enum frame_error error = diagnose_start(pool, block);
    if (error != FRAME_OK) {
        return error;
    }
    uint32_t tag = tag_of(pool, block.raw >> FRAME_SHIFT);
    if (frame_tag_state(tag) == FRAME_RUN) {
        return FRAME_WRONG_LENGTH;
    }
    if (frame_tag_order(tag) != order) {
        return FRAME_WRONG_ORDER;
    }
    return frame_tag_references(tag) == 1 ? FRAME_OK : FRAME_SHARED;
}

/* Panics with all that is known about a mistaken free. */
static _Noreturn void report(struct frame_pool *pool, const char *operation, phys_addr_t block,
                             uint64_t frames, enum frame_error error)
{
    struct frame_facts facts;
    frame_pool_look(pool, block, &facts);
    bool never_owned = facts.managed && facts.state < FRAME_CACHED && !facts.descriptor_backed;
    panic("%s: %s: address %#" PRIx64 ", %" PRIu64 " frames; the block there: %#" PRIx64
          " order %u, %s, owner %s, %u references",
          operation, frame_error_name(error), block.raw, frames, facts.block.raw, facts.order,
          facts.managed ? frame_state_name(facts.state) : "not the pool's",
          never_owned ? "nobody yet" : frame_owner_name(facts.owner), facts.references);
}

#define LOCK_TRIES 1000000 /* far more than a hold of the lock can last */

/* Takes the lock, unless it is this CPU itself that holds it: then it will not come free. */
static bool acquire_if_possible(struct frame_pool *pool) TRY_ACQUIRES(true, pool->lock)
{
    for (unsigned i = 0; i < LOCK_TRIES; i++) {
        if (spinlock_try_acquire(&pool->lock)) {
            return true;
        }
        cpu_relax();
    }
    return false;
}

void frame_pool_explain_fault(struct frame_pool *pool, uintptr_t address)
{
    uint64_t frame = (address - (uintptr_t)pool->descriptors) / sizeof(struct frame_descriptor);
    phys_addr_t block = phys_addr(frame << FRAME_SHIFT);
    if (frame >= pool->frame_limit) {
        return;
    }
    if (!acquire_if_possible(pool)) {
        panic("frames: use of the descriptor of %#" PRIx64
              ", which cannot be read, with the pool's lock held",
              block.raw);
    }
    bool backed = frame_is_backed(pool, frame);
    enum frame_error error = diagnose_start(pool, block);
    spinlock_release(&pool->lock);
    if (!backed) {
        report(pool, "frame_free, or use of a descriptor", block, 1, error);
    }
}

/* Makes an allocated block with one reference a free one that only the caller knows; whether it was one. */
static bool claim_block(struct frame_pool *pool, uint64_t frame, unsigned order)
{
    return change_tag(pool, frame, frame_tag(FRAME_ALLOCATED, order, 1), frame_tag(FRAME_CACHED, order, 1));
}

enum frame_error frame_try_free(struct frame_pool *pool, phys_addr_t block, unsigned order)
{
    uint64_t frame = block.raw >> FRAME_SHIFT;
    enum frame_error error;
    spinlock_acquire(&pool->lock);
    do {
        error = diagnose_block(pool, block, order);
    } while (error == FRAME_OK && !claim_block(pool, frame, order));
    spinlock_release(&pool->lock);
    if (error == FRAME_OK) {
        frame_magazine_free(pool, frame, order);
    }
    return error;
}

void frame_free_slow(struct frame_pool *pool, phys_addr_t block, unsigned order)
{
    uint64_t frame = block.raw >> FRAME_SHIFT;
    if (order <= FRAME_ORDER_MAX && is_aligned(block.raw, FRAME_BYTES) && frame < pool->frame_limit &&
        claim_block(pool, frame, order)) {
        frame_magazine_free(pool, frame, order);
        return;
    }
    enum frame_error error = frame_try_free(pool, block, order);
    if (error != FRAME_OK) {
        report(pool, "frame_free", block, order <= FRAME_ORDER_MAX ? 1ULL << order : 0, error);
    }
}

void frame_free_batch(struct frame_pool *pool, uint64_t count, const phys_addr_t *frames)
{
    for (uint64_t i = 0; i < count; i++) {
        frame_free(pool, frames[i], 0);
    }
}

/* ---- Runs ---- */

/* Whether the blocks that start at `first` are those of a run of exactly `frames` frames. */
static bool run_matches(struct frame_pool *pool, uint64_t first, uint64_t frames) REQUIRES(pool->lock)
{
    uint64_t end = align_up(first + frames, 1ULL << frame_order_above(frames));
    enum frame_state state = FRAME_RUN;
    unsigned order = 0;
    for (uint64_t left = frames; left > 0; left -= 1ULL << order) {
        order = frame_order_below(left);
        if (!frame_is_backed(pool, first) || tag_of(pool, first) != frame_tag(state, order, 1)) {
            return false;
        }
        state = FRAME_RUN_PART;
        first += 1ULL << order;
    }
    /* A longer run goes on with a smaller block; a neighbour starts with FRAME_RUN or FRAME_ALLOCATED. */
    return first >= end || !frame_is_backed(pool, first) ||
           frame_tag_state(tag_of(pool, first)) != FRAME_RUN_PART;
}

static enum frame_error diagnose_run(struct frame_pool *pool, phys_addr_t run, uint64_t frames)
    REQUIRES(pool->lock)
{
    if (frames == 0 || frames > FRAME_RUN_MAX) {
        return FRAME_BAD_ORDER;
    }
    enum frame_error error = diagnose_start(pool, run);
    if (error != FRAME_OK) {
        return error;
    }
    uint32_t tag = tag_of(pool, run.raw >> FRAME_SHIFT);
    if (frame_tag_references(tag) != 1) {
        return FRAME_SHARED;
    }
    return frame_tag_state(tag) == FRAME_RUN && run_matches(pool, run.raw >> FRAME_SHIFT, frames)
               ? FRAME_OK
               : FRAME_WRONG_LENGTH;
}

/* Makes a run with one reference a free one that only the caller knows; whether it still was one. */
static bool claim_run(struct frame_pool *pool, uint64_t first, uint64_t frames) REQUIRES(pool->lock)
{
    unsigned order = frame_order_below(frames);
    return change_tag(pool, first, frame_tag(FRAME_RUN, order, 1), frame_tag(FRAME_CACHED, order, 1));
}

/* Gives the blocks of a claimed run back, one under each hold of the lock. */
static void give_run(struct frame_pool *pool, uint64_t first, uint64_t frames) EXCLUDES(pool->lock)
{
    frame_book(pool, atomic_load_explicit(&pool->descriptors[first].owner, memory_order_relaxed),
               -(int64_t)frames);
    while (frames > 0) {
        unsigned order = frame_order_below(frames);
        spinlock_acquire(&pool->lock);
        frame_store_give(pool, first, order);
        spinlock_release(&pool->lock);
        first += 1ULL << order;
        frames -= 1ULL << order;
    }
}

enum frame_error frame_try_free_run(struct frame_pool *pool, phys_addr_t run, uint64_t frames)
{
    uint64_t first = run.raw >> FRAME_SHIFT;
    enum frame_error error;
    if (is_power_of_two(frames) && frames <= FRAME_RUN_MAX) {
        error = frame_try_free(pool, run, frame_order_below(frames));
        return error == FRAME_WRONG_ORDER ? FRAME_WRONG_LENGTH : error;
    }
    spinlock_acquire(&pool->lock);
    do {
        error = diagnose_run(pool, run, frames);
    } while (error == FRAME_OK && !claim_run(pool, first, frames));
    spinlock_release(&pool->lock);
    if (error == FRAME_OK) {
        give_run(pool, first, frames);
    }
    return error;
}

void frame_free_run(struct frame_pool *pool, phys_addr_t run, uint64_t frames)
{
    enum frame_error error = frame_try_free_run(pool, run, frames);
    if (error != FRAME_OK) {
        report(pool, "frame_free_run", run, frames, error);
    }
}

/* ---- References ---- */

#define ONE_REFERENCE (1U << FRAME_TAG_REFERENCES_SHIFT)

static bool starts_block(uint32_t tag)
{
    return frame_tag_state(tag) == FRAME_ALLOCATED || frame_tag_state(tag) == FRAME_RUN;
}

/* As diagnose_start(), with the tag as it was then; another CPU may have changed it since. */
static enum frame_error find_start(struct frame_pool *pool, phys_addr_t block, uint32_t *tag)
    EXCLUDES(pool->lock)
{
    enum frame_error error;
    spinlock_acquire(&pool->lock);
    do {
        error = diagnose_start(pool, block);
        *tag = error == FRAME_OK ? tag_of(pool, block.raw >> FRAME_SHIFT) : 0;
    } while (error == FRAME_OK && !starts_block(*tag));
    spinlock_release(&pool->lock);
    return error;
}

enum frame_error frame_try_get(struct frame_pool *pool, phys_addr_t block)
{
    uint32_t tag;
    enum frame_error error;
    do {
        error = find_start(pool, block, &tag);
        if (error == FRAME_OK && frame_tag_references(tag) == FRAME_REFERENCES_MAX) {
            error = FRAME_TOO_SHARED;
        }
    } while (error == FRAME_OK && !change_tag(pool, block.raw >> FRAME_SHIFT, tag, tag + ONE_REFERENCE));
    return error;
}

void frame_get(struct frame_pool *pool, phys_addr_t block)
{
    enum frame_error error = frame_try_get(pool, block);
    if (error != FRAME_OK) {
        report(pool, "frame_get", block, 1, error);
    }
}

/* Frames of the run that starts at `first`: the sum of its blocks. */
static uint64_t run_length(struct frame_pool *pool, uint64_t first) REQUIRES(pool->lock)
{
    uint64_t frames = 0;
    unsigned order = FRAME_ORDERS;
    for (;;) {
        uint64_t next = first + frames;
        if (next >= pool->frame_limit || !frame_is_backed(pool, next)) {
            return frames;
        }
        uint32_t tag = tag_of(pool, next);
        if (frame_tag_order(tag) >= order || frame_tag_state(tag) != (frames ? FRAME_RUN_PART : FRAME_RUN)) {
            return frames;
        }
        order = frame_tag_order(tag);
        frames += 1ULL << order;
    }
}

/* Frees a run whose one reference is the caller's; false when somebody else has changed it meanwhile. */
static bool put_run(struct frame_pool *pool, phys_addr_t run)
{
    uint64_t first = run.raw >> FRAME_SHIFT;
    spinlock_acquire(&pool->lock);
    uint64_t frames = run_length(pool, first);
    enum frame_error error = diagnose_run(pool, run, frames);
    bool claimed = error == FRAME_OK && claim_run(pool, first, frames);
    spinlock_release(&pool->lock);
    if (error != FRAME_OK) {
        report(pool, "frame_put", run, frames, error);
    }
    if (claimed) {
        give_run(pool, first, frames);
    }
    return claimed;
}

/* The tag of the block that starts at `block`; 0, which no block has, where none can start. */
static uint32_t tag_at(const struct frame_pool *pool, phys_addr_t block)
{
    uint64_t frame = block.raw >> FRAME_SHIFT;
    return is_aligned(block.raw, FRAME_BYTES) && frame < pool->frame_limit ? tag_of(pool, frame) : 0;
}

bool frame_put(struct frame_pool *pool, phys_addr_t block)
{
    uint32_t tag;
    while (starts_block(tag = tag_at(pool, block))) {
        bool last =
            frame_tag_references(tag) <= 1; /* nobody else can add one: they would need one to do so */
        if (last && frame_tag_state(tag) == FRAME_ALLOCATED) {
            frame_free(pool, block, frame_tag_order(tag));
            return true;
        }
        if (last ? put_run(pool, block)
                 : change_tag(pool, block.raw >> FRAME_SHIFT, tag, tag - ONE_REFERENCE)) {
            return last;
        }
    }
    report(pool, "frame_put", block, 1, find_start(pool, block, &tag));
}

/* ---- Owners ---- */

enum frame_error frame_change_owner(struct frame_pool *pool, phys_addr_t block, enum frame_owner from,
                                    enum frame_owner to)
{
    uint32_t tag;
    uint32_t owner = from;
    if ((unsigned)to >= OWNER_COUNT) {
        return FRAME_BAD_OWNER;
    }
    enum frame_error error = find_start(pool, block, &tag);
    if (error != FRAME_OK) {
        return error;
    }
    if (frame_tag_state(tag) != FRAME_ALLOCATED) {
        return FRAME_WRONG_LENGTH;
    }
    if (!atomic_compare_exchange_strong_explicit(&frame_descriptor(pool, block)->owner, &owner, to,
                                                 memory_order_acq_rel, memory_order_relaxed)) {
        return FRAME_BUSY;
    }
    frame_book(pool, from, -((int64_t)1 << frame_tag_order(tag)));
    frame_book(pool, to, (int64_t)1 << frame_tag_order(tag));
    return FRAME_OK;
}
