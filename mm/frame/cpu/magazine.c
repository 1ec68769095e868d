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
#include "mm/frame/valid.h"
#include <ashlar/assert.h>

#define REFILL_ORDER 6 /* single frames come from the store at most this many at a time: 2^6 */

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
    DEBUG_ASSERT(frame_magazine_is_valid(&cpu->magazine[index]));
    struct frame_magazine *magazine = &cpu->magazine[index];
    uint64_t count = frame_magazine_count(magazine);
    uint32_t tag = frame_tag(FRAME_CACHED, frame_magazine_order(index), 1);
    atomic_store_explicit(&pool->descriptors[frame].tag, tag, memory_order_relaxed);
    cpu->slots[magazine->bottom + count] = frame << FRAME_SHIFT;
    frame_magazine_set_count(magazine, count + 1);
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

/* Orders 7 and 8 are taken one by one: a stock of them would break up several blocks of 2 MiB. */
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
    DEBUG_ASSERT(frame_magazine_is_valid(&cpu->magazine[order]));
    unsigned got;
    spinlock_acquire(&pool->lock);
    uint64_t frame =
        frame_store_take(pool, order, refill_order(&cpu->magazine[order], order), FRAME_LIMIT_MAX, &got);
    if (frame != FRAME_NUMBER_NONE) {
        pool->work.refills++;
        push_pieces(pool, cpu, order, frame, got);
    }
    spinlock_release(&pool->lock);
    return frame != FRAME_NUMBER_NONE;
}

/* A block straight from the store. */
static phys_addr_t take_one(struct frame_pool *pool, unsigned order, enum frame_owner owner)
{
    unsigned got;
    spinlock_acquire(&pool->lock);
    uint64_t frame = frame_store_take(pool, order, order, FRAME_LIMIT_MAX, &got);
    if (frame != FRAME_NUMBER_NONE) {
        frame_describe(pool, frame, FRAME_ALLOCATED, order, owner);
        frame_book(pool, owner, (int64_t)1 << order);
    }
    spinlock_release(&pool->lock);
    return frame == FRAME_NUMBER_NONE ? FRAME_NONE : phys_addr(frame << FRAME_SHIFT);
}

phys_addr_t frame_magazine_pop(struct frame_pool *pool, struct frame_cpu *cpu, unsigned index,
                               enum frame_owner owner)
{
    DEBUG_ASSERT(frame_magazine_is_valid(&cpu->magazine[index]));
    struct frame_magazine *magazine = &cpu->magazine[index];
    unsigned order = frame_magazine_order(index);
    uint64_t count = frame_magazine_count(magazine) - 1;
    uint64_t address = cpu->slots[magazine->bottom + count];
    frame_magazine_set_count(magazine, count);
    frame_describe(pool, address >> FRAME_SHIFT, FRAME_ALLOCATED, order, owner);
    frame_account(cpu, owner, (int64_t)1 << order);
    return phys_addr(address);
}

phys_addr_t frame_magazine_alloc(struct frame_pool *pool, unsigned order, enum frame_owner owner)
{
    struct frame_cpu *cpu = frame_cpu_here(pool);
    frame_count_event(&cpu->slow_operations);
    if (!is_refilled(order) || frame_magazine_capacity(&cpu->magazine[order]) == 0) {
        return take_one(pool, order, owner);
    }
    bool any = frame_magazine_count(&cpu->magazine[order]) > 0 || refill(pool, cpu, order);
    return any ? frame_magazine_pop(pool, cpu, order, owner) : FRAME_NONE;
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
        return; /* there is room: the free came here because its descriptor had to be looked at */
    }
    uint64_t blocks = min_u64((3 * frame_magazine_count(magazine) + 3) / 4, 3 * FRAME_BATCH / 2);
    spinlock_acquire(&pool->lock);
    frame_magazine_drain_blocks(pool, cpu, order, blocks);
    spinlock_release(&pool->lock);
}

void frame_magazine_free(struct frame_pool *pool, uint64_t frame, unsigned order)
{
    struct frame_descriptor *descriptor = &pool->descriptors[frame];
    uint32_t owner = frame_descriptor_owner(descriptor);
    struct frame_cpu *cpu = frame_cpu_here(pool);
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
}
