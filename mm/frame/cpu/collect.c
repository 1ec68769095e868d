/*
 * Returning what magazines hold to the store, other than when they are full: for another CPU that asked, for
 * an allocation that found nothing, for a given block, or all of it. It is done in parts, each with the lock
 * held for as long as a drain (cpu/drain.c) or one block takes; in the end what is free is merged.
 */
#include "mm/frame/cpu/cpu.h"
#include "mm/frame/valid.h"

bool frame_magazine_drain_asked(struct frame_pool *pool, struct frame_cpu *cpu, unsigned index)
{
    struct frame_magazine *magazine = &cpu->magazine[index];
    bool any = frame_magazine_count(magazine) > 0;
    if (any) {
        frame_magazine_drain(pool, cpu, index);
    }
    if (frame_magazine_count(magazine) == 0) {
        atomic_store_explicit(&magazine->limit, magazine->end, memory_order_relaxed);
    }
    return any;
}

bool frame_magazines_drain_asked(struct frame_pool *pool, struct frame_cpu *cpu)
{
    for (unsigned i = 0; i < FRAME_MAGAZINES; i++) {
        if (atomic_load_explicit(&cpu->magazine[i].limit, memory_order_relaxed) == 0 &&
            frame_magazine_drain_asked(pool, cpu, i)) {
            return true;
        }
    }
    return false;
}

/*
 * The magazine that can help an allocation of `order`: the smallest that holds blocks which are large enough,
 * else the one with the largest blocks, which may merge. FRAME_MAGAZINES when all are empty.
 */
static unsigned choose_magazine(const struct frame_cpu *cpu, unsigned order)
{
    unsigned chosen = FRAME_MAGAZINES;
    for (unsigned i = FRAME_MAGAZINES; i-- > 0;) {
        bool enough = frame_magazine_order(i) >= order;
        if (frame_magazine_count(&cpu->magazine[i]) > 0 && (enough || chosen == FRAME_MAGAZINES)) {
            chosen = i;
        }
    }
    return chosen;
}

/* Returns the block on top of a magazine of this CPU to the store. */
static void give_top(struct frame_pool *pool, struct frame_cpu *cpu, unsigned index) EXCLUDES(pool->lock)
{
    struct frame_magazine *magazine = &cpu->magazine[index];
    uint64_t count = frame_magazine_count(magazine) - 1;
    uint64_t frame = cpu->slots[magazine->bottom + count] >> FRAME_SHIFT;
    spinlock_acquire(&pool->lock); /* before it leaves the magazine: others look for it here or there */
    frame_magazine_set_count(magazine, count);
    frame_store_give(pool, frame, frame_magazine_order(index));
    spinlock_release(&pool->lock);
}

/* One hold of the lock of frame_magazines_give(); whether the same magazine should give more. */
static bool give_part(struct frame_pool *pool, unsigned order, bool *any)
{
    preempt_disable();
    struct frame_cpu *cpu = frame_cpu_here(pool);
    unsigned index = choose_magazine(cpu, order);
    bool found = index < FRAME_MAGAZINES;
    bool must_merge = found && frame_magazine_order(index) < order;
    if (found && frame_magazine_order(index) > order) { /* one is enough */
        give_top(pool, cpu, index);
    } else if (found) {
        frame_magazine_drain(pool, cpu, index);
    }
    bool more = must_merge && frame_magazine_count(&cpu->magazine[index]) > 0;
    preempt_enable();
    *any = *any || found;
    return more;
}

bool frame_magazines_give(struct frame_pool *pool, unsigned order)
{
    bool any = false;
    while (give_part(pool, order, &any)) {
    }
    return any;
}

/* Which of `count` slots has this address; `count` if none has. */
static uint64_t find_slot(const uint64_t *slots, uint64_t count, uint64_t address)
{
    uint64_t slot = 0;
    while (count - slot >= 4 && slots[slot] != address && slots[slot + 1] != address &&
           slots[slot + 2] != address && slots[slot + 3] != address) {
        slot += 4;
    }
    while (slot < count && slots[slot] != address) {
        slot++;
    }
    return slot;
}

bool frame_magazine_remove(struct frame_pool *pool, uint64_t frame, unsigned order)
{
    struct frame_cpu *cpu = frame_cpu_here(pool);
    for (unsigned i = 0; i < FRAME_MAGAZINES; i++) {
        struct frame_magazine *magazine = &cpu->magazine[i];
        uint64_t *slots = &cpu->slots[magazine->bottom];
        uint64_t count = frame_magazine_order(i) == order ? frame_magazine_count(magazine) : 0;
        uint64_t slot = find_slot(slots, count, frame << FRAME_SHIFT);
        if (slot < count) {
            slots[slot] = slots[count - 1];
            frame_magazine_set_count(magazine, count - 1);
            return true;
        }
    }
    return false;
}

void frame_magazines_ask(struct frame_pool *pool)
{
    preempt_disable();
    for (unsigned cpu = 0; cpu < pool->config.cpus; cpu++) {
        for (unsigned i = 0; cpu != cpu_number() && i < FRAME_MAGAZINES; i++) {
            atomic_store_explicit(&pool->cpu[cpu].magazine[i].limit, 0, memory_order_relaxed);
        }
    }
    preempt_enable();
}

/* Whether the magazines of a CPU hold anything, or may, since it moved blocks between them meanwhile. */
static bool holds_any(const struct frame_cpu *cpu)
{
    uint32_t moves = atomic_load_explicit(&cpu->moves, memory_order_acquire);
    bool any = false;
    for (unsigned i = 0; !any && i < FRAME_MAGAZINES; i++) {
        any = frame_magazine_count(&cpu->magazine[i]) > 0;
    }
    atomic_thread_fence(memory_order_acquire);
    return any || moves % 2 != 0 || atomic_load_explicit(&cpu->moves, memory_order_relaxed) != moves;
}

bool frame_pool_others_hold(const struct frame_pool *pool)
{
    bool any = false;
    preempt_disable(); /* it is the same CPU that is left out for all of them */
    for (unsigned cpu = 0; !any && cpu < pool->config.cpus; cpu++) {
        any = cpu != cpu_number() && holds_any(&pool->cpu[cpu]);
    }
    preempt_enable();
    return any;
}

bool frame_magazines_collect(struct frame_pool *pool)
{
    return pool->config.collect && cpu_may_wait() && pool->config.collect(pool->config.collect_context);
}

bool frame_pool_collect(struct frame_pool *pool)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    VALIDATE_AT_RANDOM(frame, frame_pool_check, pool);
    /* Somebody else may have collected since the caller found nothing, or freed something. */
    return frame_magazines_collect(pool) ||
           (pool->config.collect && cpu_may_wait() && frame_pool_free(pool) > 0);
}

void frame_pool_drain_cpu(struct frame_pool *pool, unsigned cpu)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    for (unsigned i = 0; cpu < pool->config.cpus && i < FRAME_MAGAZINES; i++) {
        while (frame_magazine_drain_asked(pool, &pool->cpu[cpu], i)) {
        }
    }
}

void frame_pool_drain(struct frame_pool *pool)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    VALIDATE_AT_RANDOM(frame, frame_pool_check, pool);
    frame_magazines_ask(pool);
    preempt_disable();
    frame_pool_drain_cpu(pool, cpu_number());
    preempt_enable();
    frame_store_merge_all(pool);
}
