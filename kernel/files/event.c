/*
 * Events of files are wait queues. A tree gives each event as zeros, and a wait queue is not zeros where
 * locks have ranks: so the first who waits makes the queue. Who notifies and finds none has nobody to wake:
 * whoever comes after him looks at the file first, under the lock under which it has changed.
 */
#include "event.h"

#include <ashlar/files.h>
#include <ashlar/platform.h>
#include <stdatomic.h>

enum queue_state { QUEUE_NONE, QUEUE_BEING_MADE, QUEUE_MADE };

struct event_queue {
    struct wait_queue queue;
    _Atomic(uint32_t) state; /* enum queue_state */
};

_Static_assert(sizeof(struct event_queue) <= sizeof(struct fs_event), "events have room for it");

static struct event_queue *queue_of(struct fs_event *event)
{
    return (struct event_queue *)(void *)event->room;
}

struct wait_queue *files_event_queue(struct fs_event *event)
{
    struct event_queue *queue = queue_of(event);
    uint32_t state = QUEUE_NONE;
    preempt_disable(); /* nobody spins for one that does not run */
    if (atomic_compare_exchange_strong(&queue->state, &state, QUEUE_BEING_MADE)) {
        wait_queue_init(&queue->queue);
        atomic_store(&queue->state, QUEUE_MADE);
    }
    preempt_enable();
    while (atomic_load(&queue->state) != QUEUE_MADE) {
        cpu_relax();
    }
    return &queue->queue;
}

/* A program waits for another, or for itself: no kernel's matter that is never over. */
static const struct wait_how how = {.deadline = WAIT_FOREVER, .killable = true, .from_outside = true};

NO_LOCK_ANALYSIS int event_wait(struct fs_event *event, struct mutex *held)
{
    struct waiter waiter;
    wait_enter(files_event_queue(event), &waiter, "a file");
    mutex_release(held);
    enum wait_result result = wait_rest(&waiter, &how);
    mutex_acquire(held);
    return result == WAIT_KILLED ? -EINTR : 0;
}

void event_notify(struct fs_event *event)
{
    struct event_queue *queue = queue_of(event);
    if (atomic_load(&queue->state) == QUEUE_MADE) {
        wake_all(&queue->queue);
    }
}
