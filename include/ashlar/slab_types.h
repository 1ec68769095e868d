/*
 * What slab pools and caches consist of. <ashlar/slab.h> includes this, for its inline half; nobody else
 * needs it.
 */
#pragma once

#define SLAB_ORDER_MAX   4                   /* a slab is at most 64 KiB */
#define SLAB_OBJECTS_MAX 512                 /* objects of one slab */
#define SLAB_RULES_MAX   8                   /* debug rules of a pool */
#define SLAB_MARK_FREE   0x6b1f9ed3U         /* mark of a free object without a header */
#define SLAB_MARK_LIVE   0xa5a5a5a5U         /* what overwrites it in one just allocated: uninitialised */
#define SLAB_MARK_OFFSET 4                   /* bytes from an object's start to its mark, see slab_mark() */
#define SLAB_HEADER_FREE 0xffffffffb16b00b5U /* header of a free object */

struct slab_pool;
struct slab_cache;
struct slab_guard;

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
 * A CPU's part of a cache, two cache lines. The fast paths use the fields up to `mask`. Only its CPU writes
 * to it, with preemption off; others may set `drain`.
 *
 * All parts of a CPU lie in one array of cache lines, and the arrays of all CPUs one behind the other. The
 * number of a cache is that of the first line of its part: it is even, and never a multiple of 8 (see
 * slab_number()). heap_free() takes the lowest byte of the note in a frame's descriptor for such a number,
 * without asking whose note it is. If it is not a slab's, the line it leads to is either the second one of a
 * part or one that no part has. In both, the word that would be `bound` is 0, so the fast path gives up and
 * the slow one looks at the note.
 */
struct slab_cpu {
    _Atomic(_Atomic(void *) *) top; /* slot of the loaded magazine where the next object is put */
    _Atomic(void *) *bottom;        /* its first slot */
    _Atomic(void *) *end;           /* behind its last slot: the magazine is full when top is there */
    uint64_t inverse;               /* an object starts at an offset of a slab if offset * inverse < bound */
    uint64_t bound;                 /* equal to `inverse`; 0 where every free must take the slow path */
    uint64_t live;                  /* header of an object that is allocated */
    uint32_t mask;                  /* bytes of a slab - 1 */
    _Atomic(uint32_t) drain;        /* another CPU asks to empty the magazines at the next slow operation */
    struct slab_cache *cache;       /* whose part this is */
    _Atomic(struct slab_magazine *) loaded;   /* the magazine that top points into, or NULL */
    _Atomic(struct slab_magazine *) previous; /* the other one, or NULL */
    _Atomic(uint64_t) swaps;                  /* magazines exchanged for each other here */
    _Atomic(uint64_t) exchanges;              /* magazines exchanged with the depot */
    uint64_t no_room;          /* always 0: lies where `bound` would if a part began at this line */
    _Atomic(uint64_t) refills; /* magazines filled from slabs */
    _Atomic(uint64_t) drains;  /* magazines emptied into slabs */
    _Atomic(uint64_t) direct;  /* operations that went past the magazines */
};

#define SLAB_LINE_BYTES 64  /* a power of two: the address of a part is a shift and an addition */
#define SLAB_NUMBERS    256 /* lines of all parts of a CPU: one for each value of a byte */
_Static_assert((uint64_t)SLAB_NUMBERS *SLAB_LINE_BYTES == CPU_PART_BYTES, "the lines of a CPU are its part");
_Static_assert(sizeof(struct slab_cpu) == (size_t)2 * SLAB_LINE_BYTES, "a part spans two lines");
_Static_assert(offsetof(struct slab_cpu, no_room) == SLAB_LINE_BYTES + offsetof(struct slab_cpu, bound),
               "the second line of a part has no room");
_Static_assert(SLAB_CACHES_MAX == SLAB_NUMBERS / 8 * 3, "of 8 numbers, 3 are those of slabs' notes");

/*
 * The number of the index-th cache: 2, 4, 6, 10, 12, 14, 18, and so on. Its lowest three bits are even and
 * not 0, which makes a note that ends in it a FRAME_NOTE_SLAB.
 */
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
    struct slab_record_page *unused;  /* the one page without a record in use, or NULL */
    uint64_t used;                    /* records handed out */
    uint32_t bytes;                   /* of one record */
};

struct slab_pool {
    /* read by the fast paths; constant after slab_pool_init() */
    uintptr_t base;                             /* pointer to physical address 0 */
    uint64_t limit;                             /* bytes of physical memory from there */
    const struct frame_descriptor *descriptors; /* of frame 0 */
    struct slab_cpu *parts;                     /* of CPU 0: see cpu_part() */

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

struct slab_cache {
    struct slab_cpu *parts; /* CPU 0's part of this cache: see cpu_part() */
    uintptr_t base;         /* as in the pool */
    uint64_t limit;         /* as in the pool */

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
    _Atomic(uint32_t) pins;             /* walks over the pool's caches that are here now: it must stay */
    bool ending;                        /* being destroyed; guarded by the pool's lock */
    struct spinlock lock;               /* guards what follows */
    struct slab_list partial;           /* slabs with free and with taken objects */
    struct slab_list full;              /* slabs without free objects */
    struct slab_list empty;             /* slabs with free objects only */
    uint64_t free_objects;              /* of all slabs in the three lists */
    struct slab_magazine *depot_full;   /* magazines full of objects */
    struct slab_magazine *depot_empty;  /* magazines without */
    uint64_t depot_count;               /* magazines in depot_full */
    uint64_t depot_limit;               /* most there may be; when there are, objects go to their slabs */
    uint64_t random;                    /* state of the placement's generator */
    uint64_t grown;                     /* slabs made, ever */
    uint64_t returned;                  /* slabs given back, ever */
    uint32_t keep;                      /* empty slabs that stay */
    uint32_t keep_limit;                /* constant: most that do */
    uint32_t came_back;                 /* magazines emptied into slabs since one was made */
    uint32_t missed;                    /* slabs returned, and not made again since */
    struct slab_quarantine *quarantine; /* objects that rest, or NULL */
};
