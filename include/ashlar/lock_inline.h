/* The inline half of <ashlar/lock.h>: taking a lock that is free, and releasing it. */
#pragma once

#include <ashlar/lock_check.h>
#include <ashlar/lock_types.h>
#include <ashlar/platform.h>

/*
 * Waits for a lock, takes it, and panics when that takes longer than a lock's patience. It saves all
 * registers itself, so that its callers, which hardly ever call it, need not save any.
 */
__attribute__((preserve_most)) void lock_gate_wait(struct lock_gate *gate);

/* Takes the lock if it is as it was seen, which is free; whether it did. */
static inline bool lock_gate_take(struct lock_gate *gate, uint64_t seen)
{
    return atomic_compare_exchange_strong_explicit(&gate->both, &seen, LOCK_HELD, memory_order_acquire,
                                                   memory_order_relaxed);
}

/* Whether it had to wait. */
static inline bool lock_gate_enter(struct lock_gate *gate)
{
    cpu_interleave();
    if (__builtin_expect(!lock_gate_take(gate, 0), false)) {
        lock_gate_wait(gate);
        return true;
    }
    return false;
}

/* Goes ahead of the CPU that has claimed the lock, too: who only tries might find it claimed for ever. */
static inline bool lock_gate_try_enter(struct lock_gate *gate)
{
    cpu_interleave();
    uint64_t seen = atomic_load_explicit(&gate->both, memory_order_relaxed);
    return !(seen & LOCK_HELD) && lock_gate_take(gate, seen);
}

static inline void lock_gate_leave(struct lock_gate *gate)
{
    cpu_interleave();
    atomic_store_explicit(&gate->held, 0, memory_order_release);
    cpu_interleave();
}

static inline void spinlock_init(struct spinlock *lock, enum lock_rank rank, uint64_t key)
{
    *lock = (struct spinlock){LOCK_ORDER_INITIALIZER(rank, key).gate = {.both = 0}};
    (void)rank;
    (void)key;
}

LOCK_ALWAYS_INLINE static inline void spinlock_acquire(struct spinlock *lock) NO_LOCK_ANALYSIS
{
    LOCK_CHECK_WAIT(lock, LOCK_SPIN);
    preempt_disable();
    if (lock_gate_enter(&lock->gate)) {
        LOCK_NOTE_WAITED(lock);
    }
    LOCK_NOTE_TAKEN(lock);
}

LOCK_ALWAYS_INLINE static inline bool spinlock_try_acquire(struct spinlock *lock) NO_LOCK_ANALYSIS
{
    preempt_disable();
    if (lock_gate_try_enter(&lock->gate)) {
        LOCK_NOTE_TAKEN(lock);
        return true;
    }
    preempt_enable();
    return false;
}

static inline void spinlock_release(struct spinlock *lock) NO_LOCK_ANALYSIS
{
    LOCK_NOTE_RELEASED(lock);
    lock_gate_leave(&lock->gate);
    preempt_enable();
}

LOCK_ALWAYS_INLINE static inline void irq_spinlock_acquire(struct irq_spinlock *lock) NO_LOCK_ANALYSIS
{
    LOCK_CHECK_WAIT(lock, LOCK_SPIN_IRQ);
    bool were_on = interrupts_disable();
    if (lock_gate_enter(&lock->gate)) {
        LOCK_NOTE_WAITED(lock);
    }
    lock->interrupts_were_on = were_on;
    LOCK_NOTE_TAKEN(lock);
}

static inline void irq_spinlock_release(struct irq_spinlock *lock) NO_LOCK_ANALYSIS
{
    bool were_on = lock->interrupts_were_on;
    LOCK_NOTE_RELEASED(lock);
    lock_gate_leave(&lock->gate);
    interrupts_restore(were_on);
}
