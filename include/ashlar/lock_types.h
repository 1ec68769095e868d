/* What locks consist of. Callers use <ashlar/lock.h> only. */
#pragma once

#include <ashlar/lock_annotations.h>
#include <ashlar/lock_rank.h>
#include <ashlar/types.h>
#include <stdatomic.h>

/* A queue of tickets: fair, so that a bound on one hold is a bound on the wait. */
struct lock_queue {
    _Atomic(uint32_t) next;    /* ticket the next comer draws */
    _Atomic(uint32_t) serving; /* ticket that may enter */
};

#ifdef ASHLAR_DEBUG

/* Place in the order of locks; the first member of each lock. */
struct lock_order {
    uint64_t key; /* among locks of the same rank */
    enum lock_rank rank;
};

#define LOCKS_HELD_MAX 16

struct lock_held {
    const struct lock_order *lock;
    uintptr_t where; /* return address of the code that took it */
};

/* The locks that a CPU holds, in the order in which it took them. */
struct locks_held {
    unsigned count;
    struct lock_held held[LOCKS_HELD_MAX];
};

#define LOCK_ORDER_MEMBER                           struct lock_order order;
#define LOCK_ORDER_INITIALIZER(lock_rank, lock_key) .order = {.rank = (lock_rank), .key = (lock_key)},

#else

#define LOCK_ORDER_MEMBER
#define LOCK_ORDER_INITIALIZER(lock_rank, lock_key)

#endif

struct CAPABILITY("spinlock") spinlock {
    LOCK_ORDER_MEMBER
    struct lock_queue queue;
};

struct CAPABILITY("irq_spinlock") irq_spinlock {
    LOCK_ORDER_MEMBER
    struct lock_queue queue;
    bool interrupts_were_on; /* the holder's: the interrupt flag before it took the lock */
};

struct CAPABILITY("mutex") mutex {
    LOCK_ORDER_MEMBER
    struct lock_queue queue;
    _Atomic(uint32_t) holder; /* number + 1 of the CPU that holds it; 0: nobody does */
};
