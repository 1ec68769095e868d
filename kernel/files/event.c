/*
 * Events of files are wait queues. A tree gives each event as zeros, and a wait queue is not zeros where
 * locks have ranks: so the first who waits makes the queue. Who notifies and finds none has nobody to wake:
 * whoever comes after him looks at the file first, under the lock under which it has changed.
 */
#include "event.h"

#include <ashlar/file.h>
#include <ashlar/files.h>
#include <ashlar/platform.h>
#include <ashlar/thread.h>
#include <stdatomic.h>

enum queue_state { QUEUE_NONE, QUEUE_BEING_MADE, QUEUE_MADE };

struct event_queue {
    struct wait_queue queue;
    struct irq_spinlock lock;            /* guards what follows but `state` */
    struct event_watcher *_Atomic first; /* watchers */
    struct event_watcher *last;
    uint64_t tickets;        /* given so far */
    _Atomic(uint32_t) state; /* enum queue_state */
};

_Static_assert(sizeof(struct event_queue) <= sizeof(struct fs_event), "events have room for it");

static struct event_queue *queue_of(struct fs_event *event)
{
    return (struct event_queue *)(void *)event->room;
}

static struct event_queue *make_queue(struct fs_event *event)
{
    struct event_queue *queue = queue_of(event);
    uint32_t state = QUEUE_NONE;
    preempt_disable(); /* nobody spins for one that does not run */
    if (atomic_compare_exchange_strong(&queue->state, &state, QUEUE_BEING_MADE)) {
        wait_queue_init(&queue->queue);
        queue->lock = (struct irq_spinlock)IRQ_SPINLOCK_INITIALIZER(LOCK_WATCHERS);
        atomic_store(&queue->state, QUEUE_MADE);
    }
    preempt_enable();
    while (atomic_load(&queue->state) != QUEUE_MADE) {
        cpu_relax();
    }
    return queue;
}

struct wait_queue *files_event_queue(struct fs_event *event)
{
    return &make_queue(event)->queue;
}

bool event_is_awaited(struct fs_event *event)
{
    struct event_queue *queue = queue_of(event);
    return atomic_load(&queue->state) == QUEUE_MADE &&
           (atomic_load(&queue->first) || !wait_queue_is_empty(&queue->queue));
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

/* ---- Watchers: all with the lock held ---- */

static void append(struct event_queue *queue, struct event_watcher *watcher)
{
    watcher->ticket = queue->tickets++;
    watcher->next = NULL;
    watcher->previous = queue->last;
    if (queue->last) {
        queue->last->next = watcher;
    } else {
        atomic_store(&queue->first, watcher);
    }
    queue->last = watcher;
}

static void take_out(struct event_queue *queue, struct event_watcher *watcher)
{
    if (watcher->previous) {
        watcher->previous->next = watcher->next;
    } else {
        atomic_store(&queue->first, watcher->next);
    }
    *(watcher->next ? &watcher->next->previous : &queue->last) = watcher->previous;
}

void event_watch(struct fs_event *event, struct event_watcher *watcher)
{
    struct event_queue *queue = make_queue(event);
    irq_spinlock_acquire(&queue->lock);
    watcher->busy = 0;
    append(queue, watcher);
    irq_spinlock_release(&queue->lock);
}

void event_unwatch(struct fs_event *event, struct event_watcher *watcher)
{
    struct event_queue *queue = queue_of(event);
    irq_spinlock_acquire(&queue->lock);
    take_out(queue, watcher);
    while (watcher->busy != 0) {
        irq_spinlock_release(&queue->lock);
        thread_yield();
        irq_spinlock_acquire(&queue->lock);
    }
    irq_spinlock_release(&queue->lock);
}

/* ---- Telling ---- */

/* One that tells all watchers, and what of it is over; a mark in the list is a watcher that is told nothing.
 */
struct telling {
    struct event_watcher mark;
    uint64_t end;   /* ticket of the first that came later */
    unsigned ready; /* what may be news */
    bool one_is_up; /* of the exclusive ones */
};

static void put_behind(struct event_queue *queue, struct event_watcher *mark, struct event_watcher *watcher)
{
    mark->ticket = watcher->ticket;
    mark->previous = watcher;
    mark->next = watcher->next;
    *(mark->next ? &mark->next->previous : &queue->last) = mark;
    watcher->next = mark;
}

/* Tells the one, with the lock held, which is let go for the events that follow; returns the next. */
static struct event_watcher *tell(struct event_queue *queue, struct telling *telling,
                                  struct event_watcher *watcher) NO_LOCK_ANALYSIS
{
    struct fs_event *further = NULL;
    if (!watcher->notice) {
        return watcher->next; /* another one's mark lies on his stack: it may go as soon as the lock does */
    }
    if (!(watcher->exclusive && telling->one_is_up)) {
        bool woke = watcher->notice(watcher, telling->ready, &further);
        telling->one_is_up = telling->one_is_up || (watcher->exclusive && woke);
    }
    put_behind(queue, &telling->mark, watcher);
    watcher->busy++;
    irq_spinlock_release(&queue->lock);
    if (further) {
        event_notify_ready(further, FILE_READY_READ);
    }
    irq_spinlock_acquire(&queue->lock);
    watcher->busy--;
    struct event_watcher *next = telling->mark.next;
    take_out(queue, &telling->mark);
    return next;
}

/* No lock is held for longer than one of them takes. A chain of events is no longer than epoll allows. */
static void tell_watchers(struct event_queue *queue, unsigned ready)
{
    struct telling telling = {.ready = ready};
    irq_spinlock_acquire(&queue->lock);
    telling.end = queue->tickets;
    struct event_watcher *watcher = atomic_load(&queue->first);
    while (watcher && watcher->ticket < telling.end) {
        watcher = tell(queue, &telling, watcher);
    }
    irq_spinlock_release(&queue->lock);
}

void event_notify_ready(struct fs_event *event, unsigned ready)
{
    struct event_queue *queue = queue_of(event);
    if (atomic_load(&queue->state) != QUEUE_MADE) {
        return;
    }
    if (ready != 0 && atomic_load(&queue->first)) {
        tell_watchers(queue, ready);
    }
    wake_all(&queue->queue);
}

void event_notify(struct fs_event *event)
{
    event_notify_ready(event, FILE_READY_ANY);
}
