/*
 * The fast paths of <ashlar/frame.h>, which includes this: a block out of, or into, a magazine of this CPU,
 * with preemption off and no lock.
 */
#pragma once

#include <ashlar/assert.h>
#include <ashlar/failing.h>
#include <ashlar/frame.h>
#include <ashlar/lock_check.h>

/* The slow paths behind them; not to be called otherwise. */
phys_addr_t frame_alloc_slow(struct frame_pool *pool, unsigned order, enum frame_owner owner)
    EXCLUDES(pool->lock);
void frame_free_slow(struct frame_pool *pool, phys_addr_t block, unsigned order) EXCLUDES(pool->lock);

static inline __attribute__((always_inline)) bool frame_share(struct frame_descriptor *descriptor)
{
    __asm__("" : "+r"(descriptor)); /* spares adding base and offset for each use again */
    uint64_t both = atomic_load_explicit(&descriptor->both, memory_order_relaxed);
    do {
        DEBUG_ASSERT(frame_tag_state((uint32_t)both) == FRAME_ALLOCATED);
        uint32_t tag = (uint32_t)both;
        if (both >= FRAME_BOTH_PINNED || frame_tag_references(tag) == FRAME_REFERENCES_MAX) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&descriptor->both, &both,
                                                    both + (1ULL << FRAME_TAG_REFERENCES_SHIFT),
                                                    memory_order_relaxed, memory_order_relaxed));
    return true;
}

static inline __attribute__((always_inline)) bool frame_unshare(struct frame_descriptor *descriptor)
{
    __asm__("" : "+r"(descriptor));
    uint64_t both = atomic_load_explicit(&descriptor->both, memory_order_relaxed);
    do {
        DEBUG_ASSERT(frame_tag_state((uint32_t)both) == FRAME_ALLOCATED);
        if (both >= FRAME_BOTH_PINNED || frame_tag_references((uint32_t)both) <= 1) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(&descriptor->both, &both,
                                                    both - (1ULL << FRAME_TAG_REFERENCES_SHIFT),
                                                    memory_order_acq_rel, memory_order_relaxed));
    return true;
}

/* This CPU's part of a pool, which is its own as long as preemption stays off. */
static inline struct frame_cpu *frame_cpu_here(const struct frame_pool *pool)
{
    struct frame_cpu *cpu = cpu_page(pool->cpu);
    DEBUG_ASSERT(cpu == pool->cpu + cpu_number() && cpu_number() < pool->config.cpus);
    return cpu;
}

/* Books `frames` more (or fewer) for `owner`. Preemption is off. */
static inline void frame_account(struct frame_cpu *cpu, uint32_t owner, int64_t frames)
{
    int64_t owned = atomic_load_explicit(&cpu->owned[owner], memory_order_relaxed);
    atomic_store_explicit(&cpu->owned[owner], owned + frames, memory_order_relaxed);
}

/*
 * Moves the top of a magazine of this CPU. Loading it again instead of using what was loaded before makes one
 * instruction of this, an addition in memory.
 */
static inline void frame_magazine_move(struct frame_magazine *magazine, uint32_t by)
{
    uint32_t top = atomic_load_explicit(&magazine->top, memory_order_relaxed);
    atomic_store_explicit(&magazine->top, top + by, memory_order_relaxed);
}

/* The halves of frame_alloc() and frame_free() that need no lock: a block out of, or into, a magazine of this
 * CPU. False when that cannot be; nothing has changed then. */
static inline bool frame_alloc_cached(struct frame_pool *pool, unsigned order, enum frame_owner owner,
                                      phys_addr_t *block)
{
    LOCK_CHECK_ALLOCATE();
    /* Costs nothing where both are constants; the slow path names the mistake. */
    if (__builtin_expect(order > FRAME_ORDER_2M || (unsigned)owner >= OWNER_COUNT, 0)) {
        return false;
    }
    preempt_disable();
    struct frame_cpu *cpu = frame_cpu_here(pool);
    struct frame_magazine *magazine = &cpu->magazine[order];
    uint32_t top = atomic_load_explicit(&magazine->top, memory_order_relaxed);
    if (__builtin_expect(top == magazine->bottom, 0)) {
        preempt_enable();
        return false;
    }
    *block = phys_addr(cpu->slots[(uint64_t)top - 1]);
    __builtin_assume(block->raw % FRAME_BYTES == 0); /* spares the mask in finding the descriptor */
    struct frame_descriptor *descriptor = frame_descriptor(pool, *block);
    DEBUG_ASSERT(descriptor->tag == frame_tag(FRAME_CACHED, order, 1)); /* else it is in two magazines */
    frame_magazine_move(magazine, (uint32_t)-1);
    /* One word, as frame_free() loads it: a CPU hands a store on only to a load of the same size. */
    uint64_t both = (uint64_t)owner << 32 | frame_tag(FRAME_ALLOCATED, order, 1);
    atomic_store_explicit(&descriptor->both, both, memory_order_relaxed);
    frame_account(cpu, owner, (int64_t)1 << order);
    preempt_enable();
    return true;
}

static inline bool frame_free_cached(struct frame_pool *pool, phys_addr_t block, unsigned order)
{
    LOCK_CHECK_ALLOCATE();
    /*
     * Rotated, a misaligned address becomes a huge frame number: one comparison refuses it and foreign ones.
     */
    uint64_t frame = block.raw >> FRAME_SHIFT | block.raw << (64 - FRAME_SHIFT);
    if (__builtin_expect(order > FRAME_ORDER_2M || frame >= pool->frame_limit, 0)) {
        return false;
    }
    struct frame_descriptor *descriptor = &pool->descriptors[frame];
    __asm__("" : "+r"(descriptor)); /* spares adding base and offset for each use again */
    uint64_t both = atomic_load_explicit(&descriptor->both, memory_order_relaxed);
    if (__builtin_expect((uint32_t)both != frame_tag(FRAME_ALLOCATED, order, 1), 0)) {
        return false;
    }
    preempt_disable();
    struct frame_cpu *cpu = frame_cpu_here(pool);
    struct frame_magazine *magazine = &cpu->magazine[order];
    uint32_t top = atomic_load_explicit(&magazine->top, memory_order_relaxed);
    if (__builtin_expect(top >= atomic_load_explicit(&magazine->limit, memory_order_relaxed), 0)) {
        preempt_enable();
        return false;
    }
    uint32_t owner = (uint32_t)(both >> 32); /* the whole use: the tag says that there are no marks */
    atomic_store_explicit(&descriptor->tag, frame_tag(FRAME_CACHED, order, 1), memory_order_relaxed);
    cpu->slots[top] = block.raw;
    frame_magazine_move(magazine, 1);
    frame_account(cpu, owner, -((int64_t)1 << order));
    preempt_enable();
    return true;
}

static inline phys_addr_t frame_alloc(struct frame_pool *pool, unsigned order, enum frame_owner owner)
{
    phys_addr_t block;
    if (FAILING_NOW()) {
        return FRAME_NONE;
    }
    return frame_alloc_cached(pool, order, owner, &block) ? block : frame_alloc_slow(pool, order, owner);
}

static inline void frame_free(struct frame_pool *pool, phys_addr_t block, unsigned order)
{
    if (!frame_free_cached(pool, block, order)) {
        frame_free_slow(pool, block, order);
    }
}
