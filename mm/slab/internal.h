/*
 * Inside the slab caches: what their files share. Not for users of the caches.
 */
#pragma once

#include <ashlar/slab.h>
#include <ashlar/string.h>

#define SLAB_MAGAZINE_SLOTS  30  /* a magazine is 256 bytes */
#define SLAB_QUARANTINED_MAX 128 /* objects that rest in a cache with the policy */

/* Bytes of the debug policies. Distinct, odd, and no likely address when repeated. */
#define SLAB_BYTE_FREE    0x6b /* a free object */
#define SLAB_BYTE_FRESH   0xa5 /* an allocated one, not yet written */
#define SLAB_BYTE_REDZONE 0xbb /* outside an object */
#define SLAB_REDZONE_MIN  16   /* guarded bytes on each side */

/* A block of frames cut into objects. Kept apart from them: a write past an object's end cannot damage it. */
struct slab {
    struct slab *next;                    /* in its list */
    struct slab *previous;                /* in its list */
    struct slab_cache *cache;             /* whose slab it is */
    char *memory;                         /* its frames */
    uint32_t free_count;                  /* bits set in free[] */
    uint32_t mark_base;                   /* the leak scan's: first bit of its marks */
    uint64_t free[SLAB_OBJECTS_MAX / 64]; /* one bit per object: neither taken nor in a magazine */
};

/* A stack of free objects. Belongs to one CPU, or lies in a depot. */
struct slab_magazine {
    struct slab_magazine *next;                 /* in a depot */
    _Atomic(uint64_t) count;                    /* objects; not kept up while it is the loaded one */
    _Atomic(void *) slots[SLAB_MAGAZINE_SLOTS]; /* the objects */
};

_Static_assert(sizeof(struct slab) == 104, "about 2.5 % of the smallest slab");
_Static_assert(sizeof(struct slab_magazine) == 256, "16 to a frame, less one for the page's head");

/* A frame of records. */
struct slab_record_page {
    struct slab_record_page *next;     /* with room; NULL in pages without */
    struct slab_record_page *previous; /* with room */
    void *free;                        /* list of free records, linked through their first word */
    uint64_t used;                     /* records handed out */
};

/* Behind an object of a cache with a debug policy. */
struct slab_track {
    uint32_t state;            /* enum slab_track_state */
    uint32_t bytes;            /* as asked for: where the red zone behind starts */
    uint64_t sum;              /* of a free constructed object's bytes, which cannot be poisoned */
    struct slab_who allocated; /* with the owner policy */
    struct slab_who freed;     /* with the owner policy */
};

enum slab_track_state {
    SLAB_TRACK_FREE = 0x46524545,
    SLAB_TRACK_LIVE = 0x4c495645,
};

struct slab_quarantine {
    void *objects[SLAB_QUARANTINED_MAX]; /* a ring */
    uint32_t first;                      /* index of the oldest */
    uint32_t count;                      /* objects in it */
};

/* ---- Addresses ---- */

static inline void *slab_frame_pointer(const struct slab_pool *pool, phys_addr_t address)
{
    return (void *)(pool->base + address.raw);
}

static inline phys_addr_t slab_frame_of(const struct slab_pool *pool, const void *pointer)
{
    return phys_addr((uintptr_t)pointer - pool->base);
}

/* The part of a CPU, by that of CPU 0. */
static inline void *slab_part_of(void *first, unsigned cpu)
{
    return (char *)first + (uint64_t)cpu * CPU_PART_BYTES;
}

/* A CPU's part of a cache. */
static inline struct slab_cpu *slab_cpu(const struct slab_cache *cache, unsigned cpu)
{
    return slab_part_of(cache->parts, cpu);
}

/* The slab that an object of `cache` lies in; the caller knows that it is one. */
static inline struct slab *slab_of(const struct slab_cache *cache, const void *object)
{
    return frame_note_slab(
        frame_descriptor(cache->pool->config.frames, slab_frame_of(cache->pool, object))->note);
}

/* Number of the object that byte `offset` behind the first object lies in. */
static inline uint32_t slab_index(const struct slab_cache *cache, uint64_t offset)
{
    return (uint32_t)((unsigned __int128)offset * cache->inverse >> 64);
}

static inline void *slab_object(const struct slab_cache *cache, const struct slab *slab, uint32_t index)
{
    return slab->memory + cache->first + (uint64_t)index * cache->stride;
}

static inline uint32_t slab_object_index(const struct slab_cache *cache, const struct slab *slab,
                                         const void *object)
{
    return slab_index(cache, (uint64_t)((const char *)object - slab->memory) - cache->first);
}

static inline struct slab_track *slab_track(const struct slab_cache *cache, const void *object)
{
    return (struct slab_track *)((uintptr_t)object + cache->track);
}

static inline slab_header_t *slab_header(const void *object)
{
    return (slab_header_t *)(uintptr_t)object - 1;
}

/* Whether an object bears the mark of a free one. */
static inline bool slab_is_marked_free(const struct slab_cache *cache, const void *object)
{
    if (cache->policy) {
        return slab_track(cache, object)->state == SLAB_TRACK_FREE;
    }
    return cache->config.plain ? *slab_mark(object) == SLAB_MARK_FREE
                               : *slab_header(object) == SLAB_HEADER_FREE;
}

static inline void slab_mark_free(const struct slab_cache *cache, void *object)
{
    if (cache->config.plain) {
        *slab_mark(object) = SLAB_MARK_FREE;
    } else {
        *slab_header(object) = SLAB_HEADER_FREE;
    }
}

static inline void slab_mark_live(const struct slab_cache *cache, void *object)
{
    if (cache->config.plain) {
        *slab_mark(object) = SLAB_MARK_LIVE;
    } else {
        *slab_header(object) = cache->live;
    }
}

static inline void slab_count(_Atomic(uint64_t) *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
                          memory_order_relaxed);
}

/* The next number of a generator (xorshift64*): placement and secrets, nothing that must withstand study. */
static inline uint64_t slab_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dULL;
}

/* ---- record.c ---- */

/* One record, contents unspecified; NULL when there is no memory. */
void *slab_record_alloc(struct slab_pool *pool, struct slab_records *records) EXCLUDES(pool->records_lock);
void slab_record_free(struct slab_pool *pool, struct slab_records *records, void *record)
    EXCLUDES(pool->records_lock);

/* Gives back the page that is kept though none of its records is in use; returns how many: 1, or 0. */
uint64_t slab_records_release(struct slab_pool *pool, struct slab_records *records)
    EXCLUDES(pool->records_lock);

/* Verifies pages, their free records and all counts; false and *problem when something is wrong. The caller
 * holds records_lock. */
bool slab_records_check(const struct slab_records *records, struct slab_problem *problem);

/* ---- slabs.c: slabs, their lists, and the objects in them ---- */

/* Makes a slab that is in no list yet: slab_take() puts it there. NULL when there is no memory. */
struct slab *slab_make(struct slab_cache *cache) EXCLUDES(cache->lock);

/*
 * Takes up to `count` free objects out of slabs, at random places; returns how many. `fresh` is NULL, or a
 * slab just made. It joins the others under the same hold of the lock: who makes a slab gets objects,
 * whoever else takes some meanwhile. After slab_make() has failed it is worth asking, too: before the frame
 * pool refuses it has all caches reaped, and this one's depot or quarantine may have filled its slabs.
 */
uint32_t slab_take(struct slab_cache *cache, struct slab *fresh, _Atomic(void *) *objects, uint32_t count)
    EXCLUDES(cache->lock);

/* One object out of a slab, past the magazines; NULL when there is no memory. */
void *slab_take_one(struct slab_cache *cache) EXCLUDES(cache->lock);

/* Gives one object back to its slab. False when it is there already. */
bool slab_give(struct slab_cache *cache, void *object) REQUIRES(cache->lock);

/* Returns empty slabs to the frame pool: all, or those beyond what use says shall stay; the number of frames
 * returned. */
uint64_t slab_shrink(struct slab_cache *cache, bool all) EXCLUDES(cache->lock);

#define SLAB_CAME_BACK_MANY 128 /* magazines that come back, and no slab is made: fewer empty slabs stay */

/* Notes that a magazine was emptied into slabs; whether some of these are to be returned now. */
bool slab_note_emptied(struct slab_cache *cache) REQUIRES(cache->lock);

/* Gives up a slab with live objects: its frames stay owned, but lead to no cache any more. */
void slab_forget(struct slab_cache *cache, struct slab *slab);

void slab_list_add(struct slab_list *list, struct slab *slab);
void slab_list_remove(struct slab_list *list, struct slab *slab);

/* ---- magazine.c ---- */

/* slab_alloc_slow() with the address in the code that asked. */
void *slab_alloc_for(struct slab_cache *cache, uint32_t bytes, const void *caller) EXCLUDES(cache->lock);

/* Empties a CPU's magazines into slabs, and gives the magazines back. The CPU is this one, or waits. */
void slab_drain_part(struct slab_cache *cache, struct slab_cpu *cpu) EXCLUDES(cache->lock);

/* Empties the depot into slabs. */
void slab_drain_depot(struct slab_cache *cache) EXCLUDES(cache->lock);

/* Prepares a CPU's part of a cache: it has no magazines yet. */
void slab_part_init(struct slab_cache *cache, struct slab_cpu *cpu);

/* Puts an object that was checked, and is in no other place, where it can be taken again. */
void slab_magazine_free(struct slab_cache *cache, void *object) EXCLUDES(cache->lock);

/* Whether an object lies in a magazine or in the depot. */
bool slab_is_cached(struct slab_cache *cache, const void *object) EXCLUDES(cache->lock);

/* Objects in magazines and depot. Exact while no other CPU uses the cache. */
uint64_t slab_count_cached(struct slab_cache *cache) REQUIRES(cache->lock);

/*
 * Calls `visit` for each object in magazines and depot. Other CPUs may use theirs meanwhile: an object that
 * they take or put may then be missed, but none is seen that is in no magazine.
 */
void slab_for_each_cached(struct slab_cache *cache, void (*visit)(void *context, void *object), void *context)
    REQUIRES(cache->lock);

/* ---- free.c: what is wrong with a pointer ---- */

/*
 * Frees an object of a cache with or without debug policy, or names the mistake and reports it. `claimed` is
 * the cache that it is freed to, NULL for any size class of a heap.
 */
void slab_free_checked(struct slab_pool *pool, struct slab_cache *claimed, void *object, const void *caller);

/* Reports that a pointer which leads into no slab was freed: the memory of somebody else, or of nobody. */
void slab_refuse(struct slab_pool *pool, struct slab_cache *claimed, const void *pointer, const void *caller);

/* ---- fill.c: what lies around and in the objects of a cache with a debug policy ---- */

/* Bytes in front of an object that a policy needs, alignment included. */
uint32_t slab_debug_front(uint32_t alignment);

/* Prepares an object of a new slab: it is free, and nobody has had it. */
void slab_debug_prepare(struct slab_cache *cache, void *object);

/* Writes all guarded bytes of a free object; of a live one that is `bytes` long. */
void slab_fill_free(struct slab_cache *cache, void *object);
void slab_fill_live(struct slab_cache *cache, void *object, uint32_t bytes);

/* Notes another length of a live object, and writes what is behind it. */
void slab_fill_behind(struct slab_cache *cache, void *object, uint32_t bytes);

/* Whether bytes [from, to) of an object all are `filling`; if not, notes the damage in the report. */
bool slab_is_filled(const void *object, int64_t from, int64_t to, uint8_t filling,
                    struct slab_report *report);

/* Examines an object without changing it; false and *report when it is damaged. */
bool slab_debug_examine(struct slab_cache *cache, const void *object, struct slab_report *report);

/* ---- debug.c: caches with a debug policy ---- */

void *slab_debug_alloc(struct slab_cache *cache, uint32_t bytes, const void *caller) EXCLUDES(cache->lock);
void slab_debug_free(struct slab_cache *cache, void *object, const void *caller) EXCLUDES(cache->lock);

/* Makes a live object shorter: the red zone behind begins at `bytes`. A damaged one is reported, and keeps
 * its length. */
void slab_debug_resize(struct slab_cache *cache, void *object, uint32_t bytes, const void *caller);

/* Gives all objects that rest in quarantine back to their slabs. */
void slab_debug_release(struct slab_cache *cache) EXCLUDES(cache->lock);

/* Whether an object rests in quarantine. */
bool slab_is_resting(struct slab_cache *cache, const void *object) REQUIRES(cache->lock);

/* ---- report.c ---- */

/* Counts a mistake and hands it to the pool's report function. */
void slab_report(struct slab_pool *pool, const struct slab_report *report);

/* Fills in who, from an object's track if its cache has one. */
void slab_report_owners(struct slab_report *report, struct slab_cache *cache, const void *object);

/* Notes who made a call: `caller` is the return address in the code that did, and its callers follow. */
void slab_who_note(struct slab_pool *pool, struct slab_who *who, const void *caller);

/* ---- policy.c ---- */

/* Reads config.debug into rules[]; false and debug_error when it cannot be read. */
bool slab_rules_parse(struct slab_pool *pool);

/* The policy that the rules give to a cache of this name. */
uint32_t slab_rules_policy(const struct slab_pool *pool, const char *name);

/* N when the rules let every N-th allocation from a cache of this name fail; 0 for none. */
uint64_t slab_rules_fail_every(const struct slab_pool *pool, const char *name);

/* Whether allocations are made to fail: of all caches, or of the one that `failing` belongs to. */
static inline bool slab_is_failing(const struct slab_pool *pool, const struct slab_failing *failing)
{
    return (atomic_load_explicit(&pool->failing.every, memory_order_relaxed) |
            atomic_load_explicit(&failing->every, memory_order_relaxed)) != 0;
}

/* Counts an allocation while some are made to fail; whether this one shall. */
bool slab_fail_counted(struct slab_pool *pool, struct slab_failing *failing);

/* Whether the allocation that is being made shall fail. */
static inline bool slab_fail_now(struct slab_pool *pool, struct slab_failing *failing)
{
    return slab_is_failing(pool, failing) && slab_fail_counted(pool, failing);
}

/* ---- guard.c: a sample of objects between guard pages ---- */

/* Whether a pointer lies in the pages of a guard; `guard` may be NULL. */
bool slab_guard_owns(const struct slab_guard *guard, const void *pointer);

/* Counts a slow operation; whether the object it is for shall be a sample. */
bool slab_guard_due(struct slab_guard *guard);

/* An object in a slot, or NULL when none is free or it would not fit. */
void *slab_guard_alloc(struct slab_guard *guard, struct slab_cache *cache, uint32_t bytes,
                       const void *caller);

/* Frees what slab_guard_owns(); a mistake is reported. `claimed` as for slab_free_checked(). */
void slab_guard_free(struct slab_guard *guard, const struct slab_cache *claimed, void *pointer,
                     const void *caller);

/* Makes a live object, whose first byte this is, shorter: what is left over is filled and compared, too. One
 * with damage around it is reported, and keeps its length. */
void slab_guard_resize(struct slab_guard *guard, void *object, uint32_t bytes, const void *caller);

/* Gives up all objects of a cache that is being destroyed; returns how many were live. */
uint64_t slab_guard_forget(struct slab_guard *guard, const struct slab_cache *cache);

/*
 * Verifies the ring of free slots; false and *problem when something is wrong. No other CPU uses the guard.
 */
bool slab_guard_check(struct slab_guard *guard, struct slab_problem *problem);

void slab_guard_look(struct slab_guard *guard, const void *pointer, struct slab_facts *facts);

/* ---- look.c ---- */

/* The slab that `pointer`, which may have any value, lies in, or NULL. *facts: what the frame pool knows, or
 * NULL. */
struct slab *slab_find(struct slab_pool *pool, const void *pointer, struct frame_facts *facts);
