/*
 * Magazines: each CPU's small stock of free blocks, by order. Only its CPU touches it, with preemption off
 * and no lock; the fast paths are in <ashlar/frame.h>. A block in a magazine is FRAME_CACHED: free, but not
 * in the store.
 *
 * Another CPU can ask for a drain by setting a magazine's `limit` to 0: then the next free that comes by
 * finds no room, takes the slow path, and returns a part of what is in there; the idle loop returns the rest.
 * That costs the fast path nothing.
 */
#include "mm/frame/cpu/cpu.h"
#include "mm/frame/valid.h"
#include <ashlar/assert.h>

/*
 * Blocks a CPU may hold, by magazine. A magazine holds at most 1/64 of its CPU's share of memory; that of
 * 2 MiB blocks 1/32, for there are no larger ones that it could be refilled with.
 */
static const uint8_t capacities[FRAME_MAGAZINES] = {128, 32, 32, 16, 16, 8, 8, 4, 4, 32, 16};

void frame_cpu_init(struct frame_cpu *cpu, uint64_t frames, unsigned cpus, bool no_magazines)
{
    uint32_t slot = 0;
    memset(cpu, 0, sizeof *cpu);
    for (unsigned i = 0; i < FRAME_MAGAZINES; i++) {
        uint64_t share = frames / cpus / (i == FRAME_ORDER_2M ? 32 : 64) >> frame_magazine_order(i);
        struct frame_magazine *magazine = &cpu->magazine[i];
        magazine->bottom = slot;
        slot += no_magazines ? 0 : (uint32_t)min_u64(capacities[i], share);
        magazine->end = slot;
        atomic_init(&magazine->top, magazine->bottom);
        atomic_init(&magazine->limit, magazine->end);
    }
    ASSERT(slot <= FRAME_SLOTS);
}

/* Orders 7 and 8 are taken one by one: a stock of them would break up several blocks of 2 MiB. */
static bool is_refilled(unsigned order)
{
    return order < FRAME_PAGE_SHIFT - 1 || order == FRAME_ORDER_2M;
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
    bool any = frame_magazine_count(&cpu->magazine[order]) > 0 || frame_magazine_refill(pool, cpu, order);
    return any ? frame_magazine_pop(pool, cpu, order, owner) : FRAME_NONE;
}

/*
 * Returns something to the store for another CPU that asked for it: of the larger blocks that are in stock
 * for refills, and of this magazine last, for frees do not come here any more once it is empty.
 */
static void give_asked(struct frame_pool *pool, struct frame_cpu *cpu, unsigned order)
{
    unsigned index = order < FRAME_STOCK_ORDER_MAX ? FRAME_STOCK_ORDER_MAX : order;
    while (index > order && frame_magazine_count(&cpu->magazine[index]) == 0) {
        index--;
    }
    frame_magazine_drain_asked(pool, cpu, index);
}

/* Makes room in a magazine if it is full, or its CPU was asked to drain. */
static void make_room(struct frame_pool *pool, struct frame_cpu *cpu, unsigned order)
{
    struct frame_magazine *magazine = &cpu->magazine[order];
    bool asked = atomic_load_explicit(&magazine->limit, memory_order_relaxed) == 0;
    bool full = frame_magazine_count(magazine) == frame_magazine_capacity(magazine);
    if (asked && !full) {
        give_asked(pool, cpu, order);
    } else if (asked) {
        frame_magazine_drain_asked(pool, cpu, order);
    } else if (full) { /* or else the free came here because its descriptor had to be looked at */
        uint64_t blocks = min_u64((3 * frame_magazine_count(magazine) + 3) / 4, 3 * FRAME_BATCH / 2);
        spinlock_acquire(&pool->lock);
        frame_magazine_drain_blocks(pool, cpu, order, blocks);
        spinlock_release(&pool->lock);
    }
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
