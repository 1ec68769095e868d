/*
 * The validator. It trusts nothing: it walks every range the pool manages, block by block, asks the policy
 * whether each is free and reads the descriptor if it is not, and adds up what it saw; the sums must be those
 * the pool keeps.
 */
#include "internal.h"
#include "mm/frame/cpu/cpu.h"

/* What a walk over all managed frames has seen. */
struct census {
    uint64_t free;               /* frames */
    uint64_t cached;             /* frames in blocks marked FRAME_CACHED */
    uint64_t blocks_cached;      /* such blocks */
    uint64_t owned[OWNER_COUNT]; /* frames by owner */
    uint32_t last_tag;           /* of the block right before; 0 when that is free, or none */
    uint32_t last_owner;         /* of that block */
    bool falls;                  /* it is part of a run, and smaller than the part before */
};

/*
 * Marks: only what starts an allocated block or a run has any, the tag says whether there is one, and each
 * pin has a reference.
 */
static bool check_marks(const struct frame_descriptor *descriptor, bool allowed, uint64_t frame,
                        struct frame_problem *problem)
{
    uint32_t tag = atomic_load_explicit(&descriptor->tag, memory_order_relaxed);
    uint32_t use = atomic_load_explicit(&descriptor->use, memory_order_relaxed);
    if (!(tag & FRAME_TAG_MARKED) == frame_use_is_marked(use)) {
        return frame_problem_set(problem, "a tag and its marks disagree", frame, tag, use);
    }
    if (!allowed && frame_use_is_marked(use)) {
        return frame_problem_set(problem, "marks where no allocated block starts", frame, use, 0);
    }
    return frame_use_pins(use) <= frame_tag_references(tag) ||
           frame_problem_set(problem, "more pins than references", frame, frame_use_pins(use),
                             frame_tag_references(tag));
}

/* A free block: nothing in it may claim to be allocated. */
static bool check_free_block(struct frame_pool *pool, uint64_t first, uint64_t end,
                             struct frame_problem *problem) REQUIRES(pool->lock)
{
    for (uint64_t frame = first; frame < end; frame++) {
        if (!frame_is_backed(pool, frame)) {
            frame |= FRAME_DESCRIPTORS_PER_PAGE - 1;
            continue;
        }
        uint32_t tag = atomic_load_explicit(&pool->descriptors[frame].tag, memory_order_relaxed);
        if (frame_tag_state(tag) >= FRAME_CACHED) {
            return frame_problem_set(problem, "a free frame's descriptor says allocated", frame, tag, 0);
        }
        if (!check_marks(&pool->descriptors[frame], false, frame, problem)) {
            return false;
        }
    }
    return true;
}

/* What a block may follow: the parts of a run are neighbours. They become larger, and then smaller. */
static bool check_neighbours(struct census *census, uint64_t frame, uint32_t tag, uint32_t owner,
                             struct frame_problem *problem)
{
    uint32_t last = census->last_tag;
    bool part = frame_tag_state(tag) == FRAME_RUN_PART;
    bool smaller = frame_tag_order(tag) < frame_tag_order(last);
    bool follows = (frame_tag_state(last) == FRAME_RUN || frame_tag_state(last) == FRAME_RUN_PART) &&
                   (smaller || !census->falls) && census->last_owner == owner;
    census->falls = part && (smaller || census->falls);
    census->last_tag = tag;
    census->last_owner = owner;
    if (part && !follows) {
        return frame_problem_set(problem, "part of a run without the one before", frame, tag, last);
    }
    if (!part && frame_tag_state(last) == FRAME_RUN) {
        return frame_problem_set(problem, "a run of one part", frame, last, tag);
    }
    return true;
}

/* An allocated block: described, inside its range, none of it free, none of it described again. */
static bool check_used_block(struct frame_pool *pool, uint64_t frame, uint64_t range_end, uint64_t *end,
                             struct census *census, struct frame_problem *problem) REQUIRES(pool->lock)
{
    struct frame_descriptor *descriptor = &pool->descriptors[frame];
    if (!frame_is_backed(pool, frame)) {
        return frame_problem_set(problem, "neither free nor described", frame, 0, 1);
    }
    uint32_t tag = atomic_load_explicit(&descriptor->tag, memory_order_relaxed);
    uint32_t owner = frame_descriptor_owner(descriptor);
    unsigned order = frame_tag_order(tag);
    enum frame_state state = frame_tag_state(tag);
    if (state < FRAME_CACHED || state >= FRAME_STATE_COUNT) {
        return frame_problem_set(problem, "neither free nor allocated", frame, tag, 0);
    }
    if (order > FRAME_ORDER_MAX || !is_aligned(frame, 1ULL << order) || frame + (1ULL << order) > range_end ||
        frame_tag_references(tag) == 0 || owner >= OWNER_COUNT) {
        return frame_problem_set(problem, "impossible descriptor", frame, tag, owner);
    }
    *end = frame + (1ULL << order);
    if (!check_marks(descriptor, frame_tag_starts_block(tag), frame, problem) ||
        !check_neighbours(census, frame, tag, owner, problem)) {
        return false;
    }
    if (state == FRAME_CACHED) {
        census->cached += 1ULL << order;
        census->blocks_cached++;
    } else {
        census->owned[owner] += 1ULL << order;
    }
    for (uint64_t inside = frame; inside < *end; inside++) {
        if (pool->config.policy->free_order(pool->policy_state, inside) >= 0) {
            return frame_problem_set(problem, "a free frame inside an allocated block", inside, order, 0);
        }
    }
    return check_free_block(pool, frame + 1, *end, problem);
}

/* Walks managed frames [frame, end). */
static bool check_frames(struct frame_pool *pool, uint64_t frame, uint64_t end, struct census *census,
                         struct frame_problem *problem) REQUIRES(pool->lock)
{
    while (frame < end) {
        int order = pool->config.policy->free_order(pool->policy_state, frame);
        uint64_t next = frame;
        if (order < 0) {
            if (!check_used_block(pool, frame, end, &next, census, problem)) {
                return false;
            }
        } else {
            /* Neighbouring ranges merge, so a free block may reach into the next one: count our part. */
            next = min_u64(align_down(frame, 1ULL << order) + (1ULL << order), end);
            census->free += next - frame;
            if (!check_neighbours(census, frame, 0, 0, problem) ||
                !check_free_block(pool, frame, next, problem)) {
                return false;
            }
        }
        frame = next;
    }
    return check_neighbours(census, end, 0, 0, problem);
}

/* End of the managed frames that start at `frame`: ranges that touch are one. */
static uint64_t managed_end(struct frame_pool *pool, uint64_t frame) REQUIRES(pool->lock)
{
    uint64_t state_first = pool->state_base.raw >> FRAME_SHIFT;
    for (;;) {
        const struct memory_range *range = frame_pool_range(pool, frame);
        uint64_t end = (range->base.raw + range->bytes) >> FRAME_SHIFT;
        if (frame < state_first && end > state_first) {
            return state_first;
        }
        if (!frame_is_managed(pool, end)) {
            return end;
        }
        frame = end;
    }
}

static bool check_all_frames(struct frame_pool *pool, struct census *census, struct frame_problem *problem)
    REQUIRES(pool->lock)
{
    uint64_t state_end = (pool->state_base.raw + pool->state_bytes) >> FRAME_SHIFT;
    uint64_t frame = 0;
    for (uint32_t i = 0; i < pool->config.map_count; i++) {
        const struct memory_range *range = &pool->config.map[i];
        uint64_t range_end = (range->base.raw + range->bytes) >> FRAME_SHIFT;
        frame = max_u64(frame, range->base.raw >> FRAME_SHIFT);
        while (frame < range_end) {
            if (!frame_is_managed(pool, frame)) {
                /* Frame 0 never is, whatever comes right after it. */
                bool in_state = frame < state_end && frame >= pool->state_base.raw >> FRAME_SHIFT;
                frame = frame == 0 ? 1 : in_state ? state_end : range_end;
                continue;
            }
            uint64_t end = managed_end(pool, frame);
            if (!check_frames(pool, frame, end, census, problem)) {
                return false;
            }
            frame = end;
        }
    }
    return true;
}

/* Every block in a magazine is a block of this pool, marked as what it is, and there once. */
static bool check_slots(struct frame_pool *pool, const uint64_t *slots, uint64_t count, unsigned order,
                        struct frame_problem *problem) REQUIRES(pool->lock)
{
    uint32_t expected = frame_tag(FRAME_CACHED, order, 1);
    for (uint64_t slot = 0; slot < count; slot++) {
        uint64_t frame = slots[slot] >> FRAME_SHIFT;
        if (!is_aligned(slots[slot], FRAME_BYTES << order) || !frame_is_managed(pool, frame) ||
            !frame_is_backed(pool, frame)) {
            return frame_problem_set(problem, "no block can have this address in a magazine", frame,
                                     slots[slot], 0);
        }
        uint32_t tag = atomic_load_explicit(&pool->descriptors[frame].tag, memory_order_relaxed);
        if (tag != expected) {
            return frame_problem_set(problem, "a block in a magazine is not marked so", frame, tag, expected);
        }
        for (uint64_t other = 0; other < slot; other++) {
            if (slots[other] == slots[slot]) {
                return frame_problem_set(problem, "a block is in a magazine twice", frame, slot, other);
            }
        }
    }
    return true;
}

/* A magazine is a stretch of its CPU's slots, behind the one before, which ends at `bottom`. */
static bool check_magazine(const struct frame_magazine *magazine, uint32_t bottom,
                           struct frame_problem *problem)
{
    uint32_t top = atomic_load_explicit(&magazine->top, memory_order_relaxed);
    uint32_t limit = atomic_load_explicit(&magazine->limit, memory_order_relaxed);
    if (magazine->bottom != bottom || magazine->end < bottom || magazine->end > FRAME_SLOTS) {
        return frame_problem_set(problem, "bounds of a magazine", 0, magazine->bottom, bottom);
    }
    if (top < bottom || top > magazine->end) {
        return frame_problem_set(problem, "length of a magazine", 0, top, magazine->end);
    }
    if (limit != 0 && limit != magazine->end) {
        return frame_problem_set(problem, "limit of a magazine", 0, limit, magazine->end);
    }
    return true;
}

/* The stock of zeroed frames holds nothing else. */
static bool check_zeroed(const struct frame_pool *pool, const struct frame_cpu *cpu,
                         struct frame_problem *problem)
{
    const struct frame_magazine *magazine = &cpu->magazine[FRAME_MAGAZINE_ZERO];
    for (uint64_t slot = 0; slot < frame_magazine_count(magazine); slot++) {
        phys_addr_t frame = phys_addr(cpu->slots[magazine->bottom + slot]);
        const uint64_t *words = frame_pointer(pool, frame);
        for (unsigned word = 0; word < FRAME_BYTES / sizeof *words; word++) {
            if (words[word] != 0) {
                return frame_problem_set(problem, "a frame of the zeroed stock is not zero",
                                         frame.raw >> FRAME_SHIFT, words[word], 0);
            }
        }
    }
    return true;
}

/* No block in magazines is wrong, and there are no more that are marked so. */
static bool check_magazines(struct frame_pool *pool, const struct census *census,
                            struct frame_problem *problem) REQUIRES(pool->lock)
{
    uint64_t blocks = 0;
    for (unsigned cpu = 0; cpu < pool->config.cpus; cpu++) {
        uint32_t bottom = 0;
        for (unsigned i = 0; i < FRAME_MAGAZINES; i++) {
            const struct frame_magazine *magazine = &pool->cpu[cpu].magazine[i];
            uint64_t count = frame_magazine_count(magazine);
            if (!check_magazine(magazine, bottom, problem) ||
                !check_slots(pool, &pool->cpu[cpu].slots[bottom], count, frame_magazine_order(i), problem)) {
                return false;
            }
            blocks += count;
            bottom = magazine->end;
        }
        if (!check_zeroed(pool, &pool->cpu[cpu], problem)) {
            return false;
        }
    }
    if (blocks != census->blocks_cached) {
        return frame_problem_set(problem, "blocks in magazines", 0, blocks, census->blocks_cached);
    }
    return true;
}

/* What is set apart for descriptors is a part of a block that was taken for them. */
static bool check_reserve(struct frame_pool *pool, const struct frame_reserve *reserve,
                          struct frame_problem *problem) REQUIRES(pool->lock)
{
    if (reserve->next == reserve->end) {
        return true;
    }
    uint64_t block = FRAME_NUMBER_NONE;
    if (reserve->next < reserve->end && frame_is_managed(pool, reserve->next)) {
        block = frame_find_block(pool, reserve->next);
    }
    if (block == FRAME_NUMBER_NONE) {
        return frame_problem_set(problem, "reserve for descriptors", reserve->next, reserve->end, 0);
    }
    const struct frame_descriptor *descriptor = &pool->descriptors[block];
    uint32_t tag = atomic_load_explicit(&descriptor->tag, memory_order_relaxed);
    uint32_t owner = frame_descriptor_owner(descriptor);
    if (frame_tag_state(tag) != FRAME_ALLOCATED || owner != OWNER_DESCRIPTORS ||
        reserve->end > block + (1ULL << frame_tag_order(tag))) {
        return frame_problem_set(problem, "reserve for descriptors", reserve->next, reserve->end, tag);
    }
    return true;
}

/* Every backed page of descriptors took a frame that is theirs, and that the reserve no longer has. */
static bool check_backed(struct frame_pool *pool, const struct census *census, struct frame_problem *problem)
    REQUIRES(pool->lock)
{
    uint64_t pages = 0;
    uint64_t left = 0;
    for (uint64_t page = 0; page < pool->frame_limit; page += FRAME_DESCRIPTORS_PER_PAGE) {
        pages += frame_is_backed(pool, page);
    }
    for (unsigned i = 0; i < ARRAY_LENGTH(pool->reserve); i++) {
        if (!check_reserve(pool, &pool->reserve[i], problem)) {
            return false;
        }
        left += pool->reserve[i].end - pool->reserve[i].next;
    }
    if (pages + left > census->owned[OWNER_DESCRIPTORS]) {
        return frame_problem_set(problem, "backed pages of descriptors", 0, pages + left,
                                 census->owned[OWNER_DESCRIPTORS]);
    }
    return true;
}

static bool check_sums(struct frame_pool *pool, const struct census *census, uint64_t policy_free,
                       struct frame_problem *problem) REQUIRES(pool->lock)
{
    if (policy_free != census->free) {
        return frame_problem_set(problem, "free frames the policy holds outside managed memory", 0,
                                 policy_free, census->free);
    }
    if (pool->free_frames != census->free) {
        return frame_problem_set(problem, "count of free frames", 0, pool->free_frames, census->free);
    }
    uint64_t sum = census->free + census->cached;
    for (unsigned owner = 0; owner < OWNER_COUNT; owner++) {
        int64_t owned = 0;
        for (unsigned cpu = 0; cpu < pool->config.cpus; cpu++) {
            owned += atomic_load_explicit(&pool->cpu[cpu].owned[owner], memory_order_relaxed);
        }
        if ((uint64_t)owned != census->owned[owner]) {
            return frame_problem_set(problem, "an owner's account", owner, (uint64_t)owned,
                                     census->owned[owner]);
        }
        sum += census->owned[owner];
    }
    if (sum != pool->managed_frames) {
        return frame_problem_set(problem, "count of managed frames", 0, pool->managed_frames, sum);
    }
    return true;
}

bool frame_pool_check(struct frame_pool *pool, struct frame_problem *problem)
{
    struct census census = {0};
    uint64_t policy_free = 0;
    *problem = (struct frame_problem){0};
    spinlock_acquire(&pool->lock);
    bool good = pool->config.policy->check(pool->policy_state, &policy_free, problem) &&
                check_all_frames(pool, &census, problem) && check_magazines(pool, &census, problem) &&
                check_backed(pool, &census, problem) && check_sums(pool, &census, policy_free, problem);
    spinlock_release(&pool->lock);
    if (good) {
        struct frame_ledger ledger;
        frame_pool_ledger(pool, &ledger);
        if (ledger.difference != 0) {
            good = frame_problem_set(problem, "the ledger does not close", 0, (uint64_t)ledger.difference, 0);
        }
    }
    return good;
}
