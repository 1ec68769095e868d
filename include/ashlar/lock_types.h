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

struct CAPABILITY("spinlock") spinlock {
    struct lock_queue queue;
};

struct CAPABILITY("irq_spinlock") irq_spinlock {
    struct lock_queue queue;
    bool interrupts_were_on; /* the holder's: as it found the interrupt flag */
};

struct CAPABILITY("mutex") mutex {
    struct lock_queue queue;
    _Atomic(uint32_t) holder; /* number + 1 of the CPU that holds it; 0: nobody does */
};
