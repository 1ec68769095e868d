/*
 * Spinlocks, checked by clang's -Wthread-safety: a field marked GUARDED_BY(lock) can only be touched by code
 * that the compiler sees holding it.
 *
 * A ticket lock: fair, so that a bound on one hold is a bound on the wait. Taking one turns preemption off;
 * interrupts stay as they are, because interrupt handlers take none of these (see <ashlar/platform.h>).
 * The order in which locks nest is written once, in docs/architecture.md.
 */
#pragma once

#include <ashlar/platform.h>
#include <stdatomic.h>

#define CAPABILITY(name)    __attribute__((capability(name)))
#define GUARDED_BY(lock)    __attribute__((guarded_by(lock)))
#define PT_GUARDED_BY(lock) __attribute__((pt_guarded_by(lock))) /* what the field points to */
#define ACQUIRES(...)       __attribute__((acquire_capability(__VA_ARGS__)))
#define RELEASES(...)       __attribute__((release_capability(__VA_ARGS__)))
#define TRY_ACQUIRES(...)   __attribute__((try_acquire_capability(__VA_ARGS__)))
#define REQUIRES(...)       __attribute__((requires_capability(__VA_ARGS__)))
#define EXCLUDES(...)       __attribute__((locks_excluded(__VA_ARGS__)))
#define NO_LOCK_ANALYSIS    __attribute__((no_thread_safety_analysis))

struct CAPABILITY("spinlock") spinlock {
    _Atomic(uint32_t) next;    /* ticket the next comer draws */
    _Atomic(uint32_t) serving; /* ticket that may enter */
};

#define SPINLOCK_INITIALIZER                                                                                 \
    {                                                                                                        \
        0, 0                                                                                                 \
    }

/*
 * Tries before a wait is taken for a deadlock: a tenth of a second on a CPU whose pause is short, and far
 * more than any hold by as many CPUs as there can be.
 */
#define SPINLOCK_PATIENCE (1U << 25)

/* Panics, naming the lock and who waits for it. */
_Noreturn void spinlock_stuck(const struct spinlock *lock);

/*
 * Waits until the lock is ours. Preemption is off until the release. Not recursive: a CPU that waits for
 * itself panics after SPINLOCK_PATIENCE tries.
 */
static inline void spinlock_acquire(struct spinlock *lock) ACQUIRES(lock) NO_LOCK_ANALYSIS
{
    preempt_disable();
    uint32_t ticket = atomic_fetch_add_explicit(&lock->next, 1, memory_order_relaxed);
    if (__builtin_expect(atomic_load_explicit(&lock->serving, memory_order_acquire) != ticket, false)) {
        uint32_t tries = 0;
#pragma clang loop unroll(disable)
        do {
            cpu_relax();
            if (++tries == SPINLOCK_PATIENCE) {
                spinlock_stuck(lock);
            }
        } while (atomic_load_explicit(&lock->serving, memory_order_acquire) != ticket);
    }
}

/* Takes the lock if it is free; returns whether it did. */
static inline bool spinlock_try_acquire(struct spinlock *lock) TRY_ACQUIRES(true, lock) NO_LOCK_ANALYSIS
{
    preempt_disable();
    uint32_t serving = atomic_load_explicit(&lock->serving, memory_order_acquire);
    uint32_t expected = serving;
    if (atomic_compare_exchange_strong_explicit(&lock->next, &expected, serving + 1, memory_order_acquire,
                                                memory_order_relaxed)) {
        return true;
    }
    preempt_enable();
    return false;
}

/* Lets the next waiter in. The caller holds the lock. */
static inline void spinlock_release(struct spinlock *lock) RELEASES(lock) NO_LOCK_ANALYSIS
{
    uint32_t serving = atomic_load_explicit(&lock->serving, memory_order_relaxed);
    atomic_store_explicit(&lock->serving, serving + 1, memory_order_release);
    preempt_enable();
}
