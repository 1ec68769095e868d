/* Waiting for locks, and the end of a deadlock (<ashlar/lock.h>). */
#include <ashlar/assert.h>
#include <ashlar/lock.h>

#define FASTEST_HERTZ     UINT64_C(10000000000) /* of a time-stamp counter whose rate is not known yet */
#define TRIES_PER_READING 256                   /* of the clock, while waiting */
#define READINGS_MIN      500                   /* before a wait has been too long */

static _Atomic(uint64_t) patience = LOCK_PATIENCE_SECONDS * FASTEST_HERTZ; /* in ticks */

void lock_set_patience(uint64_t ticks)
{
    atomic_store_explicit(&patience, ticks, memory_order_relaxed);
}

/*
 * Better than a machine that hangs without a message: the panic names the lock, and its backtrace shows who
 * waits. To name the holder as well would cost every spinlock two instructions.
 */
_Noreturn static void panic_of_deadlock(const struct lock_queue *queue)
{
    panic("deadlock: CPU %u waits for the lock at %#" PRIx64 ", which nobody releases", cpu_number(),
          (uintptr_t)queue);
}

static bool is_served(struct lock_queue *queue, uint32_t ticket)
{
    return atomic_load_explicit(&queue->serving, memory_order_acquire) == ticket;
}

struct lock_wait lock_wait_begin(unsigned patiences)
{
    uint64_t ticks = patiences * atomic_load_explicit(&patience, memory_order_relaxed);
    return (struct lock_wait){cpu_ticks(), ticks, ticks / READINGS_MIN + 1};
}

bool lock_wait_goes_on(struct lock_wait *wait)
{
    uint64_t now = cpu_ticks();
    wait->left -= min_u64(wait->left, min_u64(now - wait->reading, wait->most));
    wait->reading = now;
    return wait->left != 0;
}

/* Spins until `queue` serves `ticket`; returns whether it did within that many patiences. */
static bool wait_for(struct lock_queue *queue, uint32_t ticket, unsigned patiences)
{
    struct lock_wait wait = lock_wait_begin(patiences);
    do {
        for (unsigned i = 0; i < TRIES_PER_READING; i++) {
            if (is_served(queue, ticket)) {
                return true;
            }
            cpu_relax();
        }
    } while (lock_wait_goes_on(&wait));
    return false;
}

__attribute__((preserve_most)) void lock_queue_wait(struct lock_queue *queue, uint32_t ticket)
{
    if (!wait_for(queue, ticket, 1)) {
        panic_of_deadlock(queue);
    }
}

/* Takes no ticket: a ticket cannot be given back. */
bool spinlock_acquire_in_time(struct spinlock *lock) NO_LOCK_ANALYSIS
{
    struct lock_wait wait = lock_wait_begin(1);
    while (!spinlock_try_acquire(lock)) {
        if (!lock_wait_goes_on(&wait)) {
            return false;
        }
        cpu_relax();
    }
    return true;
}

/* ---- Mutexes ---- */

static uint32_t holder_here(void)
{
    return cpu_number() + 1;
}

bool mutex_is_mine(const struct mutex *mutex)
{
    return atomic_load_explicit(&mutex->holder, memory_order_relaxed) == holder_here();
}

static void set_holder(struct mutex *mutex, uint32_t holder)
{
    atomic_store_explicit(&mutex->holder, holder, memory_order_relaxed);
}

void mutex_init(struct mutex *mutex, enum lock_rank rank, uint64_t key)
{
    (void)rank; /* of no use in release builds */
    (void)key;
    *mutex = (struct mutex){LOCK_ORDER_INITIALIZER(rank, key).queue = {0, 0}};
}

static void wait_for_mutex(struct mutex *mutex, uint32_t ticket)
{
    if (wait_for(&mutex->queue, ticket, MUTEX_PATIENCE)) {
        return;
    }
    panic("deadlock: CPU %u waits for the mutex at %#" PRIx64 ", which CPU %u does not release", cpu_number(),
          (uintptr_t)mutex, atomic_load_explicit(&mutex->holder, memory_order_relaxed) - 1);
}

void mutex_acquire(struct mutex *mutex) NO_LOCK_ANALYSIS
{
    LOCK_CHECK_WAIT(mutex, LOCK_MUTEX);
    if (mutex_is_mine(mutex)) {
        panic("deadlock: CPU %u takes the mutex at %#" PRIx64 " a second time", cpu_number(),
              (uintptr_t)mutex);
    }
    uint32_t ticket = atomic_fetch_add_explicit(&mutex->queue.next, 1, memory_order_relaxed);
    if (!is_served(&mutex->queue, ticket)) {
        wait_for_mutex(mutex, ticket);
    }
    set_holder(mutex, holder_here());
    LOCK_NOTE_TAKEN_BY_CALLER(mutex);
}

bool mutex_try_acquire(struct mutex *mutex) NO_LOCK_ANALYSIS
{
    if (!lock_queue_try_enter(&mutex->queue)) {
        return false;
    }
    set_holder(mutex, holder_here());
    LOCK_NOTE_TAKEN_BY_CALLER(mutex);
    return true;
}

void mutex_release(struct mutex *mutex) NO_LOCK_ANALYSIS
{
    ASSERT(mutex_is_mine(mutex));
    LOCK_NOTE_RELEASED(mutex);
    set_holder(mutex, 0);
    lock_queue_leave(&mutex->queue);
}
