/*
 * Draining a magazine: what leaves it for the store under one hold of the lock, and what that may cost.
 */
#include "mm/frame/internal.h"
#include "mm/frame/valid.h"

/*
 * What a drain may cost that gives the policy pieces, in units of some 25 instructions, and what the parts of
 * it cost: two pieces at most. Scattered frames the policy counts itself.
 */
#define DRAIN_BUDGET 24
#define STRETCH_COST 5 /* finding a stretch of neighbours */
#define PIECE_COST   7 /* giving the policy a block */
#define CHANGE_COST  4 /* each entry of the policy's indexes that changes by that */

/*
 * How many of the `left` blocks below `slot` are neighbours, each `step` bytes from the one above it.
 * Inlined, with a constant step for single frames, it takes a few instructions for each.
 */
static inline __attribute__((always_inline)) uint64_t neighbours(const uint64_t *slot, uint64_t left,
                                                                 uint64_t step)
{
    uint64_t next = *--slot;
    uint64_t count = 1;
    while (left - count >= 4 && slot[-1] == next + step && slot[-2] == next + 2 * step &&
           slot[-3] == next + 3 * step && slot[-4] == next + 4 * step) {
        next += 4 * step;
        slot -= 4;
        count += 4;
    }
    while (count < left && *--slot == next + step) {
        next += step;
        count++;
    }
    return count;
}

/* Writes the tags of `blocks` blocks that follow each other. */
static inline __attribute__((always_inline)) void write_tags(struct frame_descriptor *descriptor,
                                                             uint64_t blocks, uint64_t size, uint32_t tag)
{
#pragma clang loop unroll_count(4)
    for (uint64_t i = 0; i < blocks; i++) {
        atomic_store_explicit(&descriptor[i * size].tag, tag, memory_order_relaxed);
    }
}

static void mark_freed(struct frame_pool *pool, uint64_t frame, uint64_t blocks, unsigned order)
{
    if (order == 0) {
        write_tags(&pool->descriptors[frame], blocks, 1, frame_tag(FRAME_FREED, 0, 0));
    } else {
        write_tags(&pool->descriptors[frame], blocks, 1ULL << order, frame_tag(FRAME_FREED, order, 0));
    }
}

/* A stretch of free frames, of which one end was on top of a magazine. */
struct stretch {
    uint64_t first;
    uint64_t end;
    bool down; /* the top was at the end, not at the start */
};

/* Order of the largest aligned block at the top's end of a stretch. */
static unsigned piece_order(const struct stretch *stretch)
{
    uint64_t top = stretch->down ? stretch->end : stretch->first;
    unsigned order = frame_order_below(stretch->end - stretch->first);
    return (unsigned)min_u64(order, (uint64_t)__builtin_ctzll(top));
}

/*
 * Gives a stretch to the policy from its top on, piece by piece while *budget lasts; returns how many frames.
 */
static uint64_t give_stretch(struct frame_pool *pool, struct stretch stretch, int *budget)
    REQUIRES(pool->lock)
{
    uint64_t given = 0;
    while (stretch.first < stretch.end && *budget >= PIECE_COST) {
        unsigned order = piece_order(&stretch);
        uint64_t size = 1ULL << order;
        uint64_t frame = stretch.down ? stretch.end - size : stretch.first;
        unsigned changes = frame_policy_give(pool, frame, order);
        *budget -= PIECE_COST + (int)changes * CHANGE_COST;
        stretch.first += stretch.down ? 0 : size;
        stretch.end -= stretch.down ? size : 0;
        given += size;
    }
    return given;
}

/* The neighbours on top of a magazine, at most `left` blocks. */
static inline __attribute__((always_inline)) struct stretch top_stretch(const uint64_t *slot, uint64_t left,
                                                                        unsigned order)
{
    uint64_t top = slot[-1] >> FRAME_SHIFT;
    if (left > 1 && slot[-2] == slot[-1] + (FRAME_BYTES << order)) {
        uint64_t run = neighbours(slot, left, FRAME_BYTES << order);
        return (struct stretch){top, top + (run << order), false};
    }
    uint64_t run = order == 0 ? neighbours(slot, left, 0 - FRAME_BYTES)
                              : neighbours(slot, left, 0 - (FRAME_BYTES << order));
    return (struct stretch){top - ((run - 1) << order), top + (1ULL << order), true};
}

static uint64_t stretch_blocks(struct stretch stretch, unsigned order)
{
    return (stretch.end - stretch.first) >> order;
}

/*
 * The part of a stretch that makes few large pieces, each of a third of `blocks` blocks or more; all of the
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
        return (struct stretch){double_first, double_first + 2 * size, stretch.down};
    }
    return first < end ? (struct stretch){first, end, stretch.down} : stretch;
}

/* Moves the `above` blocks below `top` down over the `removed` ones that are below them. */
static void close_gap(uint64_t *top, uint64_t above, uint64_t removed)
{
#pragma clang loop unroll_count(4)
    for (uint64_t *slot = top - above; slot < top; slot++) {
        *(slot - removed) = *slot;
    }
}

/* Whether the blocks below `top` follow each other, up or down: three of them. */
static inline bool is_stretch(const uint64_t *top, uint64_t count)
{
    uint64_t step = count < 3 ? 0 : top[-2] - top[-1];
    return (step == FRAME_BYTES || step == 0 - FRAME_BYTES) && top[-3] - top[-2] == step;
}

/* Whether the frames on top are no neighbours; the first two may be where the next stretch begins. */
static inline bool is_scattered(const uint64_t *top, uint64_t count)
{
    return count > 4 && !is_stretch(top, count) && !is_stretch(top - 1, count - 1) &&
           !is_stretch(top - 2, count - 2);
}

/* Gives scattered frames to the policy, those below `top`, at most `left`; returns how many. */
static uint64_t give_scattered(struct frame_pool *pool, const uint64_t *top, uint64_t left)
    REQUIRES(pool->lock)
{
    uint64_t given = frame_policy_give_frames(pool, top, left);
    for (uint64_t i = 1; i <= given; i++) {
        write_tags(&pool->descriptors[top[-(int64_t)i] >> FRAME_SHIFT], 1, 1, frame_tag(FRAME_FREED, 0, 0));
    }
    return given;
}

/*
 * Returns up to `blocks` blocks of a magazine that is not empty to the store, from near its top. Neighbours
 * that follow each other, up or down, as what is freed in a row does, are returned together: that spares most
 * of the merging. Of larger blocks that are scattered only a few go, because each may change what a leaf and
 * an arena are known for: so the time that the lock is held is bounded.
 *
 * Neighbours on top that are too few yet stay. Returned as they come, they would make room for as few frees
 * in a row, and so on for ever, each time in small pieces; left there, they grow until a large part of them
 * can go at once.
 */
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
    if (order == 0 && is_scattered(top, count)) {
        frame_magazine_set_count(magazine, count - give_scattered(pool, top, left));
        return;
    }
    uint64_t above = 0;
    uint64_t removed = 0;
    int budget = DRAIN_BUDGET;
    struct stretch stretch = top_stretch(top, left, order);
    uint64_t length = stretch_blocks(stretch, order);
    if (length > 1 && length < count && 3 * length < 2 * blocks) {
        above = length;
        left = min_u64(blocks, count - above);
        stretch = top_stretch(top - above, left, order);
    }
    for (;;) {
        struct stretch part = removed == 0 ? even_part(stretch, blocks, order) : stretch;
        above += (part.down ? stretch.end - part.end : part.first - stretch.first) >> order;
        budget -= STRETCH_COST;
        uint64_t given = give_stretch(pool, part, &budget);
        mark_freed(pool, part.down ? part.end - given : part.first, given >> order, order);
        removed += given >> order;
        left -= given >> order;
        if (stretch_blocks(stretch, order) != given >> order || left == 0 ||
            budget < STRETCH_COST + PIECE_COST) {
            break;
        }
        stretch = top_stretch(top - above - removed, left, order);
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
