/*
 * Zeroed frames. Each CPU has a small stock of them, which its idle loop fills one frame at a time, and to
 * which whoever frees a frame full of zeros may return it: a magazine like the others, but only what wants
 * zeros takes from it.
 */
#include "internal.h"
#include "mm/frame/cpu/cpu.h"
#include "valid.h"

phys_addr_t frame_zeroed_take(struct frame_pool *pool, enum frame_owner owner)
{
    LOCK_CHECK_ALLOCATE();
    preempt_disable();
    struct frame_cpu *cpu = frame_cpu_here(pool);
    phys_addr_t frame = FRAME_NONE;
    if (frame_magazine_count(&cpu->magazine[FRAME_MAGAZINE_ZERO]) > 0) {
        frame = frame_magazine_pop(pool, cpu, FRAME_MAGAZINE_ZERO, owner);
    }
    preempt_enable();
    return frame;
}

/* Puts a frame that is all zeros into the stock; false when that is full, or the frame is not to be freed so.
 */
static bool stock(struct frame_pool *pool, uint64_t frame)
{
    preempt_disable();
    struct frame_cpu *cpu = frame_cpu_here(pool);
    struct frame_magazine *magazine = &cpu->magazine[FRAME_MAGAZINE_ZERO];
    bool taken = atomic_load_explicit(&magazine->top, memory_order_relaxed) <
                     atomic_load_explicit(&magazine->limit, memory_order_relaxed) &&
                 frame_claim(pool, frame, FRAME_ALLOCATED, 0);
    if (taken) {
        frame_account(cpu, frame_descriptor_owner(&pool->descriptors[frame]), -1);
        frame_magazine_push(pool, cpu, FRAME_MAGAZINE_ZERO, frame);
    }
    preempt_enable();
    return taken;
}

void frame_free_zeroed(struct frame_pool *pool, phys_addr_t frame)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    uint64_t number = frame.raw >> FRAME_SHIFT;
    if (number >= pool->frame_limit || !stock(pool, number)) {
        frame_free(pool, frame, 0);
    }
}

#define FREE_LEAST                                                                                           \
    64 /* frames in the store of which none is taken for the stock: somebody may need the last */

/* Puts one more frame into the stock; false when it is full, or there is too little memory. */
static bool prepare(struct frame_pool *pool, struct frame_cpu *cpu)
{
    struct frame_magazine *magazine = &cpu->magazine[FRAME_MAGAZINE_ZERO];
    if (atomic_load_explicit(&magazine->top, memory_order_relaxed) >=
        atomic_load_explicit(&magazine->limit, memory_order_relaxed)) {
        return false;
    }
    unsigned got;
    spinlock_acquire(&pool->lock);
    uint64_t frame = pool->free_frames > FREE_LEAST ? frame_store_take(pool, 0, 0, FRAME_LIMIT_MAX, &got)
                                                    : FRAME_NUMBER_NONE;
    spinlock_release(&pool->lock);
    if (frame == FRAME_NUMBER_NONE) {
        return false;
    }
    memset(frame_pointer(pool, phys_addr(frame << FRAME_SHIFT)), 0, FRAME_BYTES);
    frame_magazine_push(pool, cpu, FRAME_MAGAZINE_ZERO, frame);
    return true;
}

bool frame_pool_idle(struct frame_pool *pool)
{
    DEBUG_ASSERT(frame_pool_is_valid(pool));
    preempt_disable();
    struct frame_cpu *cpu = frame_cpu_here(pool);
    bool worked = frame_magazines_drain_asked(pool, cpu) || prepare(pool, cpu) || frame_store_merge(pool);
    preempt_enable();
    return worked;
}
