/* What locks consist of. Callers use <ashlar/lock.h> only. */
#pragma once

#include <ashlar/lock_annotations.h>
#include <ashlar/lock_check.h>
#include <ashlar/lock_rank.h>
#include <ashlar/types.h>
#include <stdatomic.h>

/*
 * Whether a lock is taken, and for whom it is kept: who finds both words 0 takes it. In a queue of tickets
 * all would wait for the one whose turn it is, even if that CPU does not run, as those of a virtual machine
 * may stand still at any time; here another one goes ahead. In return, a CPU that has waited long puts its
 * number into `claimed`: then the lock is kept for it, for a while, against all who come after.
 */
struct lock_gate {
    union {
        _Atomic(uint64_t) both; /* 0: free, and not claimed */
        struct {
            _Atomic(uint32_t) held;    /* the low half of `both`: 1 while somebody holds the lock */
            _Atomic(uint32_t) claimed; /* number + 1 of the CPU that the lock is kept for; 0: nobody */
        };
    };
};

#define LOCK_HELD UINT64_C(1) /* in `both` */

#ifdef LOCKS_ARE_NOTED

/* Place in the order of locks; the first member of each lock. */
struct lock_order {
    uint64_t key; /* among locks of the same rank */
    enum lock_rank rank;
};

#define LOCKS_HELD_MAX 16

struct lock_held {
    const struct lock_order *lock;
    uintptr_t where; /* return address of the code that took it */
    uint64_t since;  /* cpu_ticks() when it was taken */
};

/* The locks that a CPU holds, or the mutexes that a thread holds, in the order in which it took them. */
struct locks_held {
    unsigned count;
    struct lock_held held[LOCKS_HELD_MAX];
};

/* What one CPU has done with all locks of a rank. Only it writes, interrupts off; others may read. */
struct lock_counts {
    _Atomic(uint64_t) acquisitions; /* tries that succeeded too */
    _Atomic(uint64_t) contended;    /* of them, those that had to wait */
    _Atomic(uint64_t) hold_most;    /* the longest hold, in ticks */
    _Atomic(uintptr_t) hold_where;  /* return address of what took the lock then; 0: none was released */
};

#define LOCK_ORDER_MEMBER                           struct lock_order order;
#define LOCK_ORDER_INITIALIZER(lock_rank, lock_key) .order = {.rank = (lock_rank), .key = (lock_key)},

#else

#define LOCK_ORDER_MEMBER
#define LOCK_ORDER_INITIALIZER(lock_rank, lock_key)

#endif

/* What a thread's mutexes are; its first part (<ashlar/thread_types.h>). */
struct thread_locks {
    uint32_t mutexes; /* that it holds, or waits for */
#ifdef LOCKS_ARE_NOTED
    struct locks_held held; /* the same */
#endif
};

struct CAPABILITY("spinlock") spinlock {
    LOCK_ORDER_MEMBER
    struct lock_gate gate;
};

struct CAPABILITY("irq_spinlock") irq_spinlock {
    LOCK_ORDER_MEMBER
    struct lock_gate gate;
    bool interrupts_were_on; /* the holder's: the interrupt flag before it took the lock */
};

struct waiter;

/* Threads that wait for one thing: <ashlar/wait.h>. */
struct wait_queue {
    struct irq_spinlock lock; /* guards the rest */
    struct waiter *first;     /* the one that came first, unless it had been woken already */
    struct waiter *last;
    uint64_t tickets; /* given to waiters */
};

struct CAPABILITY("mutex") mutex {
    LOCK_ORDER_MEMBER
    _Atomic(uintptr_t) holder; /* thread_self() of who holds it, and MUTEX_AWAITED; 0: free */
    struct wait_queue waiters;
};

#define MUTEX_AWAITED ((uintptr_t)1) /* in `holder`: whoever releases it looks into the queue */
