/*
 * Sleeping for a mutex; what needs no sleep is in kernel/lib/mutex.c.
 *
 * Who sleeps is in the mutex's queue, and the word says so (MUTEX_AWAITED); both change under the queue's
 * lock only. Whoever releases a mutex that is awaited wakes the first in the queue and leaves the mutex free:
 * another thread that runs may take it before, which keeps mutexes that many want from passing at the speed
 * of switches. But one that was woken in vain comes back to the front, and the next time the mutex is handed
 * to it directly. So nobody waits for ever.
 */
#include <ashlar/platform.h>

#include "internal.h"
#include "waiters.h"

#define HOLDER(word) ((word) & ~MUTEX_AWAITED)

/* With the queue locked: takes the mutex if it is free, else notes that somebody sleeps; whether it took it.
 */
static bool take_or_note(struct mutex *mutex)
{
    uintptr_t self = (uintptr_t)thread_self();
    uintptr_t seen = atomic_load_explicit(&mutex->holder, memory_order_relaxed);
    for (;;) {
        bool free = HOLDER(seen) == 0;
        uintptr_t wanted = free ? self | (mutex->waiters.first ? MUTEX_AWAITED : 0) : seen | MUTEX_AWAITED;
        if (atomic_compare_exchange_strong_explicit(&mutex->holder, &seen, wanted, memory_order_acquire,
                                                    memory_order_relaxed)) {
            return free;
        }
    }
}

/* With the queue locked, and the mutex awaited: its holder can only release it under this lock. */
static uint64_t number_of_holder(const struct mutex *mutex)
{
    uintptr_t holder = HOLDER(atomic_load_explicit(&mutex->holder, memory_order_relaxed));
    return ((const struct thread *)holder)->number;
}

/* In the queue, or with the mutex: whether it has it. */
static bool enter(struct mutex *mutex, struct waiter *waiter, bool again)
{
    irq_spinlock_acquire(&mutex->waiters.lock);
    bool taken = waiter->given || take_or_note(mutex);
    if (!taken) {
        (again ? waiters_prepend : waiters_append)(&mutex->waiters, waiter);
        thread_note_wait("mutex", number_of_holder(mutex));
    }
    irq_spinlock_release(&mutex->waiters.lock);
    return taken;
}

static bool is_woken(struct mutex *mutex, const struct waiter *waiter)
{
    irq_spinlock_acquire(&mutex->waiters.lock);
    bool woken = waiter->woken;
    irq_spinlock_release(&mutex->waiters.lock);
    return woken;
}

bool mutex_sleep(struct mutex *mutex)
{
    struct waiter waiter = {.thread = thread_current()};
    if (waiter.thread->is_idle || waiter.thread->number == 0) {
        return false;
    }
    for (bool again = false; !enter(mutex, &waiter, again); again = true) {
        do {
            thread_park(true);
        } while (!is_woken(mutex, &waiter));
        waiter.in_vain = true; /* if it does not get it now */
    }
    thread_note_wait(NULL, 0);
    return true;
}

void mutex_hand_on(struct mutex *mutex)
{
    irq_spinlock_acquire(&mutex->waiters.lock);
    struct waiter *first = mutex->waiters.first;
    uintptr_t next = 0;
    if (first) {
        bool others = first->next != NULL;
        first->given = first->in_vain;
        next = (first->in_vain ? (uintptr_t)first->thread : 0) | (others ? MUTEX_AWAITED : 0);
    }
    atomic_store_explicit(&mutex->holder, next, memory_order_release);
    if (first) {
        waiters_wake(&mutex->waiters, first);
    }
    irq_spinlock_release(&mutex->waiters.lock);
    thread_offer();
}
