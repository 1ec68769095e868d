/*
 * The bitmap policy: one bit per frame, 1 is free, first fit. It is the obvious first version, kept for
 * comparison: its searches pass over all memory in use, so their cost grows with the machine.
 *
 * All state is guarded by the pool's lock, which the callers hold.
 */
#include "mm/frame/internal.h"

struct bitmap {
    uint64_t frame_limit; /* bits */
    uint64_t words[];     /* bit f % 64 of word f / 64: frame f is free */
};

/* Mask of the bits of one word that [first, first + count) covers; count is at least 1. */
static uint64_t mask_of(uint64_t first, uint64_t count)
{
    uint64_t low = first % 64;
    uint64_t bits = min_u64(count, 64 - low);
    return ~0ULL >> (64 - bits) << low;
}

static void set_range(struct bitmap *bitmap, uint64_t first, uint64_t count, bool free)
{
    while (count > 0) {
        uint64_t mask = mask_of(first, count);
        uint64_t *word = &bitmap->words[first / 64];
        *word = free ? *word | mask : *word & ~mask;
        uint64_t done = min_u64(count, 64 - first % 64);
        first += done;
        count -= done;
    }
}

/* The first frame of [first, first + count) that is not free; none if all are. */
static uint64_t first_busy(const struct bitmap *bitmap, uint64_t first, uint64_t count)
{
    while (count > 0) {
        if (first >= bitmap->frame_limit) {
            return first;
        }
        uint64_t busy = ~bitmap->words[first / 64] & mask_of(first, count);
        if (busy != 0) {
            return align_down(first, 64) + (uint64_t)__builtin_ctzll(busy);
        }
        uint64_t done = min_u64(count, 64 - first % 64);
        first += done;
        count -= done;
    }
    return FRAME_NUMBER_NONE;
}

static bool all_free(const struct bitmap *bitmap, uint64_t first, uint64_t count)
{
    return first_busy(bitmap, first, count) == FRAME_NUMBER_NONE;
}

static uint64_t bitmap_state_bytes(const struct frame_layout *layout)
{
    return sizeof(struct bitmap) + (layout->frame_limit + 63) / 64 * sizeof(uint64_t);
}

static void bitmap_init(const struct frame_layout *layout, void *state)
{
    struct bitmap *bitmap = state;
    bitmap->frame_limit = layout->frame_limit;
    memset(bitmap->words, 0, (layout->frame_limit + 63) / 64 * sizeof(uint64_t));
}

static unsigned bitmap_give(void *state, uint64_t frame, unsigned order)
{
    set_range(state, frame, 1ULL << order, true);
    return 0;
}

static uint64_t bitmap_give_frames(void *state, const uint64_t *top, uint64_t count)
{
    uint64_t given = min_u64(count, FRAME_BATCH / 2);
    for (uint64_t i = 0; i < given; i++) {
        bitmap_give(state, *--top >> FRAME_SHIFT, 0);
    }
    return given;
}

/* In a bitmap neighbours are merged as they are. */
static bool bitmap_merge(void *state)
{
    (void)state;
    return false;
}

static uint64_t bitmap_take(void *state, unsigned order, unsigned most, uint64_t from, uint64_t limit,
                            unsigned *got)
{
    (void)most;
    struct bitmap *bitmap = state;
    uint64_t size = 1ULL << order;
    uint64_t end = min_u64(limit, bitmap->frame_limit);
    for (uint64_t frame = align_up(from, size); frame + size <= end;) {
        uint64_t bits = bitmap->words[frame / 64] >> frame % 64;
        if (bits == 0) { /* nothing here: on to the next word that a block can start in */
            frame = align_up(align_down(frame, 64) + 64, size);
        } else if (all_free(bitmap, frame, size)) {
            set_range(bitmap, frame, size, false);
            *got = order;
            return frame;
        } else {
            frame += size;
        }
    }
    return FRAME_NUMBER_NONE;
}

/* It knows of no blocks, and would have to search again. */
static unsigned bitmap_take_more(void *state, uint64_t frame, unsigned order, uint64_t frames,
                                 struct frame_piece pieces[], unsigned most)
{
    (void)state, (void)frame, (void)order, (void)frames, (void)pieces, (void)most;
    return 0;
}

static uint64_t bitmap_take_at(void *state, uint64_t frame, unsigned order)
{
    uint64_t busy = first_busy(state, frame, 1ULL << order);
    if (busy == FRAME_NUMBER_NONE) {
        set_range(state, frame, 1ULL << order, false);
    }
    return busy;
}

static int bitmap_free_order(void *state, uint64_t frame)
{
    if (!all_free(state, frame, 1)) {
        return -1;
    }
    int order = 0;
    while (order < FRAME_ORDER_MAX && all_free(state, align_down(frame, 2ULL << order), 2ULL << order)) {
        order++;
    }
    return order;
}

static void bitmap_count(void *state, uint64_t gib, uint64_t blocks[FRAME_ORDERS])
{
    const struct bitmap *bitmap = state;
    uint64_t frame = gib << FRAME_GIB_SHIFT;
    uint64_t end = min_u64(frame + (1ULL << FRAME_GIB_SHIFT), bitmap->frame_limit);
    while (frame < end) {
        if (frame % 64 == 0 && bitmap->words[frame / 64] == 0) {
            frame += 64;
            continue;
        }
        int order = bitmap_free_order(state, frame);
        if (order >= 0) {
            blocks[order]++;
        }
        frame += order < 0 ? 1 : 1ULL << order;
    }
}

static bool bitmap_check(void *state, uint64_t *free_frames, struct frame_problem *problem)
{
    const struct bitmap *bitmap = state;
    *free_frames = 0;
    for (uint64_t word = 0; word < (bitmap->frame_limit + 63) / 64; word++) {
        for (uint64_t bits = bitmap->words[word]; bits != 0; bits &= bits - 1) {
            uint64_t frame = word * 64 + (uint64_t)__builtin_ctzll(bits);
            if (frame >= bitmap->frame_limit) {
                return frame_problem_set(problem, "a free frame behind the end", frame, frame,
                                         bitmap->frame_limit);
            }
            ++*free_frames;
        }
    }
    return true;
}

const struct frame_policy frame_policy_bitmap = {
    .name = "bitmap",
    .state_bytes = bitmap_state_bytes,
    .init = bitmap_init,
    .add = bitmap_give,
    .give = bitmap_give,
    .give_frames = bitmap_give_frames,
    .merge = bitmap_merge,
    .take = bitmap_take,
    .take_more = bitmap_take_more,
    .take_at = bitmap_take_at,
    .free_order = bitmap_free_order,
    .count = bitmap_count,
    .check = bitmap_check,
};
