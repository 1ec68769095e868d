/*
 * Magazines: each CPU's small stock of free blocks, by order. Only its CPU touches it, with preemption off
 * and no lock; the fast paths are in <ashlar/frame.h>. A block in a magazine is FRAME_CACHED: free, but not
 * in the store.
 *
 * Another CPU can ask for a drain by setting a magazine's `limit` to 0: then the next free that comes by
 * finds no room, takes the slow path, and returns a part of what is in there; the idle loop returns the rest.
 * That costs the fast path nothing.
 */
#include "mm/frame/internal.h"
#include <ashlar/assert.h>

#define REFILL_ORDER 6 /* single frames come from the store at most this many at a time: 2^6 */

/*
 * What a drain may cost that gives the policy pieces, in units of some 25 instructions, and what the parts of
 * it cost: two pieces at most. Scattered frames the policy counts itself.
 */
#define DRAIN_BUDGET 24
#define STRETCH_COST 5 /* finding a stretch of neighbours */
#define PIECE_COST   7 /* giving the policy a block */
#define CHANGE_COST  4 /* each entry of the policy's indexes that changes by that */

/* Blocks a CPU may hold, by magazine. A magazine holds at most 1/64 of its CPU's share of memory. */
static const uint8_t capacities[FRAME_MAGAZINES] = {128, 32, 32, 16, 16, 8, 8, 4, 4, 16, 16};

_Static_assert(FRAME_BATCH == 1 << REFILL_ORDER, "one bound for both");

void frame_cpu_init(struct frame_cpu *cpu, uint64_t frames, unsigned cpus, bool no_magazines)
{
    uint32_t slot = 0;
    memset(cpu, 0, sizeof *cpu);
    for (unsigned i = 0; i < FRAME_MAGAZINES; i++) {
        uint64_t share = frames / cpus / 64 >> frame_magazine_order(i);
        struct frame_magazine *magazine = &cpu->magazine[i];
        magazine->bottom = slot;
        slot += no_magazines ? 0 : (uint32_t)min_u64(capacities[i], share);
        magazine->end = slot;
        atomic_init(&magazine->top, magazine->bottom);
        atomic_init(&magazine->limit, magazine->end);
    }
    ASSERT(slot <= FRAME_SLOTS);
}

void frame_magazine_push(struct frame_pool *pool, struct frame_cpu *cpu, unsigned index, uint64_t frame)
{
    struct frame_magazine *magazine = &cpu->magazine[index];
    uint64_t count = frame_magazine_count(magazine);
    uint32_t tag = frame_tag(FRAME_CACHED, frame_magazine_order(index), 1);
    atomic_store_explicit(&pool->descriptors[frame].tag, tag, memory_order_relaxed);
    cpu->slots[magazine->bottom + count] = frame << FRAME_SHIFT;
    frame_magazine_set_count(magazine, count + 1);
}

/* ---- Draining ---- */

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
static void drain(struct frame_pool *pool, struct frame_cpu *cpu, unsigned index, uint64_t blocks)
    REQUIRES(pool->lock)
{
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
    drain(pool, cpu, index, min_u64(frame_magazine_count(&cpu->magazine[index]), FRAME_BATCH));
    spinlock_release(&pool->lock);
}

/* ---- Refilling ---- */

/* Writes `blocks` blocks that follow each other into the slots below `slot`, and their tags. */
static inline __attribute__((always_inline)) void write_pieces(struct frame_descriptor *descriptor,
                                                               uint64_t *slot, uint64_t address,
                                                               uint64_t blocks, unsigned order)
{
    uint32_t tag = frame_tag(FRAME_CACHED, order, 1);
#pragma clang loop unroll_count(4)
    for (uint64_t i = 0; i < blocks; i++) {
        *--slot = address + (i << order << FRAME_SHIFT);
        atomic_store_explicit(&descriptor[i << order].tag, tag, memory_order_relaxed);
    }
}

/* Cuts a block of `whole` into blocks of the magazine's order and puts them there, the lowest on top. */
static void push_pieces(struct frame_pool *pool, struct frame_cpu *cpu, unsigned order, uint64_t frame,
                        unsigned whole)
{
    struct frame_magazine *magazine = &cpu->magazine[order];
    struct frame_descriptor *descriptor = &pool->descriptors[frame];
    uint64_t blocks = 1ULL << (whole - order);
    uint64_t count = frame_magazine_count(magazine) + blocks;
    uint64_t *slot = &cpu->slots[magazine->bottom + count];
    if (order == 0) {
        write_pieces(descriptor, slot, frame << FRAME_SHIFT, blocks, 0);
    } else {
        write_pieces(descriptor, slot, frame << FRAME_SHIFT, blocks, order);
    }
    frame_magazine_set_count(magazine, count);
}

/* Orders 7 and 8 come one by one: more in stock would be much memory that is no whole 2 MiB block. */
static bool is_refilled(unsigned order)
{
    return order <= REFILL_ORDER || order == FRAME_ORDER_2M;
}

/*
 * The largest block that a magazine is refilled with at once: its half for single frames and 2 MiB blocks,
 * else its quarter.
 */
static unsigned refill_order(const struct frame_magazine *magazine, unsigned order)
{
    uint64_t capacity = frame_magazine_capacity(magazine);
    if (order == 0 || order == FRAME_ORDER_2M) {
        return order + (unsigned)min_u64(REFILL_ORDER, frame_order_below((capacity + 1) / 2));
    }
    return (unsigned)min_u64(order + frame_order_below((capacity + 3) / 4), FRAME_PAGE_SHIFT);
}

/*
 * Takes blocks into an empty magazine; returns whether there were any. It is one free block, cut up, and as
 * much of it as the magazine is refilled with: what is free in small pieces refills less, which bounds the
 * time that the lock is held.
 */
static bool refill(struct frame_pool *pool, struct frame_cpu *cpu, unsigned order)
{
    unsigned got;
    spinlock_acquire(&pool->lock);
    uint64_t frame =
        frame_store_take(pool, order, refill_order(&cpu->magazine[order], order), FRAME_LIMIT_MAX, &got);
    if (frame != FRAME_NO_FRAME) {
        pool->work.refills++;
        push_pieces(pool, cpu, order, frame, got);
    }
    spinlock_release(&pool->lock);
    return frame != FRAME_NO_FRAME;
}

/* A block straight from the store. */
static phys_addr_t take_one(struct frame_pool *pool, unsigned order, enum frame_owner owner)
{
    unsigned got;
    spinlock_acquire(&pool->lock);
    uint64_t frame = frame_store_take(pool, order, order, FRAME_LIMIT_MAX, &got);
    if (frame != FRAME_NO_FRAME) {
        frame_describe(pool, frame, FRAME_ALLOCATED, order, owner);
        frame_book(pool, owner, (int64_t)1 << order);
    }
    spinlock_release(&pool->lock);
    return frame == FRAME_NO_FRAME ? FRAME_NONE : phys_addr(frame << FRAME_SHIFT);
}

phys_addr_t frame_magazine_pop(struct frame_pool *pool, struct frame_cpu *cpu, unsigned index,
                               enum frame_owner owner)
{
    struct frame_magazine *magazine = &cpu->magazine[index];
    unsigned order = frame_magazine_order(index);
    uint64_t count = frame_magazine_count(magazine) - 1;
    uint64_t address = cpu->slots[magazine->bottom + count];
    frame_magazine_set_count(magazine, count);
    frame_describe(pool, address >> FRAME_SHIFT, FRAME_ALLOCATED, order, owner);
    frame_account(cpu, owner, (int64_t)1 << order);
    return phys_addr(address);
}

/* One attempt, preemption off. */
static phys_addr_t alloc_once(struct frame_pool *pool, unsigned order, enum frame_owner owner)
{
    struct frame_cpu *cpu = pool->cpu[cpu_number()];
    frame_count_event(&cpu->slow_operations);
    if (!is_refilled(order) || frame_magazine_capacity(&cpu->magazine[order]) == 0) {
        return take_one(pool, order, owner);
    }
    bool any = frame_magazine_count(&cpu->magazine[order]) > 0 || refill(pool, cpu, order);
    return any ? frame_magazine_pop(pool, cpu, order, owner) : FRAME_NONE;
}

phys_addr_t frame_alloc_slow(struct frame_pool *pool, unsigned order, enum frame_owner owner)
{
    if (order > FRAME_ORDER_MAX || (unsigned)owner >= OWNER_COUNT) {
        panic("frame_alloc: order %u, owner %u: %s", order, (unsigned)owner,
              frame_error_name(order > FRAME_ORDER_MAX ? FRAME_BAD_ORDER : FRAME_BAD_OWNER));
    }
    struct frame_shortage shortage = {.order = order, .frames = 1ULL << order};
    phys_addr_t block;
    do {
        preempt_disable();
        block = alloc_once(pool, order, owner);
        preempt_enable();
    } while (block.raw == 0 && frame_reclaim(pool, &shortage));
    return block;
}

/* Makes room in a magazine if it is full, or its CPU was asked to drain. */
static void make_room(struct frame_pool *pool, struct frame_cpu *cpu, unsigned order)
{
    struct frame_magazine *magazine = &cpu->magazine[order];
    if (atomic_load_explicit(&magazine->limit, memory_order_relaxed) == 0) {
        frame_magazine_drain_asked(pool, cpu, order);
        return;
    }
    if (frame_magazine_count(magazine) < frame_magazine_capacity(magazine)) {
        return; /* a free that had to be looked at first */
    }
    uint64_t blocks = min_u64((3 * frame_magazine_count(magazine) + 3) / 4, 3 * FRAME_BATCH / 2);
    spinlock_acquire(&pool->lock);
    drain(pool, cpu, order, blocks);
    spinlock_release(&pool->lock);
}

void frame_magazine_free(struct frame_pool *pool, uint64_t frame, unsigned order)
{
    struct frame_descriptor *descriptor = &pool->descriptors[frame];
    uint32_t owner = atomic_load_explicit(&descriptor->owner, memory_order_relaxed);
    preempt_disable();
    struct frame_cpu *cpu = pool->cpu[cpu_number()];
    frame_count_event(&cpu->slow_operations);
    frame_account(cpu, owner, -((int64_t)1 << order));
    if (order <= FRAME_ORDER_2M && frame_magazine_capacity(&cpu->magazine[order]) != 0) {
        make_room(pool, cpu, order);
        frame_magazine_push(pool, cpu, order, frame);
    } else {
        spinlock_acquire(&pool->lock);
        frame_store_give(pool, frame, order);
        spinlock_release(&pool->lock);
    }
    preempt_enable();
}
