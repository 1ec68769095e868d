/*
 * Slab caches: objects of one size, of which each CPU has a small stock of its own. docs/heap.md explains how
 * they work inside.
 *
 * A `slab_pool` is an instance: the caches that take their memory from one frame pool. Each cache has for
 * each CPU a pair of magazines (stacks of free objects that only this CPU touches), behind them a depot of
 * full magazines, behind that slabs: blocks of frames cut into objects.
 *
 * Mistakes are noticed in every build, at the call that makes them: double free, a pointer that is no
 * object's start, the wrong cache, memory of somebody else. What a cache's debug policy adds: red zones,
 * poison, who allocated and freed, quarantine. Each mistake makes one `slab_report`.
 *
 * Any number of CPUs may use a pool at once, unless a function says otherwise. Not from interrupt handlers.
 * The caller holds no lock of a slab pool. Nor does anybody who allocates frames: a frame pool that has run
 * out calls slab_reap(), which takes them. Lock order: slab_pool.lock, then a cache's, then
 * slab_pool.records_lock, then the frame pool's.
 */
#pragma once

#include <ashlar/frame.h>
#include <ashlar/lock.h>
#include <ashlar/slab_report.h>
#include <ashlar/types.h>

#define SLAB_CACHES_MAX    96          /* caches of one pool */
#define SLAB_OBJECT_MAX    KIB(16)     /* bytes of the largest object */
#define SLAB_ALIGNMENT_MAX FRAME_BYTES /* the strictest alignment of a cache */
#define SLAB_NAME_BYTES    24          /* with the terminator */

/* ---- What a pool and a cache are made with ---- */

enum slab_policy {
    SLAB_REDZONE = 1 << 0,    /* guarded bytes on both sides of every object */
    SLAB_POISON = 1 << 1,     /* distinct fillings of free and of fresh objects */
    SLAB_OWNER = 1 << 2,      /* who allocated and freed, with backtrace and time */
    SLAB_QUARANTINE = 1 << 3, /* freed objects rest a while before they are used again */
    SLAB_FAIL = 1 << 4,       /* one allocation in N fails; in rules only */
};

struct slab_pool_config {
    struct frame_pool *frames; /* where memory comes from; its backing covers all of it */
    uint32_t cpus;             /* CPUs that will use the pool: numbers 0 .. cpus - 1 */
    uint64_t seed;             /* of random placement and of the secrets; never 0 */
    const char *debug;         /* debug rules, "PATTERN:POLICY,POLICY;PATTERN:..."; NULL or "" for none */
    /* Called for each mistake, with no lock held. If it returns, the call that made the mistake ends without
     * having changed anything. */
    void (*report)(void *context, const struct slab_report *report);
    /* Writes up to `limit` return addresses to stack[], from `caller` on outwards; returns how many. NULL:
     * only the caller itself is noted. */
    unsigned (*backtrace)(void *context, const void *caller, void **stack, unsigned limit);
    void *context; /* passed to both */
};

enum slab_error {
    SLAB_OK,
    SLAB_BAD_CONFIG,    /* a number of CPUs or a seed that cannot be */
    SLAB_IN_USE,        /* the structure is a pool or a cache already */
    SLAB_BAD_DEBUG,     /* a debug rule that cannot be read; slab_pool.debug_error says where */
    SLAB_BAD_SIZE,      /* an object of 0 bytes, or more than SLAB_OBJECT_MAX */
    SLAB_BAD_ALIGNMENT, /* no power of two, or above SLAB_ALIGNMENT_MAX */
    SLAB_BAD_NAME,      /* empty, too long, or taken */
    SLAB_TOO_MANY,      /* SLAB_CACHES_MAX are there */
    SLAB_NO_MEMORY,
    SLAB_NO_RECLAIMER, /* FRAME_RECLAIMERS_MAX others give memory back to the frame pool */
    SLAB_ERROR_COUNT
};
const char *slab_error_name(enum slab_error error);

struct slab_cache_config {
    const char *name;   /* for people; copied; up to SLAB_NAME_BYTES - 1 characters, unique in the pool */
    uint32_t bytes;     /* of one object, 1 .. SLAB_OBJECT_MAX */
    uint32_t alignment; /* bytes, a power of two up to SLAB_ALIGNMENT_MAX; 0 for 8 */
    /* Puts fresh memory into the constructed state. Objects are given out in it, and must be in it again when
     * they are freed. NULL: the cache has no such state. */
    void (*construct)(void *object);
    /* Whether an object is in the constructed state: checked at each free under a debug policy. Or NULL. */
    bool (*is_constructed)(const void *object);
    bool plain;     /* no header: for the size classes of a heap, which are freed by pointer alone */
    bool unguarded; /* no object goes to a guarded slot, because that maps a page: for a cache that is used
                     * with a lock held which mapping takes, or one that comes after such a lock
                     * (docs/architecture.md, Locks) */
};

#include <ashlar/slab_types.h>

/* ---- Life of a pool ---- */

/*
 * Makes a pool without caches. Takes 16 KiB for each CPU, in one run of frames. On failure nothing is kept.
 * The pool stays at its address: whenever the frame pool runs out, it calls slab_reap() for it. With
 * SLAB_IN_USE, for a pool of the same frame pool that was not destroyed, nothing has changed.
 */
enum slab_error slab_pool_init(struct slab_pool *pool, const struct slab_pool_config *config);

/* Whether *pool is a pool on these frames: made, and not destroyed. Reads nothing of it. */
bool slab_pool_in_use(struct slab_pool *pool, struct frame_pool *frames);

/*
 * Destroys all caches and returns all frames, but for slabs with objects that are still allocated: these are
 * reported, one LIVE_AT_DESTROY for each cache, and lost. No other CPU uses the pool.
 */
void slab_pool_destroy(struct slab_pool *pool);

/* ---- Caches ---- */

/*
 * Makes a cache in *cache, which the caller keeps until slab_cache_destroy(). On failure *cache is no cache;
 * but with SLAB_IN_USE, for one of this pool that was not destroyed, it is what it was.
 */
enum slab_error slab_cache_init(struct slab_pool *pool, struct slab_cache *cache,
                                const struct slab_cache_config *config) EXCLUDES(pool->lock);

/* Whether *cache is a cache of this pool: made, and not destroyed. Reads nothing of it. */
bool slab_cache_in_use(struct slab_pool *pool, const struct slab_cache *cache) EXCLUDES(pool->lock);

/*
 * Returns all memory of the cache. No CPU uses it any more. With live objects left it reports
 * LIVE_AT_DESTROY, and their slabs stay owned for ever. Returns how many objects were live.
 */
uint64_t slab_cache_destroy(struct slab_cache *cache) EXCLUDES(cache->pool->lock);

/*
 * One object, in the constructed state if the cache has a constructor. NULL when there is no memory. Inline.
 */
static inline void *slab_cache_alloc(struct slab_cache *cache) EXCLUDES(cache->lock);

/* Gives an object back. NULL is allowed and does nothing. Inline. */
static inline void slab_cache_free(struct slab_cache *cache, void *object) EXCLUDES(cache->lock);

/* ---- Giving memory back ---- */

/*
 * Gives idle memory back to the frame pool: empties this CPU's magazines, all depots and quarantines, and
 * frees the slabs without an allocated object. Other CPUs are asked to empty their magazines, which they do
 * at their next slow operation, or when they rest. Returns how many frames were given back.
 */
uint64_t slab_reap(struct slab_pool *pool) EXCLUDES(pool->lock);

/* Empties the magazines of `cpu`, which does not use the pool meanwhile (it is off, or waits). */
void slab_drain_cpu(struct slab_pool *pool, unsigned cpu) EXCLUDES(pool->lock);

/*
 * For the idle loop: if slab_reap() has asked this CPU to empty its magazines, empties those of one cache,
 * and gives its empty slabs back. Returns whether there were any. Where nobody has asked it reads one flag.
 */
bool slab_idle(struct slab_pool *pool) EXCLUDES(pool->lock);

/*
 * Whether any other CPU has used magazines since they were emptied: if not, they hold nothing. Any context;
 * of a pool that was not made yet, and is all zeros, the answer is no.
 */
bool slab_others_hold(const struct slab_pool *pool);

/* ---- Failures on purpose, for tests ---- */

/*
 * From now on one in `every` of the pool's allocations fails; with 0, none any more. As long as some do, all
 * allocations take the slow path.
 */
void slab_fail_every(struct slab_pool *pool, uint64_t every) EXCLUDES(pool->lock);

/* The same for one cache alone. */
void slab_cache_fail_every(struct slab_cache *cache, uint64_t every) EXCLUDES(cache->pool->lock);

/* ---- Seeing inside ---- */

struct slab_statistics {
    uint64_t slabs;           /* all slabs */
    uint64_t slab_bytes;      /* their frames */
    uint64_t empty_slabs;     /* without a taken object */
    uint64_t objects;         /* room in all slabs */
    uint64_t live;            /* allocated, in slabs */
    uint64_t guarded;         /* allocated, in guarded slots */
    uint64_t cached;          /* free, in magazines and depot */
    uint64_t resting;         /* free, in quarantine */
    uint64_t waste_bytes;     /* of all slabs: what no object can use (headers, padding, ends of slabs) */
    uint64_t depot_magazines; /* full ones */
    uint64_t swaps;           /* see struct slab_cpu */
    uint64_t exchanges;
    uint64_t refills;
    uint64_t drains;
    uint64_t direct;
    uint64_t grown;    /* slabs made, ever */
    uint64_t returned; /* slabs given back, ever */
    uint64_t failed;   /* allocations made to fail on purpose, ever */
};

/* Exact while no other CPU uses the cache. */
void slab_cache_statistics(struct slab_cache *cache, struct slab_statistics *statistics)
    EXCLUDES(cache->lock);

/*
 * Calls `visit` for each cache, by number, until it returns false. The cache that is visited stays until
 * then: slab_cache_destroy() waits for that, so `visit` destroys none. Whether a cache that is made or
 * destroyed meanwhile is visited is left open.
 */
void slab_for_each_cache(struct slab_pool *pool, bool (*visit)(void *context, struct slab_cache *cache),
                         void *context);

/* What a pointer is to a pool. */
enum slab_place {
    SLAB_NONE,    /* not in a slab */
    SLAB_BETWEEN, /* in a slab, but in no object: header, padding, red zone, end of the slab */
    SLAB_LIVE,    /* in an allocated object */
    SLAB_FREE,    /* in a free object of a slab */
    SLAB_CACHED,  /* in a free object, in a magazine or the depot */
    SLAB_RESTING, /* in a free object, in quarantine */
};

struct slab_facts {
    enum slab_place place;
    struct slab_cache *cache;         /* NULL with SLAB_NONE */
    void *object;                     /* start of the object; NULL with SLAB_NONE and SLAB_BETWEEN */
    uint64_t offset;                  /* of the pointer in the object */
    uint64_t bytes;                   /* the object's usable length */
    const struct slab_who *allocated; /* with the owner policy; else NULL */
    const struct slab_who *freed;     /* with the owner policy, when freed before; else NULL */
};

/* Fills *facts for any value of `pointer`, mapped or not. Exact while no other CPU uses the object. */
void slab_look(struct slab_pool *pool, const void *pointer, struct slab_facts *facts);

/* What slab_check() found wrong first. */
struct slab_problem {
    const char *what;               /* the broken rule */
    const struct slab_cache *cache; /* where */
    const void *where;              /* slab, magazine or object; or NULL */
    uint64_t found;                 /* the value that is wrong */
    uint64_t expected;              /* the value it should have */
};

/*
 * Verifies a cache completely: lists, counts, bitmaps, descriptors, magazines, depot, that no object is in
 * two places, and the marks, headers, red zones and poison of all objects. Returns whether all is well; if
 * not, *problem says what is not. No other CPU uses the cache meanwhile.
 */
bool slab_cache_check(struct slab_cache *cache, struct slab_problem *problem) EXCLUDES(cache->lock);

/* The same for all caches of a pool, its records and its guard. */
bool slab_check(struct slab_pool *pool, struct slab_problem *problem) EXCLUDES(pool->lock);

#include <ashlar/slab_inline.h>
