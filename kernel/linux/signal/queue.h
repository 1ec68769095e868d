/*
 * Signals that are pending, of a process or of one of its tasks. A set says which there are; a record holds
 * what is told of one. Of the signals below SIGNAL_REALTIME each is there once; of the others there is a
 * record for each time, in order.
 *
 * The records of one signal are a list, and their first ones are a list of at most 64. So nothing that is
 * done here takes longer when more is queued. No locks: the owner has one. Reading `set` needs none.
 */
#pragma once

#include "signal.h"

#include <stdatomic.h>

struct signal_record {
    struct signal_record *next;  /* the first of another signal */
    struct signal_record *after; /* of the same signal */
    struct signal_record *last;  /* of the first: the last of the same signal */
    struct signal_information information;
    bool is_owned;         /* it is somebody's, and is not to be freed when it is taken */
    bool is_queued;        /* of one that is owned: it is in a queue */
    int32_t overrun_taken; /* of one that is owned, by a timer: what was told when it was taken last */
};

struct signal_queue {
    _Atomic(uint64_t) set;
    struct signal_record *first;
};

static inline uint64_t signal_queue_set(const struct signal_queue *queue)
{
    return atomic_load(&queue->set);
}

/*
 * Adds a signal. record: what is told of it, which the queue has from now on; NULL: nothing is known. False,
 * with nothing changed: it is pending already, and only once.
 */
bool signal_queue_add(struct signal_queue *queue, uint32_t signal, struct signal_record *record);

/*
 * Takes the first signal of `allowed` out and stores what is told of it. Returns its number, 0: there is
 * none. *taken: its record, which is the caller's now; NULL: there was none, or it is owned.
 */
uint32_t signal_queue_take(struct signal_queue *queue, uint64_t allowed,
                           struct signal_information *information, struct signal_record **taken);

/* Takes all signals of `set` out; returns their records, linked by `after`. They count as queued until the
 * caller, who may have let the lock go, has been through them. */
struct signal_record *signal_queue_remove(struct signal_queue *queue, uint64_t set);
