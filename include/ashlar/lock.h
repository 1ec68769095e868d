/*
 * Locks: three classes.
 *
 *   mutex         held with preemption and interrupts on: its holder may allocate and wait. For a whole
 *                 operation on one thing, like a change of an address space
 *   spinlock      held with preemption off, for a bounded piece of work: at most 64 pages
 *   irq_spinlock  held with interrupts off, for a few instructions, without logging or allocating. For what
 *                 interrupt handlers touch: they wait for no other lock
 *
 * Every lock has a rank (<ashlar/lock_rank.h>), given when it is initialised; a CPU that holds a lock waits
 * only for locks of a higher rank. No lock is recursive. The order, and what each lock guards, is in
 * docs/architecture.md. Clang's -Wthread-safety checks who holds what (<ashlar/lock_annotations.h>); debug
 * builds check order and context too, and panic with the names of both locks (<ashlar/lock_check.h>).
 */
#pragma once

#include <ashlar/lock_types.h>

/* A CPU that has waited this long for a spinlock panics: that is taken for a deadlock. */
#define LOCK_PATIENCE_SECONDS 10
/* A mutex is waited for this many times as long: the operations that it is held for have no bound. */
#define MUTEX_PATIENCE        60

/*
 * Sets for how many cpu_ticks() a CPU waits for a spinlock before it panics, naming lock and CPU.
 * Ticks in which the waiting CPU does not run, since its virtual machine stands still, hardly count. From the
 * start it is LOCK_PATIENCE_SECONDS of a counter faster than any: the rate of the real one is found later.
 */
void lock_set_patience(uint64_t ticks);

/*
 * A wait by the clock, as patient as for a lock: for whoever waits for something else, and must not do so for
 * ever either. A CPU that does not run does not wait: its virtual machine may stand still, or the host run
 * the one that is waited for instead, or, where that has few processors for many CPUs, all who are in front.
 * So no more counts between two readings than a small part of the patience.
 */
struct lock_wait {
    uint64_t reading; /* of the clock, the last */
    uint64_t left;    /* ticks of the patience */
    uint64_t most;    /* ticks that count from one reading to the next */
};

/* Begins a wait of so many patiences of a spinlock. */
struct lock_wait lock_wait_begin(unsigned patiences);

/* Reads the clock; whether there is patience left. */
bool lock_wait_goes_on(struct lock_wait *wait);

/* ---- Spinlocks ---- */

/* A spinlock that is ready from the start. */
#define SPINLOCK_INITIALIZER(lock_rank)                                                                      \
    {                                                                                                        \
        LOCK_ORDER_INITIALIZER(lock_rank, 0).gate = {.both = 0 }                                             \
    }

/*
 * Prepares a spinlock that nobody uses yet. key: orders it among those of its rank; 0 for a lock that is
 * never held together with another one of its rank.
 */
static inline void spinlock_init(struct spinlock *lock, enum lock_rank rank, uint64_t key);

/*
 * Waits until the lock is ours; who has waited long goes before who comes. Preemption is off until the
 * release, interrupts stay as they are. Not in an interrupt handler. A wait beyond the patience panics.
 */
static inline void spinlock_acquire(struct spinlock *lock) ACQUIRES(lock);

/* Takes the lock if it is free; returns whether it did. From any context. */
static inline bool spinlock_try_acquire(struct spinlock *lock) TRY_ACQUIRES(true, lock);

/*
 * As spinlock_acquire(), but returns false, without the lock, where that one panics. For code that explains a
 * mistake of this CPU: if the CPU made it while it held the lock, the lock never comes free. From any
 * context, an NMI's and what faults in one included: so it answers nobody meanwhile (cpu_serve_requests()),
 * since it may have interrupted just that.
 */
bool spinlock_acquire_in_time(struct spinlock *lock) TRY_ACQUIRES(true, lock);

/* Lets others in. The caller holds the lock. */
static inline void spinlock_release(struct spinlock *lock) RELEASES(lock);

/* ---- Spinlocks for what interrupt handlers touch ---- */

/* An irq_spinlock that is ready from the start. */
#define IRQ_SPINLOCK_INITIALIZER(lock_rank)                                                                  \
    {                                                                                                        \
        LOCK_ORDER_INITIALIZER(lock_rank, 0).gate = {.both = 0 }                                             \
    }

/*
 * Turns interrupts off, then waits until the lock is ours. From any context but an NMI's. A wait beyond the
 * patience panics.
 */
static inline void irq_spinlock_acquire(struct irq_spinlock *lock) ACQUIRES(lock);

/*
 * Lets others in and sets the interrupt flag to what it was before the acquire. Of several such
 * locks the one taken last must be released first.
 */
static inline void irq_spinlock_release(struct irq_spinlock *lock) RELEASES(lock);

/* ---- Mutexes ---- */

/* A wait queue that is ready from the start: <ashlar/wait.h>. */
#define WAIT_QUEUE_INITIALIZER                                                                               \
    {                                                                                                        \
        .lock = IRQ_SPINLOCK_INITIALIZER(LOCK_WAIT_QUEUE)                                                    \
    }

/* A mutex that is ready from the start. */
#define MUTEX_INITIALIZER(lock_rank)                                                                         \
    {                                                                                                        \
        LOCK_ORDER_INITIALIZER(lock_rank, 0).holder = 0, .waiters = WAIT_QUEUE_INITIALIZER                   \
    }

/* Prepares a mutex that nobody uses yet. key: as for spinlock_init(). */
void mutex_init(struct mutex *mutex, enum lock_rank rank, uint64_t key);

/*
 * Waits until the mutex is ours; who has waited long goes before who comes. It tries a moment, and then
 * sleeps; a CPU's own thread, and any on the host, go on trying, and panic after MUTEX_PATIENCE times a
 * spinlock's patience. Preemption and interrupts are on, and stay on. Holding no spinlock, and not in an
 * interrupt handler. Panics when this thread holds it already.
 */
void mutex_acquire(struct mutex *mutex) ACQUIRES(mutex);

/* Takes the mutex if it is free; returns whether it did. Does not wait: also while holding spinlocks. */
bool mutex_try_acquire(struct mutex *mutex) TRY_ACQUIRES(true, mutex);

/* Lets others in. The calling thread holds the mutex. */
void mutex_release(struct mutex *mutex) RELEASES(mutex);

/* Whether this thread holds the mutex: for assertions. */
bool mutex_is_mine(const struct mutex *mutex);

#include <ashlar/lock_inline.h>
