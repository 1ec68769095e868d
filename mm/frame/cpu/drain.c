/*
 * Draining a magazine: what leaves it for the store under one hold of the lock. docs/physical.md has
 * drawings, under "What a drain takes".
 *
 * Three rules bound the work of one drain. At most DRAIN_PIECES pieces of neighbours go. None goes after one
 * that made the policy change its indexes. Of scattered frames, as many go as the policy takes at once.
 */
#include "mm/frame/cpu/cpu.h"
#include "mm/frame/valid.h"

#define DRAIN_PIECES 2

/* Blocks in slots that follow each other, and that follow each other in memory, too. */
struct stretch {
    uint64_t first; /* frame */
    uint64_t end;   /* the frame behind the last one */
    bool upwards;   /* addresses grow towards the top of the magazine, as when frames are freed in order */
};

static uint64_t stretch_blocks(struct stretch stretch, unsigned order)
{
    return (stretch.end - stretch.first) >> order;
}

/* ---- Finding ---- */

/*
 * How many of the `most` blocks below `top` follow each other, each `step` bytes from the one above it. Four
 * are compared at a time: every drain looks at 64 blocks or more, and one at a time takes twice as long.
 */
static inline __attribute__((always_inline)) uint64_t neighbours(const uint64_t *top, uint64_t most,
                                                                 uint64_t step)
{
    const uint64_t *slot = top - 1;
    const uint64_t *end = top - most;
    uint64_t last = *slot;
    while (slot - end >= 4 && slot[-1] == last + step && slot[-2] == last + 2 * step &&
           slot[-3] == last + 3 * step && slot[-4] == last + 4 * step) {
        slot -= 4;
        last += 4 * step;
    }
    while (slot > end && slot[-1] == last + step) {
        slot--;
        last += step;
    }
    return (uint64_t)(top - slot);
}

/* The stretch that begins below `top`, at most `most` blocks of it. */
static struct stretch stretch_below(const uint64_t *top, uint64_t most, unsigned order)
{
    uint64_t frame = top[-1] >> FRAME_SHIFT;
    uint64_t count = neighbours(top, most, FRAME_BYTES << order);
    if (count > 1) {
        return (struct stretch){frame, frame + (count << order), false};
    }
    count = neighbours(top, most, 0 - (FRAME_BYTES << order));
    return (struct stretch){frame - ((count - 1) << order), frame + (1ULL << order), true};
}

/* Whether three blocks below `top` follow each other. */
static bool is_stretch(const uint64_t *top)
{
    uint64_t step = top[-2] - top[-1];
    return (step == FRAME_BYTES || step == 0 - FRAME_BYTES) && top[-3] - top[-2] == step;
}

/* Whether single frames on top are no neighbours; below the first two a stretch may begin. */
static bool is_scattered(const uint64_t *top, uint64_t count, unsigned order)
{
    return order == 0 && count > 4 && !is_stretch(top) && !is_stretch(top - 1) && !is_stretch(top - 2);
}

/*
 * The part of a stretch that makes one or two large pieces, of a third of `blocks` blocks or more; all of the
 * stretch if there is none.
 */
static struct stretch even_part(struct stretch stretch, uint64_t blocks, unsigned order)
{
    if (stretch_blocks(stretch, order) < blocks / 3) {
        return stretch;
    }
    uint64_t size = 1ULL << order << frame_order_below(max_u64(blocks / 3, 1));
    uint64_t first = align_up(stretch.first, size);
    uint64_t end = align_down(stretch.end, size);
    uint64_t double_first = align_up(first, 2 * size);
    if (double_first + 2 * size <= end) { /* one piece instead of two of half its size */
        return (struct stretch){double_first, double_first + 2 * size, stretch.upwards};
    }
    return first < end ? (struct stretch){first, end, stretch.upwards} : stretch;
}

/* Blocks of a stretch that lie above a part of it. */
static uint64_t blocks_above(struct stretch stretch, struct stretch part, unsigned order)
{
    return (stretch.upwards ? stretch.end - part.end : part.first - stretch.first) >> order;
}

/* ---- Giving ---- */

/* Writes the tags of `blocks` blocks that follow each other. */
static void mark_freed(struct frame_pool *pool, uint64_t frame, uint64_t blocks, unsigned order)
{
    struct frame_descriptor *descriptor = &pool->descriptors[frame];
    uint32_t tag = frame_tag(FRAME_FREED, order, 0);
#pragma clang loop unroll_count(4)
    for (uint64_t i = 0; i < blocks; i++) {
        atomic_store_explicit(&descriptor->tag, tag, memory_order_relaxed);
        descriptor += 1ULL << order;
    }
}

/* Gives scattered frames to the policy, those below `top`, at most `most`; returns how many. */
static uint64_t give_scattered(struct frame_pool *pool, const uint64_t *top, uint64_t most)
    REQUIRES(pool->lock)
{
    uint64_t given = frame_policy_give_frames(pool, top, most);
    for (uint64_t i = 1; i <= given; i++) {
        mark_freed(pool, top[-(int64_t)i] >> FRAME_SHIFT, 1, 0);
    }
    return given;
}

/* The largest aligned block at the end of a stretch that is nearest to the top. */
static struct stretch top_piece(struct stretch stretch)
{
    uint64_t border = stretch.upwards ? stretch.end : stretch.first;
    unsigned order = frame_order_below(stretch.end - stretch.first);
    uint64_t size = 1ULL << min_u64(order, (uint64_t)__builtin_ctzll(border));
    return stretch.upwards ? (struct stretch){border - size, border, true}
                           : (struct stretch){border, border + size, false};
}

/*
 * Gives a stretch to the policy, piece by piece from its end that is nearest to the top, while *pieces lasts.
 * Returns how many blocks.
 */
static uint64_t give_stretch(struct frame_pool *pool, struct stretch stretch, unsigned order,
                             unsigned *pieces) REQUIRES(pool->lock)
{
    uint64_t given = 0;
    while (stretch.first < stretch.end && *pieces != 0) {
        struct stretch piece = top_piece(stretch);
        uint64_t frames = piece.end - piece.first;
        unsigned changes = frame_policy_give(pool, piece.first, frame_order_below(frames));
        mark_freed(pool, piece.first, frames >> order, order);
        *pieces = changes == 0 ? *pieces - 1 : 0;
        stretch.first += stretch.upwards ? 0 : frames;
        stretch.end -= stretch.upwards ? frames : 0;
        given += frames >> order;
    }
    return given;
}

/* Moves the `above` blocks below `top` down over the `removed` ones that are below them. */
static void close_gap(uint64_t *top, uint64_t above, uint64_t removed)
{
#pragma clang loop unroll_count(4)
    for (uint64_t *slot = top - above; slot < top; slot++) {
        *(slot - removed) = *slot;
    }
}

/*
 * Whether a stretch on top stays, because it is short and there is something else to give. Given as it is, it
 * would make room for as few frees in a row, which would then be the next short stretch, and so on for ever.
 * Left there, it grows until a large part of it can go at once.
 */
static bool is_to_grow(uint64_t length, uint64_t count, uint64_t blocks)
{
    return length > 1 && length < count && 3 * length < 2 * blocks;
}

void frame_magazine_drain_blocks(struct frame_pool *pool, struct frame_cpu *cpu, unsigned index,
                                 uint64_t blocks) REQUIRES(pool->lock)
{
    DEBUG_ASSERT(frame_magazine_is_valid(&cpu->magazine[index]));
    struct frame_magazine *magazine = &cpu->magazine[index];
    unsigned order = frame_magazine_order(index);
    uint64_t count = frame_magazine_count(magazine);
    uint64_t *top = &cpu->slots[magazine->bottom + count];
    uint64_t left = min_u64(blocks, count);
    pool->work.drains++;
    if (is_scattered(top, count, order)) {
        frame_magazine_set_count(magazine, count - give_scattered(pool, top, left));
        return;
    }
    struct stretch stretch = stretch_below(top, left, order);
    uint64_t above = 0;
    if (is_to_grow(stretch_blocks(stretch, order), count, blocks)) {
        above = stretch_blocks(stretch, order);
        left = min_u64(blocks, count - above);
        stretch = stretch_below(top - above, left, order);
    }
    struct stretch part = even_part(stretch, blocks, order);
    above += blocks_above(stretch, part, order);
    unsigned pieces = DRAIN_PIECES;
    uint64_t removed = give_stretch(pool, part, order, &pieces);
    if (pieces > 0 && removed == stretch_blocks(stretch, order) && removed < left) {
        stretch = stretch_below(top - above - removed, left - removed, order);
        removed += give_stretch(pool, stretch, order, &pieces);
    }
    close_gap(top, above, removed);
    frame_magazine_set_count(magazine, count - removed);
}

void frame_magazine_drain(struct frame_pool *pool, struct frame_cpu *cpu, unsigned index)
{
    spinlock_acquire(&pool->lock);
    frame_magazine_drain_blocks(pool, cpu, index,
                                min_u64(frame_magazine_count(&cpu->magazine[index]), FRAME_BATCH));
    spinlock_release(&pool->lock);
}
