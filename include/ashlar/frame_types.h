/*
 * What a frame pool consists of. <ashlar/frame.h> includes this, for its inline half; nobody else needs it.
 */
#pragma once

#define FRAME_MAGAZINES     (FRAME_ORDER_2M + 2)  /* one for each order up to 2 MiB, and zeroed frames */
#define FRAME_MAGAZINE_ZERO (FRAME_MAGAZINES - 1) /* index of the stock of zeroed frames */
#define FRAME_SLOTS         296                   /* blocks in all magazines of a CPU */

/*
 * One CPU's stock of free blocks of one order: a stretch of its slots. The last one in is the first one out.
 */
struct frame_magazine {
    _Atomic(uint32_t) top;   /* behind the last slot in use; written by its CPU only */
    _Atomic(uint32_t) limit; /* frame_free() may not pass it; 0 asks the CPU to drain */
    uint32_t bottom;         /* the first slot; top is there when the magazine is empty */
    uint32_t end;            /* behind the last slot; what limit is when no drain is asked for */
};

/* One CPU's part of a pool, found by cpu_page(): written by that CPU only, with preemption off. */
struct frame_cpu {
    _Alignas(FRAME_BYTES) struct frame_magazine magazine[FRAME_MAGAZINES];
    uint64_t slots[FRAME_SLOTS];         /* physical addresses of blocks */
    _Atomic(int64_t) owned[OWNER_COUNT]; /* frames allocated minus freed here: the sum over CPUs counts */
    _Atomic(uint64_t) slow_operations;   /* operations that took the lock */
    _Atomic(uint64_t) shortages;         /* allocations that found no memory at first */
    _Atomic(uint32_t) moves;             /* twice those between its magazines; odd during one */
    bool reclaiming;                     /* a reclaimer runs on this CPU */
};

_Static_assert(sizeof(struct frame_cpu) == FRAME_BYTES, "cpu_page() finds the part of a CPU");

/* Frames set apart for descriptors and their page tables. */
struct frame_reserve {
    uint64_t next; /* first frame not yet used */
    uint64_t end;  /* behind the last one */
};

/* What was done under the lock since the start: says why a call took long. */
struct frame_work {
    uint64_t refills;  /* of magazines */
    uint64_t drains;   /* of magazines; a part of one each */
    uint64_t searches; /* for a free block, each of one zone */
    uint64_t given;    /* blocks handed to the policy */
    uint64_t changes;  /* entries of the policy's indexes that changed by that, scattered frames apart */
    uint64_t pages;    /* of descriptors, backed */
};

/* A place for a reclaimer in a pool. */
struct frame_reclaimer_slot {
    struct frame_reclaimer reclaimer; /* reclaim is NULL when the place is empty */
    uint32_t running;                 /* CPUs that are inside it */
};

struct frame_pool {
    /* read by the fast paths; constant after frame_pool_init() */
    uint64_t frame_limit;                 /* all frames of the pool have smaller numbers */
    struct frame_descriptor *descriptors; /* of frame 0 */
    struct frame_cpu *cpu;                /* the parts of all CPUs, by number */

    /* In a line of its own: who waits for the lock does not slow down who needs none. */
    _Alignas(64) struct spinlock lock; /* guards what is marked (L), and what policy_state leads to */
    uint64_t free_frames;              /* (L) frames the policy holds; those in magazines are not in it */
    struct frame_work work;            /* (L) and so far every hold writes to all three: one line */

    void *policy_state;                /* the policy's own */
    uint64_t *backed;                  /* (L) one bit per page of descriptors: is it mapped? */
    uint64_t managed_frames;           /* (L) frames that are free or whose owner is in their descriptor */
    uint64_t fixed_bytes[OWNER_COUNT]; /* (L) bytes of the map that are not managed, by owner */
    struct frame_reserve reserve[2];   /* (L) for descriptors; used in this order */
    uint32_t managed_types;            /* (L) bit per enum memory_type: handed to the pool */
    struct frame_reclaimer_slot reclaimers[FRAME_RECLAIMERS_MAX]; /* (L) in the order they are called */

    struct frame_config config; /* as given; policy is never NULL */
    phys_addr_t state_base;     /* the allocator's state, in the memory it manages */
    uint64_t state_bytes;       /* its length, a multiple of FRAME_BYTES */
    unsigned first_zone;        /* first zone of the search order that the machine has */
    unsigned reserve_order;     /* size of the blocks that the reserve takes from the policy */
};
