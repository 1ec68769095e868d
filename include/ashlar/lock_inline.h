/* The inline half of <ashlar/lock.h>: taking a lock that is free, and releasing it. */
#pragma once

#include <ashlar/lock_check.h>
#include <ashlar/lock_types.h>
#include <ashlar/platform.h>

/*
 * Waits until `queue` serves `ticket`, and panics when that takes longer than a lock's patience. It saves
 * all registers itself, so that its callers, which hardly ever call it, need not save any.
 */
__attribute__((preserve_most)) void lock_queue_wait(struct lock_queue *queue, uint32_t ticket);

static inline void lock_queue_enter(struct lock_queue *queue)
{
    uint32_t ticket = atomic_fetch_add_explicit(&queue->next, 1, memory_order_relaxed);
    if (__builtin_expect(atomic_load_explicit(&queue->serving, memory_order_acquire) != ticket, false)) {
        lock_queue_wait(queue, ticket);
    }
}

static inline bool lock_queue_try_enter(struct lock_queue *queue)
{
    uint32_t serving = atomic_load_explicit(&queue->serving, memory_order_acquire);
    uint32_t expected = serving;
    return atomic_compare_exchange_strong_explicit(&queue->next, &expected, serving + 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

static inline void lock_queue_leave(struct lock_queue *queue)
{
    uint32_t serving = atomic_load_explicit(&queue->serving, memory_order_relaxed);
    atomic_store_explicit(&queue->serving, serving + 1, memory_order_release);
}

static inline void spinlock_init(struct spinlock *lock, enum lock_rank rank, uint64_t key)
{
    *lock = (struct spinlock){LOCK_ORDER_INITIALIZER(rank, key).queue = {0, 0}};
    (void)rank;
    (void)key;
}

LOCK_ALWAYS_INLINE static inline void spinlock_acquire(struct spinlock *lock) NO_LOCK_ANALYSIS
{
    LOCK_CHECK_WAIT(lock, LOCK_SPIN);
    preempt_disable();
    lock_queue_enter(&lock->queue);
    LOCK_NOTE_TAKEN(lock);
}

LOCK_ALWAYS_INLINE static inline bool spinlock_try_acquire(struct spinlock *lock) NO_LOCK_ANALYSIS
{
    preempt_disable();
    if (lock_queue_try_enter(&lock->queue)) {
        LOCK_NOTE_TAKEN(lock);
        return true;
    }
    preempt_enable();
    return false;
}

static inline void spinlock_release(struct spinlock *lock) NO_LOCK_ANALYSIS
{
    LOCK_NOTE_RELEASED(lock);
    lock_queue_leave(&lock->queue);
    preempt_enable();
}

LOCK_ALWAYS_INLINE static inline void irq_spinlock_acquire(struct irq_spinlock *lock) NO_LOCK_ANALYSIS
{
    LOCK_CHECK_WAIT(lock, LOCK_SPIN_IRQ);
    bool were_on = interrupts_disable();
    lock_queue_enter(&lock->queue);
    lock->interrupts_were_on = were_on;
    LOCK_NOTE_TAKEN(lock);
}

static inline void irq_spinlock_release(struct irq_spinlock *lock) NO_LOCK_ANALYSIS
{
    bool were_on = lock->interrupts_were_on;
    LOCK_NOTE_RELEASED(lock);
    lock_queue_leave(&lock->queue);
    interrupts_restore(were_on);
}
