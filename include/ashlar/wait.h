/*
 * Waiting for something to come true, and waking who waits.
 *
 * A wait queue holds the threads that wait for one thing. Who waits enters the queue, looks whether it has
 * come true already, and rests; who makes it true wakes the queue afterwards. A wake that comes between the
 * look and the rest is not lost: then the thread does not rest at all. WAIT_UNTIL() does all of it:
 *
 *     waiter:  enum wait_result result = WAIT_UNTIL(&ring->readers, !ring_is_empty(ring), "input", how);
 *     waker:   ring_add(ring, byte);
 *              wake_one(&ring->readers);
 *
 * Waits are not allowed while a spinlock is held, with preemption or interrupts off, in a handler, nor by the
 * thread of an idle CPU: debug builds panic. A mutex may be held. Waking is allowed in any context but that
 * of an NMI, and while spinlocks are held; the lock of a queue is an irq_spinlock that comes after timers'
 * and before those of the CPUs' run queues.
 */
#pragma once

#include <ashlar/lock.h>
#include <ashlar/thread_types.h>

#define WAIT_FOREVER UINT64_MAX

/* How to wait. */
struct wait_how {
    uint64_t deadline; /* clock_nanoseconds() at which the wait ends in any case; WAIT_FOREVER: none */
    bool killable;     /* thread_kill() ends it, and so does thread_interrupt() */
    bool deaf;         /* thread_interrupt() does not */
    bool from_outside; /* a device or a person wakes it: it does not count as one that waits for ever */
};

#define WAIT_PATIENTLY ((struct wait_how){.deadline = WAIT_FOREVER})
#define WAIT_KILLABLY  ((struct wait_how){.deadline = WAIT_FOREVER, .killable = true})

/* Prepares a queue that nobody uses yet; WAIT_QUEUE_INITIALIZER makes one that is ready from the start. */
void wait_queue_init(struct wait_queue *queue);

/*
 * Waits until `condition` is true; it is worked out anew after each wake, without any lock. Returns
 * WAIT_WOKEN when it is true, else why the wait ended before. what: a constant text for people, such as
 * "input".
 */
#define WAIT_UNTIL(queue, condition, what, how)                                                              \
    ({                                                                                                       \
        struct wait_how wait_until_how = (how);                                                              \
        enum wait_result wait_until_result = WAIT_WOKEN;                                                     \
        while (!(condition)) {                                                                               \
            struct waiter wait_until_waiter;                                                                 \
            wait_enter((queue), &wait_until_waiter, (what));                                                 \
            if (condition) {                                                                                 \
                wait_leave(&wait_until_waiter);                                                              \
                break;                                                                                       \
            }                                                                                                \
            wait_until_result = wait_rest(&wait_until_waiter, &wait_until_how);                              \
            if (wait_until_result != WAIT_WOKEN) {                                                           \
                break;                                                                                       \
            }                                                                                                \
        }                                                                                                    \
        wait_until_result != WAIT_WOKEN && (condition) ? WAIT_WOKEN : wait_until_result;                     \
    })

/* Enters the queue: wakes from now on are for this waiter, too. Followed by wait_rest() or wait_leave(). */
void wait_enter(struct wait_queue *queue, struct waiter *waiter, const char *what);

/*
 * Rests until it is woken, or for another reason that `how` allows, and leaves the queue. A waiter that was
 * given a wake always returns WAIT_WOKEN: one that goes for another reason takes no wake with it.
 */
enum wait_result wait_rest(struct waiter *waiter, const struct wait_how *how);

/*
 * The same for one thread that waits in several queues at once: it has entered each with one of `count` (at
 * least 1) waiters in a row, and has left all of them afterwards. Queues of which only one waiter is woken at
 * a time are not for this: a second wake that arrives goes to the next in its queue.
 */
enum wait_result wait_rest_any(struct waiter *waiters, unsigned count, const struct wait_how *how);

/* Leaves the queue without a rest. A wake that it was given goes to the next. */
void wait_leave(struct waiter *waiter);

/* Wakes the one that has waited longest; returns whether somebody waited. */
bool wake_one(struct wait_queue *queue);

/* Wakes all that wait now. No lock is held for longer than one of them takes. */
void wake_all(struct wait_queue *queue);

/* Whether somebody waits, at this moment. */
bool wait_queue_is_empty(const struct wait_queue *queue);
