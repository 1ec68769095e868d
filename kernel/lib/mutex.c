/*
 * Mutexes (<ashlar/lock.h>). The word says which thread holds it: to take a free one is one locked
 * instruction, and so is releasing one that nobody sleeps for. Sleeping is the business of
 * kernel/task/mutex.c, which is asked through the hooks; where there is nobody to ask, as on the host,
 * waiting is trying.
 */
#include <ashlar/assert.h>
#include <ashlar/cpu_request.h>
#include <ashlar/hooks.h>
#include <ashlar/lock.h>

#define TRIES_BEFORE_SLEEP 64 /* while others run: what a mutex is held for is often short */
#define TRIES_PER_READING  32 /* of the clock, where nobody sleeps */

static uintptr_t here(void)
{
    return (uintptr_t)thread_self();
}

bool mutex_is_mine(const struct mutex *mutex)
{
    return (atomic_load_explicit(&mutex->holder, memory_order_relaxed) & ~MUTEX_AWAITED) == here();
}

void mutex_init(struct mutex *mutex, enum lock_rank rank, uint64_t key)
{
    (void)rank; /* of no use in release builds */
    (void)key;
    *mutex = (struct mutex)MUTEX_INITIALIZER(rank);
#ifdef LOCKS_ARE_NOTED
    mutex->order.key = key;
#endif
}

/* Takes the mutex if nobody has it. That somebody sleeps for it stays noted. */
static bool take(struct mutex *mutex)
{
    uintptr_t seen = atomic_load_explicit(&mutex->holder, memory_order_relaxed);
    while ((seen & ~MUTEX_AWAITED) == 0) {
        if (atomic_compare_exchange_weak_explicit(&mutex->holder, &seen, seen | here(), memory_order_acquire,
                                                  memory_order_relaxed)) {
            return true;
        }
    }
    return false;
}

static bool try_for_a_while(struct mutex *mutex, unsigned tries)
{
    for (unsigned i = 0; i < tries; i++) {
        if (take(mutex)) {
            return true;
        }
        cpu_serve_requests();
        cpu_relax();
    }
    return false;
}

static void wait_for(struct mutex *mutex)
{
    if (cpus_are_several() && try_for_a_while(mutex, TRIES_BEFORE_SLEEP)) {
        return;
    }
    if (kernel_hooks.mutex_sleep && kernel_hooks.mutex_sleep(mutex)) {
        return;
    }
    struct lock_wait wait = lock_wait_begin(MUTEX_PATIENCE);
    while (!try_for_a_while(mutex, TRIES_PER_READING)) {
        if (!lock_wait_goes_on(&wait)) {
            panic("deadlock: CPU %u waits for the mutex at %#" PRIx64 ", which the thread at %#" PRIx64
                  " does not release",
                  cpu_number(), (uintptr_t)mutex, atomic_load(&mutex->holder) & ~MUTEX_AWAITED);
        }
    }
}

void mutex_acquire(struct mutex *mutex) NO_LOCK_ANALYSIS
{
    LOCK_CHECK_WAIT(mutex, LOCK_MUTEX);
    if (mutex_is_mine(mutex)) {
        panic("deadlock: CPU %u takes the mutex at %#" PRIx64 " a second time", cpu_number(),
              (uintptr_t)mutex);
    }
    thread_mutexes_add(1); /* before: it must not be preempted as one that has none */
    cpu_interleave();
    if (!take(mutex)) {
        wait_for(mutex);
        LOCK_NOTE_WAITED(mutex);
    }
    LOCK_NOTE_TAKEN_BY_CALLER(mutex);
}

bool mutex_try_acquire(struct mutex *mutex) NO_LOCK_ANALYSIS
{
    thread_mutexes_add(1);
    if (!take(mutex)) {
        thread_mutexes_add(-1);
        return false;
    }
    LOCK_NOTE_TAKEN_BY_CALLER(mutex);
    return true;
}

void mutex_release(struct mutex *mutex) NO_LOCK_ANALYSIS
{
    ASSERT(mutex_is_mine(mutex));
    LOCK_NOTE_RELEASED(mutex);
    uintptr_t mine = here();
    if (!atomic_compare_exchange_strong_explicit(&mutex->holder, &mine, 0, memory_order_release,
                                                 memory_order_relaxed)) {
        kernel_hooks.mutex_hand_on(mutex);
    }
    thread_mutexes_add(-1);
}
