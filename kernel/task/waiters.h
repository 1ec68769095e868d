/* The list of a wait queue, whose lock is held. */
#pragma once

#include "internal.h"

static inline void waiters_append(struct wait_queue *queue, struct waiter *waiter)
{
    waiter->ticket = queue->tickets++;
    waiter->woken = false;
    waiter->next = NULL;
    waiter->previous = queue->last;
    *(waiter->previous ? &waiter->previous->next : &queue->first) = waiter;
    queue->last = waiter;
}

static inline void waiters_remove(struct wait_queue *queue, struct waiter *waiter)
{
    *(waiter->previous ? &waiter->previous->next : &queue->first) = waiter->next;
    *(waiter->next ? &waiter->next->previous : &queue->last) = waiter->previous;
}

/* Back to the front, for one that was woken in vain. */
static inline void waiters_prepend(struct wait_queue *queue, struct waiter *waiter)
{
    waiter->woken = false;
    waiter->previous = NULL;
    waiter->next = queue->first;
    *(waiter->next ? &waiter->next->previous : &queue->last) = waiter;
    queue->first = waiter;
}

static inline void waiters_wake(struct wait_queue *queue, struct waiter *waiter)
{
    waiters_remove(queue, waiter);
    waiter->woken = true;
    thread_wake(waiter->thread);
}
