/*
 * Magazines: each CPU's small stock of free blocks, by order. Only its CPU touches it, with preemption off
 * and no lock; the fast paths are in <ashlar/frame.h>. A block in a magazine is FRAME_CACHED: free, but not
 * in the store.
 *
 * Another CPU can ask for a drain by setting a magazine's `limit` to 0: then the next free that comes by
 * finds no room, takes the slow path, and empties all of them there. That costs the fast path nothing.
 */
#include "frame_internal.h"

#define REFILL_ORDER    5 /* single frames come from the store at most this many at a time: 2^5 */
#define ALIGNED_STRETCH (sizeof(struct frame_descriptor) << REFILL_ORDER) /* descriptors are page-aligned */
#define STRETCHES_MAX   8 /* a drain gives the policy at most this many blocks of neighbours */

/* Blocks a CPU may hold, by magazine. A magazine holds at most 1/64 of its CPU's share of memory. */
static const uint8_t capacities[FRAME_MAGAZINES] = {64, 16, 16, 16, 16, 8, 8, 4, 4, 4, 16};

_Static_assert(FRAME_BATCH == 1 << REFILL_ORDER, "one bound for both");
_Static_assert(FRAME_BATCH <= FRAME_MAGAZINE_SLOTS, "a refill fits");

void frame_cpu_init(struct frame_cpu *cpu, uint64_t frames, unsigned cpus, bool no_magazines)
{
    memset(cpu, 0, sizeof *cpu);
    for (unsigned i = 0; i < FRAME_MAGAZINES; i++) {
        uint64_t share = frames / cpus / 64 >> frame_magazine_order(i);
        struct frame_magazine *magazine = &cpu->magazine[i];
        magazine->capacity = no_magazines ? 0 : (uint32_t)min_u64(capacities[i], share);
        atomic_init(&magazine->limit, magazine->capacity);
    }
}

static void push(struct frame_magazine *magazine, struct frame_descriptor *descriptor, uint64_t frame,
                 unsigned order)
{
    uint32_t count = atomic_load_explicit(&magazine->count, memory_order_relaxed);
    descriptor->address = frame << FRAME_SHIFT;
    atomic_store_explicit(&descriptor->tag, frame_tag(FRAME_CACHED, order, 1), memory_order_relaxed);
    magazine->slots[count] = descriptor;
    atomic_store_explicit(&magazine->count, count + 1, memory_order_relaxed);
}

static struct frame_descriptor *pop(struct frame_magazine *magazine)
{
    uint32_t count = atomic_load_explicit(&magazine->count, memory_order_relaxed) - 1;
    atomic_store_explicit(&magazine->count, count, memory_order_relaxed);
    return magazine->slots[count];
}

/*
 * Returns the last `blocks` blocks of a magazine to the store, fewer if they are scattered: this bounds the
 * time that the lock is held. Neighbours that follow each other, up or down, as what is freed in a row does,
 * are returned together: that spares most of the merging.
 */
static void drain(struct frame_pool *pool, struct frame_magazine *magazine, unsigned order, uint64_t blocks)
    REQUIRES(pool->lock)
{
    uint32_t count = atomic_load_explicit(&magazine->count, memory_order_relaxed);
    struct frame_descriptor **slot = &magazine->slots[count];
    struct frame_descriptor **last = slot - blocks;
    struct frame_descriptor **half = slot - blocks / 2;
    uint32_t freed = frame_tag(FRAME_FREED, order, 0);
    uint64_t size = 1ULL << order;
    for (unsigned stretches = 0; slot != last && stretches < STRETCHES_MAX; stretches++) {
        struct frame_descriptor *first = slot[-1] + size;
        struct frame_descriptor *end = first;
        while (slot != last) {
            struct frame_descriptor *descriptor = slot[-1];
            if (descriptor + size == first) { /* the common case */
                first = descriptor;
            } else if (descriptor == end) {
                end += size;
            } else {
                break;
            }
            atomic_store_explicit(&descriptor->tag, freed, memory_order_relaxed);
            slot--;
            if (slot <= half && (uintptr_t)first % ALIGNED_STRETCH == 0) {
                last = slot; /* the rest can wait: what was freed in a row goes back in aligned pieces */
            }
        }
        frame_store_give_plain(pool, (uint64_t)(first - pool->descriptors),
                               (uint64_t)(end - pool->descriptors));
    }
    atomic_store_explicit(&magazine->count, (uint32_t)(slot - magazine->slots), memory_order_relaxed);
}

/* Empties all magazines of a CPU; returns whether there was anything in them. */
static bool drain_cpu(struct frame_pool *pool, struct frame_cpu *cpu)
{
    bool any = false;
    for (unsigned i = 0; i < FRAME_MAGAZINES; i++) {
        struct frame_magazine *magazine = &cpu->magazine[i];
        uint64_t blocks;
        while ((blocks = min_u64(frame_magazine_count(magazine), FRAME_BATCH)) > 0) {
            spinlock_acquire(&pool->lock);
            drain(pool, magazine, frame_magazine_order(i), blocks);
            spinlock_release(&pool->lock);
            any = true;
        }
        atomic_store_explicit(&magazine->limit, magazine->capacity, memory_order_relaxed);
    }
    return any;
}

bool frame_magazines_drain_here(struct frame_pool *pool)
{
    preempt_disable();
    bool any = drain_cpu(pool, pool->cpu[cpu_number()]);
    preempt_enable();
    return any;
}

void frame_pool_drain_cpu(struct frame_pool *pool, unsigned cpu)
{
    if (cpu < pool->config.cpus) {
        drain_cpu(pool, pool->cpu[cpu]);
    }
}

bool frame_magazines_reclaim(struct frame_pool *pool)
{
    preempt_disable();
    unsigned here = cpu_number();
    for (unsigned cpu = 0; cpu < pool->config.cpus; cpu++) {
        for (unsigned i = 0; cpu != here && i < FRAME_MAGAZINES; i++) {
            atomic_store_explicit(&pool->cpu[cpu]->magazine[i].limit, 0, memory_order_relaxed);
        }
    }
    bool any = drain_cpu(pool, pool->cpu[here]);
    preempt_enable();
    return any;
}

void frame_pool_drain(struct frame_pool *pool)
{
    frame_magazines_reclaim(pool);
}

/* Puts `frames` neighbouring frames into a magazine, the lowest on top. */
static void push_piece(struct frame_pool *pool, struct frame_magazine *magazine, uint64_t frame,
                       uint64_t frames)
{
    uint32_t count = atomic_load_explicit(&magazine->count, memory_order_relaxed);
    struct frame_descriptor **slot = &magazine->slots[count];
    struct frame_descriptor *first = &pool->descriptors[frame];
    uint64_t address = (frame + frames) << FRAME_SHIFT;
    for (struct frame_descriptor *descriptor = first + frames; descriptor != first;) {
        descriptor--;
        address -= FRAME_BYTES;
        descriptor->address = address;
        atomic_store_explicit(&descriptor->tag, frame_tag(FRAME_CACHED, 0, 1), memory_order_relaxed);
        *slot++ = descriptor;
    }
    atomic_store_explicit(&magazine->count, count + (uint32_t)frames, memory_order_relaxed);
}

/*
 * Takes single frames into an empty magazine; returns whether there were any. Pieces of up to 2^REFILL_ORDER
 * are taken until half that many frames are there: asking for an exact number would cut up aligned blocks
 * again and again.
 */
static bool refill(struct frame_pool *pool, struct frame_magazine *magazine)
{
    uint64_t taken = 0;
    if (magazine->capacity == 0) {
        return false;
    }
    unsigned most = (unsigned)min_u64(REFILL_ORDER, frame_order_below((magazine->capacity + 1) / 2));
    spinlock_acquire(&pool->lock);
    do {
        unsigned got;
        uint64_t frame = frame_store_take(pool, 0, most, FRAME_LIMIT_MAX, &got);
        if (frame == FRAME_NO_FRAME) {
            break;
        }
        taken += 1ULL << got;
        push_piece(pool, magazine, frame, 1ULL << got);
    } while (taken < 1ULL << most >> 1);
    spinlock_release(&pool->lock);
    return taken > 0;
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

/* Takes the block on top of a magazine that is not empty. */
static phys_addr_t take_top(struct frame_cpu *cpu, struct frame_magazine *magazine, enum frame_owner owner)
{
    struct frame_descriptor *descriptor = pop(magazine);
    phys_addr_t block = phys_addr(descriptor->address);
    atomic_store_explicit(&descriptor->owner, owner, memory_order_relaxed);
    atomic_store_explicit(&descriptor->tag, frame_tag(FRAME_ALLOCATED, 0, 1), memory_order_relaxed);
    frame_account(cpu, owner, 1);
    return block;
}

static void count_slow(struct frame_cpu *cpu)
{
    uint64_t count = atomic_load_explicit(&cpu->slow_operations, memory_order_relaxed);
    atomic_store_explicit(&cpu->slow_operations, count + 1, memory_order_relaxed);
}

/* One attempt, preemption off. */
static phys_addr_t alloc_once(struct frame_pool *pool, unsigned order, enum frame_owner owner)
{
    struct frame_cpu *cpu = pool->cpu[cpu_number()];
    count_slow(cpu);
    if (order == 0 && (frame_magazine_count(&cpu->magazine[0]) > 0 || refill(pool, &cpu->magazine[0]))) {
        return take_top(cpu, &cpu->magazine[0], owner);
    }
    return take_one(pool, order, owner);
}

phys_addr_t frame_alloc_slow(struct frame_pool *pool, unsigned order, enum frame_owner owner)
{
    if (order > FRAME_ORDER_MAX || (unsigned)owner >= OWNER_COUNT) {
        panic("frame_alloc: order %u, owner %u: %s", order, (unsigned)owner,
              frame_error_name(order > FRAME_ORDER_MAX ? FRAME_BAD_ORDER : FRAME_BAD_OWNER));
    }
    preempt_disable();
    phys_addr_t block = alloc_once(pool, order, owner);
    if (block.raw == 0 && frame_magazines_reclaim(pool)) {
        block = alloc_once(pool, order, owner);
    }
    preempt_enable();
    return block;
}

/* Makes room in a magazine that is full, or whose CPU was asked to drain. */
static void make_room(struct frame_pool *pool, struct frame_cpu *cpu, unsigned order)
{
    struct frame_magazine *magazine = &cpu->magazine[order];
    if (atomic_load_explicit(&magazine->limit, memory_order_relaxed) == 0) {
        drain_cpu(pool, cpu);
        return;
    }
    uint64_t blocks = min_u64((3 * frame_magazine_count(magazine) + 3) / 4, 3 * FRAME_BATCH / 2);
    spinlock_acquire(&pool->lock);
    drain(pool, magazine, order, blocks);
    spinlock_release(&pool->lock);
}

void frame_magazine_free(struct frame_pool *pool, uint64_t frame, unsigned order)
{
    struct frame_descriptor *descriptor = &pool->descriptors[frame];
    uint32_t owner = atomic_load_explicit(&descriptor->owner, memory_order_relaxed);
    preempt_disable();
    struct frame_cpu *cpu = pool->cpu[cpu_number()];
    count_slow(cpu);
    frame_account(cpu, owner, -((int64_t)1 << order));
    struct frame_magazine *magazine = order <= FRAME_ORDER_2M ? &cpu->magazine[order] : NULL;
    if (magazine && magazine->capacity != 0) {
        make_room(pool, cpu, order);
        push(magazine, descriptor, frame, order);
    } else {
        spinlock_acquire(&pool->lock);
        frame_store_give(pool, frame, order);
        spinlock_release(&pool->lock);
    }
    preempt_enable();
}

/* ---- Zeroed frames ---- */

phys_addr_t frame_alloc_zeroed(struct frame_pool *pool, enum frame_owner owner)
{
    preempt_disable();
    struct frame_cpu *cpu = pool->cpu[cpu_number()];
    struct frame_magazine *magazine = &cpu->magazine[FRAME_MAGAZINE_ZERO];
    if (frame_magazine_count(magazine) > 0 && (unsigned)owner < OWNER_COUNT) {
        phys_addr_t frame = take_top(cpu, magazine, owner);
        preempt_enable();
        return frame;
    }
    preempt_enable();
    phys_addr_t frame = frame_alloc(pool, 0, owner);
    if (frame.raw != 0) {
        memset(frame_pointer(pool, frame), 0, FRAME_BYTES);
    }
    return frame;
}

bool frame_pool_idle(struct frame_pool *pool)
{
    preempt_disable();
    struct frame_magazine *magazine = &pool->cpu[cpu_number()]->magazine[FRAME_MAGAZINE_ZERO];
    bool room = atomic_load_explicit(&magazine->count, memory_order_relaxed) <
                atomic_load_explicit(&magazine->limit, memory_order_relaxed);
    uint64_t frame = FRAME_NO_FRAME;
    if (room) {
        unsigned got;
        spinlock_acquire(&pool->lock);
        frame = frame_store_take(pool, 0, 0, FRAME_LIMIT_MAX, &got);
        spinlock_release(&pool->lock);
    }
    if (frame != FRAME_NO_FRAME) {
        memset(frame_pointer(pool, phys_addr(frame << FRAME_SHIFT)), 0, FRAME_BYTES);
        push(magazine, &pool->descriptors[frame], frame, 0);
    }
    preempt_enable();
    return frame != FRAME_NO_FRAME;
}
