/*
 * Guarded slots: a sample of the objects of a slab pool lies alone on a page between pages that nobody can
 * touch, in the manner of Linux's KFENCE. A write or read outside such an object, or after it was freed, is
 * a page fault at the instruction that makes it, and slab_guard_explain() says whose object it was. The
 * sample is one in so many of the slow operations behind the magazines: the fast paths know nothing of it, so
 * it can always be on. docs/heap.md explains the choice.
 *
 * A guard is an instance, joined to one slab pool. It is given its pages, and how to hide and show one, by
 * whoever knows page tables. Any number of CPUs; not from interrupt handlers. Its lock is taken before no
 * other.
 */
#pragma once

#include <ashlar/slab.h>

#define SLAB_GUARD_SLOTS_MAX 64

struct slab_guard_config {
    void *base;     /* 2 * slots + 1 pages, aligned to FRAME_BYTES, outside the slab pool's memory. The first,
                     * the third, the fifth and so on are never accessible; the others can be shown */
    uint32_t slots; /* 1 .. SLAB_GUARD_SLOTS_MAX; all inaccessible */
    uint32_t every; /* slow operations from one sample to the next, at least 1 */
    /* Makes a page readable and writable; false when that cannot be. Its contents are kept. */
    bool (*show)(void *context, void *page);
    /* Makes a page inaccessible on all CPUs. */
    void (*hide)(void *context, void *page);
    void *context;        /* passed to both */
    uint32_t shown_bytes; /* of the frame pool's memory that a page which is shown takes, for the accounts */
};

/* What a slot holds. Written under the guard's lock, but for a slot that is changing hands. */
struct slab_guard_slot {
    struct slab_cache *cache; /* whose object; NULL before the first one */
    char *object;   /* first byte of the object, the last one when free; NULL before the first one */
    uint32_t bytes; /* its length, as asked for */
    bool live;      /* allocated */
    struct slab_who allocated; /* who allocated it; always kept */
    struct slab_who freed;     /* who freed it; ticks is 0 while it is live */
};

struct slab_guard {
    struct slab_pool *pool;          /* whose objects */
    struct slab_guard_config config; /* as given */
    _Atomic(uint32_t) countdown;     /* slow operations to the next sample; may lose some */
    struct spinlock lock;            /* guards what follows */
    struct slab_guard_slot slots[SLAB_GUARD_SLOTS_MAX]; /* by number */
    uint8_t free[SLAB_GUARD_SLOTS_MAX]; /* ring of free slots: the longest free is used next */
    uint32_t first;                     /* index of the oldest in free[] */
    uint32_t count;                     /* slots in free[] */
    uint64_t random;                    /* state of the generator of sides */
    uint64_t sampled;                   /* objects placed here, ever */
    uint64_t missed;                    /* samples for which no slot was free, ever */
};

/* Joins a guard to a pool that has none. SLAB_BAD_CONFIG, and nothing has changed, for a value that cannot
 * be. No other CPU uses the pool yet. */
enum slab_error slab_guard_start(struct slab_guard *guard, struct slab_pool *pool,
                                 const struct slab_guard_config *config);

/* Parts the guard from its pool. No other CPU uses the pool; no object in a slot is live. */
void slab_guard_stop(struct slab_guard *guard);

/*
 * Says what the object was that an access to `address` missed: *report is filled with ACCESS_AFTER_FREE, or
 * ACCESS_OUTSIDE an object that is live, or was the last one there. False for an address that is not the
 * guard's, or that nothing lay near. Takes no lock: for the handler of a page fault.
 */
bool slab_guard_explain(const struct slab_guard *guard, const void *address, struct slab_report *report);

/* Calls `visit` for each live object until it returns false; whether it never did. No other CPU uses it. */
bool slab_guard_visit(struct slab_guard *guard,
                      bool (*visit)(void *context, const struct slab_guard_slot *slot), void *context);

/* Bytes of the frame pool behind the pages that are shown. */
uint64_t slab_guard_shown_bytes(struct slab_guard *guard) EXCLUDES(guard->lock);

/* Live objects of a cache in slots. */
uint64_t slab_guard_live(struct slab_guard *guard, const struct slab_cache *cache) EXCLUDES(guard->lock);
