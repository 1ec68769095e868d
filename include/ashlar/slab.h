/*
 * Slab caches: objects of one size, kept ready, each CPU's own stock in front. docs/heap.md explains how they
 * work inside.
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
 * The caller holds no lock of a pool, nor does anybody who allocates frames: a frame pool that has run out
 * reaps. Lock order: slab_pool.lock, then a cache's, then slab_pool.records_lock, then the frame pool's.
 */
#pragma once

#include <ashlar/frame.h>
#include <ashlar/lock.h>
#include <ashlar/types.h>

#define SLAB_CACHES_MAX    96                  /* caches of one pool */
#define SLAB_OBJECT_MAX    KIB(16)             /* bytes of the largest object */
#define SLAB_ALIGNMENT_MAX FRAME_BYTES         /* the strictest alignment of a cache */
#define SLAB_ORDER_MAX     4                   /* a slab is at most 64 KiB */
#define SLAB_OBJECTS_MAX   512                 /* objects of one slab */
#define SLAB_NAME_BYTES    24                  /* with the terminator */
#define SLAB_STACK_DEPTH   6                   /* return addresses kept of who allocated and who freed */
#define SLAB_RULES_MAX     8                   /* debug rules of a pool */
#define SLAB_MARK_FREE     0x6b1f9ed3U         /* mark of a free object without a header */
#define SLAB_MARK_LIVE     0xa5a5a5a5U         /* what overwrites it in one just allocated: uninitialised */
#define SLAB_MARK_OFFSET   4                   /* bytes from an object's start to its mark, see slab_mark() */
#define SLAB_HEADER_FREE   0xffffffffb16b00b5U /* header of a free object */

struct slab_pool;
struct slab_cache;
struct slab_guard;

/* ---- Mistakes and their reports ---- */

/* clang-format off */
#define SLAB_FAULTS(X)                                                                                       \
    X(DOUBLE_FREE, "double free")                  /* the object is free already */                          \
    X(INTERIOR_POINTER, "pointer into an object")  /* or between objects: no object starts here */           \
    X(FOREIGN_POINTER, "not heap memory")          /* a stack, a device, another owner's frame, NULL + 1 */  \
    X(FREE_MEMORY, "memory that nobody has")       /* the frame is free: its slab was given back */         \
    X(WRONG_CACHE, "wrong cache")                  /* an object, but of another cache */                     \
    X(OVERRUN, "write past the end")               /* the red zone behind is damaged */                      \
    X(UNDERRUN, "write before the start")          /* the red zone or header in front is damaged */          \
    X(WRITE_AFTER_FREE, "write after free")        /* the poison of a free object is damaged */              \
    X(ACCESS_OUTSIDE, "access outside an object")  /* of a guarded object: a page fault */                  \
    X(ACCESS_AFTER_FREE, "access after free")      /* of a guarded object: a page fault */                  \
    X(CONSTRUCTED_STATE, "not in its constructed state") /* freed in another state than it was given in */   \
    X(LIVE_AT_DESTROY, "cache destroyed with live objects")                                                  \
    X(LEAK, "unreachable object")                  /* nothing points to it any more */                       \
    X(SIZE_OVERFLOW, "size overflow")              /* count times size does not fit; the call failed */
#define SLAB_FAULT_ENUMERATOR(name, text) SLAB_##name,
enum slab_fault {
    SLAB_FAULT_NONE,
    SLAB_FAULTS(SLAB_FAULT_ENUMERATOR)
    SLAB_FAULT_COUNT
};
#undef SLAB_FAULT_ENUMERATOR
/* clang-format on */

/* The fault's name for people, such as "double free". */
const char *slab_fault_name(enum slab_fault fault);

/* Who did something to an object, and when. */
struct slab_who {
    void *stack[SLAB_STACK_DEPTH]; /* return addresses, innermost first; NULL ends it early */
    uint64_t ticks;                /* time stamp; 0 when never */
    uint32_t cpu;                  /* on which CPU */
};

/* All that is known about one mistake. */
struct slab_report {
    enum slab_fault fault;
    const struct slab_cache *cache;   /* the object's cache, or NULL */
    const struct slab_cache *claimed; /* the cache it was freed to; NULL for heap_free() */
    const void *pointer;              /* what the caller gave, or the damaged object */
    const void *object;               /* object it belongs to, or NULL */
    int64_t offset;                   /* first wrong byte, from the object's start */
    uint32_t length;                  /* wrong bytes from there to the last wrong one */
    uint64_t expected;                /* up to 8 bytes there, as a little-endian number: as they should be */
    uint64_t found;                   /* and as they are. LIVE_AT_DESTROY: how many; SIZE_OVERFLOW: the size,
                                       * and `expected` the count */
    const struct slab_who *allocated; /* NULL without the owner policy */
    const struct slab_who *freed;     /* NULL without the owner policy, or when never freed */
    const void *caller;               /* return address in the code that made the call, or NULL */
};

#define SLAB_REPORT_BYTES 512

/*
 * Writes the report in one line; returns `text`. `caller` is the report's caller in words, NULL for its
 * number.
 */
const char *slab_report_text(const struct slab_report *report, const char *caller,
                             char text[SLAB_REPORT_BYTES]);

/* ---- Life of a pool ---- */

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
    /* Called for each mistake, with no lock held. When it returns, the call that made the mistake does
     * nothing. */
    void (*report)(void *context, const struct slab_report *report);
    /* Writes up to `limit` return addresses to stack[], from `caller` on outwards; returns how many. NULL:
     * only the caller itself is noted. */
    unsigned (*backtrace)(void *context, const void *caller, void **stack, unsigned limit);
    void *context; /* passed to both */
};

enum slab_error {
    SLAB_OK,
    SLAB_BAD_CONFIG,    /* a number of CPUs or a seed that cannot be */
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

/* One rule of the debug policy. */
struct slab_rule {
    char pattern[SLAB_NAME_BYTES]; /* a cache's name; a '*' at its end stands for any rest */
    uint32_t policy;               /* enum slab_policy, or'ed */
    uint64_t fail_every;           /* with SLAB_FAIL: N, when one allocation in N fails */
};

/* Allocations that are made to fail. */
struct slab_failing {
    _Atomic(uint64_t) every;   /* N, when one allocation in N fails; 0 for none */
    _Atomic(uint64_t) counted; /* allocations since that was set */
    _Atomic(uint64_t) failed;  /* allocations that were made to fail, ever */
};

/*
 * A CPU's part of a cache, two cache lines. The fields up to `mask` are those of the fast paths. Written by
 * its CPU only, with preemption off, but for `drain`.
 *
 * A heap's free takes the lowest byte of whatever note a descriptor holds for the number of a line:
 * parts begin at even lines. What begins at an odd one, or at a multiple of 8, which is no cache's number,
 * must have no room: there `bound` is 0.
 */
struct slab_cpu {
    _Atomic(_Atomic(void *) *) top; /* slot of the loaded magazine where the next object is put */
    _Atomic(void *) *bottom;        /* its first slot */
    _Atomic(void *) *end;           /* top stays below */
    uint64_t inverse;               /* offset in the slab * inverse < bound: an object starts there */
    uint64_t bound;                 /* the same number; 0 where pointers must take the slow path */
    uint64_t live;                  /* header of an object that is allocated */
    uint32_t mask;                  /* bytes of a slab - 1 */
    _Atomic(uint32_t) drain;        /* another CPU asks to empty the magazines at the next slow operation */
    struct slab_cache *cache;       /* whose part this is */
    _Atomic(struct slab_magazine *) loaded;   /* the magazine that top points into, or NULL */
    _Atomic(struct slab_magazine *) previous; /* the other one, or NULL */
    _Atomic(uint64_t) swaps;                  /* magazines exchanged for each other here */
    _Atomic(uint64_t) exchanges;              /* magazines exchanged with the depot */
    uint64_t no_room;                         /* always 0: `bound` to whoever takes this line for a part */
    _Atomic(uint64_t) refills;                /* magazines filled from slabs */
    _Atomic(uint64_t) drains;                 /* magazines emptied into slabs */
    _Atomic(uint64_t) direct;                 /* operations that went past the magazines */
};

#define SLAB_LINE_BYTES 64  /* the compiler computes parts by shifting */
#define SLAB_NUMBERS    256 /* lines of a CPU's parts; a cache's number is that of its part's first line */
_Static_assert(sizeof(struct slab_cpu) == (size_t)2 * SLAB_LINE_BYTES, "a part spans two lines");
_Static_assert(offsetof(struct slab_cpu, no_room) == SLAB_LINE_BYTES + offsetof(struct slab_cpu, bound),
               "the second line of a part has no room");
_Static_assert(SLAB_CACHES_MAX == SLAB_NUMBERS / 8 * 3, "of 8 numbers, 3 are a slab's kind of word");

/* The number of the index-th cache: 2, 4, 6, 10, 12, 14, 18, ... so that the note of a slab's frames is a
 * FRAME_NOTE_SLAB. */
static inline unsigned slab_number(unsigned index)
{
    return index / 3 * 8 + index % 3 * 2 + 2;
}

struct slab_list {
    struct slab *first; /* NULL when empty */
    struct slab *last;  /* NULL when empty */
    uint64_t count;     /* slabs in it */
};

/* Records of one kind (slabs, magazines, large blocks), cut from single frames. */
struct slab_records {
    struct slab_record_page *partial; /* pages with room */
    uint64_t pages;                   /* all pages */
    uint64_t unused;                  /* pages without a record in use */
    uint64_t used;                    /* records handed out */
    uint32_t bytes;                   /* of one record */
};

struct slab_pool {
    /* read by the fast paths; constant after slab_pool_init() */
    uintptr_t base;                             /* pointer to physical address 0 */
    uint64_t limit;                             /* bytes of physical memory from there */
    const struct frame_descriptor *descriptors; /* of frame 0 */
    struct slab_cpu *cpu[CPUS_MAX];             /* SLAB_NUMBERS lines each; NULL from `cpus` on */

    struct spinlock lock;                       /* guards (L) */
    struct slab_cache *caches[SLAB_NUMBERS];    /* (L) by number; NULL where there is none */
    struct spinlock records_lock;               /* guards (R) */
    struct slab_guard *guard;                   /* guarded slots for a sample of the objects, or NULL */
    struct slab_records slabs;                  /* (R) struct slab */
    struct slab_records magazines;              /* (R) struct slab_magazine */
    uint64_t secret;                            /* (L) state of the generator of secrets */
    struct slab_failing failing;                /* of all its caches' allocations */
    _Atomic(uint64_t) faults[SLAB_FAULT_COUNT]; /* mistakes reported, by kind */
    struct slab_pool_config config;             /* as given */
    struct slab_rule rules[SLAB_RULES_MAX];     /* the debug rules, read */
    uint32_t rule_count;                        /* used entries of rules[] */
    uint32_t debug_error;                       /* SLAB_BAD_DEBUG: offset in config.debug */
};

/*
 * Makes a pool without caches. Takes 16 KiB of frames for each CPU. On failure nothing is kept. The pool
 * stays at its address: whenever the frame pool runs out, it calls slab_reap() for it.
 */
enum slab_error slab_pool_init(struct slab_pool *pool, const struct slab_pool_config *config);

/*
 * Destroys all caches and returns all frames, but for slabs with objects that are still allocated: these are
 * reported, one LIVE_AT_DESTROY for each cache, and lost. No other CPU uses the pool.
 */
void slab_pool_destroy(struct slab_pool *pool);

/* ---- Caches ---- */

struct slab_cache_config {
    const char *name;   /* for people; copied; up to SLAB_NAME_BYTES - 1 characters, unique in the pool */
    uint32_t bytes;     /* of one object, 1 .. SLAB_OBJECT_MAX */
    uint32_t alignment; /* bytes, a power of two up to SLAB_ALIGNMENT_MAX; 0 for 8 */
    /*
     * Puts fresh memory into the constructed state; objects are given out and must be freed in it. Or NULL.
     */
    void (*construct)(void *object);
    /* Whether an object is in the constructed state: checked at each free under a debug policy. Or NULL. */
    bool (*is_constructed)(const void *object);
    bool plain;     /* no header: for the size classes of a heap, which are freed by pointer alone */
    bool unguarded; /* no object goes to a guarded slot: the cache is used under locks that mapping a page
                     * takes, or that come after them (docs/architecture.md, Locks) */
};

struct slab_cache {
    struct slab_cpu *cpu[CPUS_MAX]; /* this cache's part of every CPU; NULL from pool->cpus on */
    uintptr_t base;                 /* as in the pool */
    uint64_t limit;                 /* as in the pool */

    struct slab_pool *pool;          /* whose cache it is */
    struct slab_cache_config config; /* as given; alignment is never 0; name points to `name` */
    char name[SLAB_NAME_BYTES];      /* for people */
    uint64_t inverse;                /* 2^64 / stride, rounded up: to find an object's number */
    uint64_t live;                   /* header of allocated objects: a secret */
    uint32_t stride;                 /* bytes from one object to the next */
    uint32_t first;                  /* bytes from a slab's start to its first object */
    uint32_t per_slab;               /* objects of one slab */
    uint32_t order;                  /* frames of one slab: 2^order */
    uint32_t capacity;               /* objects of one magazine */
    uint32_t policy;                 /* enum slab_policy, or'ed */
    uint32_t number;                 /* see slab_number() */
    uint32_t track;                  /* bytes from an object to its slab_track; 0 when there is none */

    struct slab_failing failing;        /* of this cache's allocations */
    _Atomic(uint32_t) pins;             /* walkers over the pool's caches that are here: it must stay */
    bool ending;                        /* being destroyed; under the pool's lock */
    struct spinlock lock;               /* guards what follows */
    struct slab_list partial;           /* slabs with free and with taken objects */
    struct slab_list full;              /* slabs without free objects */
    struct slab_list empty;             /* slabs with free objects only */
    struct slab_magazine *depot_full;   /* magazines full of objects */
    struct slab_magazine *depot_empty;  /* magazines without */
    uint64_t depot_count;               /* magazines in depot_full */
    uint64_t depot_limit;               /* most there may be: beyond, objects go to their slabs */
    uint64_t random;                    /* state of the placement's generator */
    uint64_t grown;                     /* slabs made, ever */
    uint64_t returned;                  /* slabs given back, ever */
    struct slab_quarantine *quarantine; /* objects that rest, or NULL */
};

/*
 * Makes a cache in *cache, which the caller keeps until slab_cache_destroy(). On failure *cache is no cache.
 */
enum slab_error slab_cache_init(struct slab_pool *pool, struct slab_cache *cache,
                                const struct slab_cache_config *config) EXCLUDES(pool->lock);

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
 * Returns what no object is in: this CPU's magazines, all depots, quarantines and empty slabs; other CPUs are
 * asked to empty their magazines, and do so at their next slow operation. Returns the frames given back.
 */
uint64_t slab_reap(struct slab_pool *pool) EXCLUDES(pool->lock);

/* Empties the magazines of `cpu`, which does not use the pool meanwhile (it is off, or waits). */
void slab_drain_cpu(struct slab_pool *pool, unsigned cpu) EXCLUDES(pool->lock);

/* ---- Making rare paths common ---- */

/* Lets every `every`-th allocation of the pool fail; 0 ends it. Until then all allocations take the slow
 * path. */
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
    uint64_t waste_bytes;     /* of all slabs: what no object can use (headers, padding, rests) */
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
 * Calls `visit` for each cache, by number, until it returns false. No cache is made or destroyed meanwhile.
 */
void slab_for_each_cache(struct slab_pool *pool, bool (*visit)(void *context, struct slab_cache *cache),
                         void *context);

/* What a pointer is to a pool. */
enum slab_place {
    SLAB_NONE,    /* not in a slab */
    SLAB_BETWEEN, /* in a slab, but in no object: header, padding, red zone, rest */
    SLAB_LIVE,    /* in an allocated object */
    SLAB_FREE,    /* in a free object of a slab */
    SLAB_CACHED,  /* in a free object, in a magazine or the depot */
    SLAB_RESTING, /* in a free object, in quarantine */
};

struct slab_facts {
    enum slab_place place;
    struct slab_cache *cache;         /* NULL when nowhere */
    void *object;                     /* start of the object, NULL when nowhere or between */
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

/* ---- The fast paths ---- */

/* Inline functions whose instructions are their callers' lines: backtraces and reports name the line that
 * asked, not one of these headers. Inlined always, for the slow paths take who called them for the asker. */
#define SLAB_INLINE __attribute__((nodebug, always_inline)) static inline

/* Words in memory of any type, and, where the caller is mistaken, at any address. */
typedef uint64_t __attribute__((may_alias, aligned(1))) slab_header_t;
typedef uint32_t __attribute__((may_alias, aligned(1))) slab_mark_t;

/*
 * Where an object without a header bears its mark: in the second half of its first word. A pointer or counter
 * written there covers it wholly, a character or an integer at the start not at all, so that the processor
 * can nearly always forward what was written last to the comparison at the free; where it cannot, a free
 * waits for the stores before it.
 */
SLAB_INLINE slab_mark_t *slab_mark(const void *object)
{
    return (slab_mark_t *)((uintptr_t)object + SLAB_MARK_OFFSET);
}

/* The slow paths behind them; not to be called otherwise. */
void *slab_alloc_slow(struct slab_cache *cache, uint32_t bytes) EXCLUDES(cache->lock);
void slab_free_slow(struct slab_cache *cache, void *object) EXCLUDES(cache->lock);

SLAB_INLINE void *slab_cache_alloc(struct slab_cache *cache)
{
    LOCK_CHECK_ALLOCATE();
    preempt_disable();
    struct slab_cpu *cpu = cache->cpu[cpu_number()];
    _Atomic(void *) *top = atomic_load_explicit(&cpu->top, memory_order_relaxed);
    if (__builtin_expect(top != cpu->bottom, 1)) {
        void *object = atomic_load_explicit(&top[-1], memory_order_relaxed);
        atomic_store_explicit(&cpu->top, top - 1, memory_order_relaxed);
        ((slab_header_t *)object)[-1] = cpu->live;
        preempt_enable();
        return object;
    }
    preempt_enable();
    return slab_alloc_slow(cache, cache->config.bytes);
}

SLAB_INLINE void slab_cache_free(struct slab_cache *cache, void *object)
{
    LOCK_CHECK_ALLOCATE();
    /* The header is compared with the cache's secret: one comparison for all that can be wrong. */
    if (__builtin_expect((uintptr_t)object - cache->base < cache->limit, 1)) {
        preempt_disable();
        struct slab_cpu *cpu = cache->cpu[cpu_number()];
        slab_header_t *header = (slab_header_t *)object - 1;
        _Atomic(void *) *top = atomic_load_explicit(&cpu->top, memory_order_relaxed);
        if (__builtin_expect(*header == cpu->live && top < cpu->end, 1)) {
            *header = SLAB_HEADER_FREE;
            atomic_store_explicit(top, object, memory_order_relaxed);
            atomic_store_explicit(&cpu->top, top + 1, memory_order_relaxed);
            preempt_enable();
            return;
        }
        preempt_enable();
    }
    slab_free_slow(cache, object);
}
