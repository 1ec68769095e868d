/*
 * Wait queues; see <ashlar/wait.h>.
 *
 * Whoever wakes takes the waiter out of the queue and wakes its thread, both under the queue's lock. Who
 * waits looks whether it was taken out under the same lock, each time it comes back from sleep, so it is not
 * gone before its waker is done with it.
 */
#include <ashlar/clock.h>
#include <ashlar/cpu_request.h>
#include <ashlar/platform.h>

#include "internal.h"
#include "waiters.h"

void wait_queue_init(struct wait_queue *queue)
{
    *queue = (struct wait_queue)WAIT_QUEUE_INITIALIZER;
}

bool wait_queue_is_empty(const struct wait_queue *queue)
{
    return *(struct waiter *const volatile *)&queue->first == NULL;
}

/* ---- Waiting ---- */

void wait_enter(struct wait_queue *queue, struct waiter *waiter, const char *what)
{
    *waiter = (struct waiter){.queue = queue, .thread = thread_current(), .what = what};
    irq_spinlock_acquire(&queue->lock);
    waiters_append(queue, waiter);
    irq_spinlock_release(&queue->lock);
}

/* Out of the queue; whether it was woken before. */
static bool leave_queue(struct waiter *waiter)
{
    irq_spinlock_acquire(&waiter->queue->lock);
    bool woken = waiter->woken;
    if (!woken) {
        waiters_remove(waiter->queue, waiter);
    }
    irq_spinlock_release(&waiter->queue->lock);
    return woken;
}

void wait_leave(struct waiter *waiter)
{
    struct wait_queue *queue = waiter->queue;
    if (leave_queue(waiter)) {
        wake_one(queue);
    }
}

/* Lies on the stack of the thread that waits. */
struct alarm {
    struct timer timer;
    struct thread *thread;
};

static void ring(struct timer *timer)
{
    thread_wake(((struct alarm *)timer)->thread);
}

static bool is_over(const struct wait_how *how)
{
    return how->deadline != WAIT_FOREVER && clock_nanoseconds() >= how->deadline;
}

static bool is_killed(const struct wait_how *how)
{
    const uint32_t ends = how->deaf ? THREAD_WORK_KILLED : THREAD_WORK_KILLED | THREAD_WORK_SIGNAL;
    return how->killable && (atomic_load(&thread_current()->user_work) & ends);
}

static bool was_woken(struct waiter *waiter)
{
    irq_spinlock_acquire(&waiter->queue->lock);
    bool woken = waiter->woken;
    irq_spinlock_release(&waiter->queue->lock);
    return woken;
}

/* Without timers a moment is waited for by looking at the clock. Then the CPU never rests, and what its own
 * thread does in a rest is done here. */
static void sleep_once(const struct wait_how *how)
{
    if (how->deadline != WAIT_FOREVER && !can_be_timed()) {
        threads_free_ended();
        cpu_serve_requests();
        cpu_relax();
        thread_yield();
    } else {
        thread_park(how->deadline == WAIT_FOREVER && !how->from_outside);
    }
}

static bool one_was_woken(struct waiter *waiters, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (was_woken(&waiters[i])) {
            return true;
        }
    }
    return false;
}

static void sleep_until_something(struct waiter *waiters, unsigned count, const struct wait_how *how)
{
    struct alarm alarm = {.timer = {.expired = ring}, .thread = waiters->thread};
    bool timed = how->deadline != WAIT_FOREVER && can_be_timed();
    if (timed) {
        timer_start(&alarm.timer, how->deadline);
    }
    while (!one_was_woken(waiters, count) && !is_over(how) && !is_killed(how)) {
        sleep_once(how);
    }
    if (timed) {
        timer_cancel(&alarm.timer);
    }
}

enum wait_result wait_rest(struct waiter *waiter, const struct wait_how *how)
{
    thread_note_wait(waiter->what, 0);
    sleep_until_something(waiter, 1, how);
    thread_note_wait(NULL, 0);
    if (leave_queue(waiter)) {
        return WAIT_WOKEN;
    }
    return is_killed(how) ? WAIT_KILLED : WAIT_TIMED_OUT;
}

enum wait_result wait_rest_any(struct waiter *waiters, unsigned count, const struct wait_how *how)
{
    bool woken = false;
    thread_note_wait(waiters->what, 0);
    sleep_until_something(waiters, count, how);
    thread_note_wait(NULL, 0);
    for (unsigned i = 0; i < count; i++) {
        if (!woken) {
            woken = leave_queue(&waiters[i]);
        } else {
            wait_leave(&waiters[i]);
        }
    }
    if (woken) {
        return WAIT_WOKEN;
    }
    return is_killed(how) ? WAIT_KILLED : WAIT_TIMED_OUT;
}

/* ---- Waking ---- */

/* Wakes the first that came before `end`. */
static bool wake_first(struct wait_queue *queue, uint64_t end)
{
    irq_spinlock_acquire(&queue->lock);
    struct waiter *waiter = queue->first;
    bool one = waiter && waiter->ticket < end;
    if (one) {
        waiters_wake(queue, waiter);
    }
    irq_spinlock_release(&queue->lock);
    return one;
}

bool wake_one(struct wait_queue *queue)
{
    bool one = wake_first(queue, UINT64_MAX);
    if (one) {
        thread_offer();
    }
    return one;
}

/* Who comes meanwhile is not meant. The lock orders this after what the caller has made true. */
void wake_all(struct wait_queue *queue)
{
    irq_spinlock_acquire(&queue->lock);
    uint64_t end = queue->tickets;
    irq_spinlock_release(&queue->lock);
    bool some = false;
    while (wake_first(queue, end)) {
        some = true;
    }
    if (some) {
        thread_offer();
    }
}

/* ---- Sleeping for a time ---- */

enum wait_result thread_sleep(uint64_t nanoseconds, bool killable)
{
    struct wait_queue nobody = WAIT_QUEUE_INITIALIZER; /* wakes it */
    uint64_t now = clock_nanoseconds();
    struct wait_how how = {.deadline = now + nanoseconds < now ? WAIT_FOREVER : now + nanoseconds,
                           .killable = killable,
                           .from_outside = true};
    struct waiter waiter;
    wait_enter(&nobody, &waiter, "time");
    return wait_rest(&waiter, &how);
}
