/*
 * The validator. First every list and every slab by itself, then all free objects that lie outside slabs are
 * marked in the slabs' bitmaps as if they had been given back: one that is there already is in two places.
 * The marks are taken back before the result is given.
 */
#include "internal.h"

struct checker {
    struct slab_cache *cache;     /* being verified */
    struct slab_problem *problem; /* where the first mistake is noted */
    bool sound;                   /* none was found so far */
    uint64_t free_objects;        /* of the slabs looked at so far */
    bool giving;                  /* first pass over cached objects: mark; else unmark */
};

static bool problem(struct checker *checker, const char *what, const void *where, uint64_t found,
                    uint64_t expected)
{
    if (checker->sound) {
        *checker->problem = (struct slab_problem){what, checker->cache, where, found, expected};
        checker->sound = false;
    }
    return false;
}

/* ---- Slabs ---- */

static bool check_descriptors(struct checker *checker, const struct slab *slab)
{
    struct slab_cache *cache = checker->cache;
    const struct frame_descriptor *descriptor =
        frame_descriptor(cache->pool->config.frames, slab_frame_of(cache->pool, slab->memory));
    union frame_note note = frame_note_of_record(slab, cache->number);
    for (uint32_t i = 0; i < 1U << cache->order; i++) {
        if (descriptor[i].note.raw != note.raw) {
            return problem(checker, "a frame of the slab leads elsewhere", slab, descriptor[i].note.raw,
                           note.raw);
        }
    }
    uint32_t owner = frame_descriptor_owner(descriptor);
    return owner == OWNER_SLABS ||
           problem(checker, "the slab's frames belong to another", slab, owner, OWNER_SLABS);
}

/* A free object must bear its mark, and under a debug policy be undamaged. */
static bool check_object(struct checker *checker, const void *object, bool free)
{
    struct slab_cache *cache = checker->cache;
    struct slab_report report;
    if (cache->policy && !slab_debug_examine(cache, object, &report)) {
        return problem(checker, slab_fault_name(report.fault), object, report.found, report.expected);
    }
    if (free && !slab_is_marked_free(cache, object)) {
        return problem(checker, "a free object without its mark", object, 0, 1);
    }
    return true;
}

static bool check_bits(struct checker *checker, const struct slab *slab)
{
    const struct slab_cache *cache = checker->cache;
    uint32_t count = 0;
    for (uint32_t i = 0; i < SLAB_OBJECTS_MAX; i++) {
        if (!(slab->free[i / 64] >> i % 64 & 1)) {
            continue;
        }
        if (i >= cache->per_slab) {
            return problem(checker, "a free object that does not exist", slab, i, cache->per_slab);
        }
        count++;
        if (!check_object(checker, slab_object(cache, slab, i), true)) {
            return false;
        }
    }
    return count == slab->free_count ||
           problem(checker, "count of free objects", slab, slab->free_count, count);
}

static bool check_list(struct checker *checker, const struct slab_list *list, uint32_t least, uint32_t most)
{
    uint64_t count = 0;
    const struct slab *previous = NULL;
    for (const struct slab *slab = list->first; slab; slab = slab->next) {
        if (slab->previous != previous || slab->cache != checker->cache || ++count > list->count) {
            return problem(checker, "links of a list of slabs", slab, count, list->count);
        }
        if (slab->free_count < least || slab->free_count > most) {
            return problem(checker, "slab in the wrong list", slab, slab->free_count, least);
        }
        if (!check_descriptors(checker, slab) || !check_bits(checker, slab)) {
            return false;
        }
        checker->free_objects += slab->free_count;
        previous = slab;
    }
    if (list->last != previous) {
        return problem(checker, "end of a list of slabs", list->last, 0, 0);
    }
    return count == list->count || problem(checker, "length of a list of slabs", list, list->count, count);
}

static bool check_slabs(struct slab_cache *cache, struct checker *checker) REQUIRES(cache->lock)
{
    return check_list(checker, &cache->partial, 1, cache->per_slab - 1) &&
           check_list(checker, &cache->full, 0, 0) &&
           check_list(checker, &cache->empty, cache->per_slab, cache->per_slab) &&
           (checker->free_objects == cache->free_objects ||
            problem(checker, "free objects of all slabs", cache, cache->free_objects, checker->free_objects));
}

/* ---- Magazines ---- */

/* The slab of an object of the cache, and its number there; NULL for any other pointer whatever. */
static struct slab *slab_with(struct slab_cache *cache, const void *object, uint32_t *index)
{
    struct frame_facts facts;
    struct slab *slab = slab_find(cache->pool, object, &facts);
    if (!slab || slab->cache != cache) {
        return NULL;
    }
    *index = slab_object_index(cache, slab, object);
    return *index < cache->per_slab && slab_object(cache, slab, *index) == object ? slab : NULL;
}

/* Marks or unmarks an object as if it were in its slab. */
static void mark_cached(void *context, void *object)
{
    struct checker *checker = context;
    struct slab_cache *cache = checker->cache;
    uint32_t index;
    struct slab *slab = slab_with(cache, object, &index);
    if (!slab) {
        problem(checker, "a magazine holds what is no object", object, 0, 0);
        return;
    }
    uint64_t bit = 1ULL << index % 64;
    if (!checker->giving) {
        slab->free[index / 64] &= ~bit;
        return;
    }
    check_object(checker, object, true);
    if (slab->free[index / 64] & bit) {
        problem(checker, "a free object in two places", object, 0, 0);
    }
    slab->free[index / 64] |= bit;
}

static void mark_all(struct slab_cache *cache, struct checker *checker, bool giving) REQUIRES(cache->lock)
{
    checker->giving = giving;
    slab_for_each_cached(cache, mark_cached, checker);
    for (uint32_t i = 0; cache->quarantine && i < cache->quarantine->count; i++) {
        mark_cached(checker,
                    cache->quarantine->objects[(cache->quarantine->first + i) % SLAB_QUARANTINED_MAX]);
    }
}

static bool check_magazine(struct checker *checker, const struct slab_magazine *magazine, uint64_t least,
                           uint64_t most)
{
    return (magazine->count >= least && magazine->count <= most) ||
           problem(checker, "objects in a magazine", magazine, magazine->count, most);
}

static bool check_depot(struct slab_cache *cache, struct checker *checker) REQUIRES(cache->lock)
{
    uint64_t count = 0;
    for (const struct slab_magazine *magazine = cache->depot_full; magazine; magazine = magazine->next) {
        if (!check_magazine(checker, magazine, cache->capacity, cache->capacity) ||
            ++count > cache->depot_count) {
            return problem(checker, "length of the depot", magazine, count, cache->depot_count);
        }
    }
    return count == cache->depot_count ||
           problem(checker, "length of the depot", cache, cache->depot_count, count);
}

static bool check_parts(struct checker *checker)
{
    struct slab_cache *cache = checker->cache;
    for (unsigned i = 0; i < cache->pool->config.cpus; i++) {
        struct slab_cpu *cpu = slab_cpu(cache, i);
        _Atomic(void *) *top = atomic_load_explicit(&cpu->top, memory_order_relaxed);
        if (cpu->cache != cache || top < cpu->bottom || top > cpu->end) {
            return problem(checker, "a CPU's loaded magazine", cpu, (uintptr_t)top, (uintptr_t)cpu->bottom);
        }
        if (cpu->previous && !check_magazine(checker, cpu->previous, 0, cache->capacity)) {
            return false;
        }
    }
    return true;
}

/* Live objects too have red zones and headers. */
static void check_live(struct checker *checker, const struct slab_list *list)
{
    struct slab_cache *cache = checker->cache;
    for (const struct slab *slab = list->first; slab && checker->sound; slab = slab->next) {
        for (uint32_t i = 0; i < cache->per_slab && checker->sound; i++) {
            const void *object = slab_object(cache, slab, i);
            if (slab->free[i / 64] >> i % 64 & 1) {
                continue;
            }
            check_object(checker, object, false);
            if (!cache->policy && !cache->config.plain && *slab_header(object) != cache->live) {
                problem(checker, "header of a live object", object, *slab_header(object), cache->live);
            }
        }
    }
}

bool slab_cache_check(struct slab_cache *cache, struct slab_problem *found)
{
    struct checker checker = {.cache = cache, .problem = found, .sound = true};
    spinlock_acquire(&cache->lock);
    if (check_slabs(cache, &checker) && check_depot(cache, &checker) && check_parts(&checker)) {
        mark_all(cache, &checker, true);
        check_live(&checker, &cache->partial);
        check_live(&checker, &cache->full);
        /* Unmarking notes nothing, and a doubly marked object ends unmarked once. */
        bool sound = checker.sound;
        mark_all(cache, &checker, false);
        checker.sound = sound;
    }
    spinlock_release(&cache->lock);
    return checker.sound;
}

struct pool_check {
    struct slab_problem *problem; /* where the first mistake is noted */
    uint64_t slabs;               /* records that the caches account for */
    uint64_t magazines;           /* the same */
};

static uint64_t count_magazines(struct slab_cache *cache) REQUIRES(cache->lock)
{
    uint64_t count = cache->depot_count;
    for (const struct slab_magazine *magazine = cache->depot_empty; magazine; magazine = magazine->next) {
        count++;
    }
    for (unsigned i = 0; i < cache->pool->config.cpus; i++) {
        count += (slab_cpu(cache, i)->loaded != NULL) + (slab_cpu(cache, i)->previous != NULL);
    }
    return count;
}

/* Also one that is being destroyed: it is whole between the steps of that. */
static bool check_next(struct slab_cache *cache, struct pool_check *check)
{
    if (!slab_cache_check(cache, check->problem)) {
        return false;
    }
    spinlock_acquire(&cache->lock);
    check->slabs += cache->partial.count + cache->full.count + cache->empty.count;
    check->magazines += count_magazines(cache);
    spinlock_release(&cache->lock);
    return true;
}

static bool check_records(struct slab_pool *pool, const struct slab_records *records, const char *what,
                          uint64_t expected, struct slab_problem *found)
{
    spinlock_acquire(&pool->records_lock);
    uint64_t used = records->used;
    bool sound = slab_records_check(records, found);
    spinlock_release(&pool->records_lock);
    if (sound && used != expected) {
        *found = (struct slab_problem){what, NULL, pool, used, expected};
    }
    return sound && used == expected;
}

bool slab_check(struct slab_pool *pool, struct slab_problem *found)
{
    struct pool_check check = {.problem = found};
    for (unsigned i = 0; i < SLAB_NUMBERS; i++) {
        if (pool->caches[i] && !check_next(pool->caches[i], &check)) {
            return false;
        }
    }
    return check_records(pool, &pool->slabs, "slab records in use", check.slabs, found) &&
           check_records(pool, &pool->magazines, "magazine records in use", check.magazines, found) &&
           (!pool->guard || slab_guard_check(pool->guard, found));
}
