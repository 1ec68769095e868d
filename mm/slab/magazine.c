/*
 * Magazines and the depot: the slow halves of allocating and freeing.
 *
 * A CPU has two magazines of a cache, the loaded one and the previous one, so that a sequence that crosses
 * the border of one magazine back and forth does not go to the depot each time. What happens here is bounded:
 * one magazine exchanged, filled from slabs, or emptied into them; and at most one slab made.
 *
 * Other CPUs may look into a CPU's magazines while they hold the cache's lock, which whoever empties a
 * magazine or gives it away takes first: what they find there stays a magazine. Its count is right before it
 * is any but the loaded one, and an object that moves is in its new place before it leaves the old one.
 */
#include "internal.h"
#include "valid.h"
#include <ashlar/shortage.h>

void slab_part_init(struct slab_cache *cache, struct slab_cpu *cpu)
{
    *cpu = (struct slab_cpu){.cache = cache, .mask = (uint32_t)(FRAME_BYTES << cache->order) - 1};
    cpu->live = cache->policy ? 0 : cache->live; /* no red zone has it: every free takes the slow path */
    if (cache->config.plain && !cache->policy) {
        cpu->inverse = cache->inverse;
        cpu->bound = cache->inverse;
    }
}

static _Atomic(void *) *top_of(struct slab_cpu *cpu)
{
    return atomic_load_explicit(&cpu->top, memory_order_relaxed);
}

static void set_count(struct slab_magazine *magazine, uint64_t count)
{
    atomic_store_explicit(&magazine->count, count, memory_order_release);
}

static void set_loaded(struct slab_cpu *cpu, struct slab_magazine *magazine)
{
    atomic_store_explicit(&cpu->loaded, magazine, memory_order_release);
}

static void set_previous(struct slab_cpu *cpu, struct slab_magazine *magazine)
{
    atomic_store_explicit(&cpu->previous, magazine, memory_order_release);
}

/* Brings the count of the loaded magazine, if there is one, up to date. */
static void note_count(struct slab_cpu *cpu)
{
    if (cpu->loaded) {
        set_count(cpu->loaded, (uint64_t)(top_of(cpu) - cpu->bottom));
    }
}

/* Makes `magazine` (or none) the loaded one. */
static void load(struct slab_cache *cache, struct slab_cpu *cpu, struct slab_magazine *magazine)
{
    note_count(cpu);
    set_loaded(cpu, magazine);
    cpu->bottom = magazine ? magazine->slots : NULL;
    cpu->end = magazine ? magazine->slots + cache->capacity : NULL;
    atomic_store_explicit(&cpu->top, magazine ? magazine->slots + magazine->count : NULL,
                          memory_order_release);
}

static void swap(struct slab_cache *cache, struct slab_cpu *cpu)
{
    struct slab_magazine *previous = cpu->previous;
    note_count(cpu);
    set_previous(cpu, cpu->loaded);
    load(cache, cpu, previous);
    slab_count(&cpu->swaps);
}

/* Moves `count` objects from the top of the previous magazine to that of the loaded one. */
static void take_back(struct slab_cpu *cpu, uint64_t count)
{
    _Atomic(void *) *top = top_of(cpu);
    _Atomic(void *) *from = &cpu->previous->slots[cpu->previous->count - count];
    for (uint64_t i = 0; i < count; i++) {
        atomic_store_explicit(&top[i], atomic_load_explicit(&from[i], memory_order_relaxed),
                              memory_order_relaxed);
    }
    atomic_store_explicit(&cpu->top, top + count, memory_order_release);
    set_count(cpu->previous, cpu->previous->count - count);
}

/*
 * The loaded magazine is empty, the previous one not: both get half. Exchanged for each other, a full and an
 * empty magazine would be at their borders again after the next few operations of a mixture.
 */
static void share_stock(struct slab_cache *cache, struct slab_cpu *cpu)
{
    if (!cpu->loaded) {
        swap(cache, cpu);
        return;
    }
    take_back(cpu, (cpu->previous->count + 1) / 2);
    slab_count(&cpu->swaps);
}

/* The loaded magazine is full, the previous one not: both get half. */
static void share_room(struct slab_cache *cache, struct slab_cpu *cpu)
{
    swap(cache, cpu);
    take_back(cpu, (cpu->previous->count - (uint64_t)(top_of(cpu) - cpu->bottom)) / 2);
}

static struct slab_magazine *depot_pop(struct slab_magazine **list)
{
    struct slab_magazine *magazine = *list;
    if (magazine) {
        *list = magazine->next;
    }
    return magazine;
}

static void depot_push(struct slab_magazine **list, struct slab_magazine *magazine)
{
    magazine->next = *list;
    *list = magazine;
}

/* An empty magazine, from the depot or new; NULL when there is no memory. */
static struct slab_magazine *empty_magazine(struct slab_cache *cache)
{
    spinlock_acquire(&cache->lock);
    struct slab_magazine *magazine = depot_pop(&cache->depot_empty);
    spinlock_release(&cache->lock);
    if (!magazine) {
        magazine = slab_record_alloc(cache->pool, &cache->pool->magazines);
    }
    if (magazine) {
        set_count(magazine, 0);
    }
    return magazine;
}

/* Empties a magazine into slabs; an object that is there already was freed twice, and is reported. */
static void empty_into_slabs(struct slab_cache *cache, struct slab_magazine *magazine)
{
    DEBUG_ASSERT(slab_magazine_is_valid(cache, magazine));
    void *twice = NULL;
    spinlock_acquire(&cache->lock);
    for (uint64_t i = magazine->count; i-- > 0;) {
        void *object = atomic_load_explicit(&magazine->slots[i], memory_order_relaxed);
        if (!slab_give(cache, object)) {
            twice = object;
        }
    }
    set_count(magazine, 0);
    bool surplus = slab_note_emptied(cache);
    spinlock_release(&cache->lock);
    if (surplus) {
        slab_shrink(cache, false);
    }
    if (twice) {
        struct slab_report report = {
            .fault = SLAB_DOUBLE_FREE, .cache = cache, .pointer = twice, .object = twice};
        slab_report(cache->pool, &report);
    }
}

static void put_away(struct slab_cache *cache, struct slab_magazine *magazine)
{
    if (magazine) {
        empty_into_slabs(cache, magazine);
        slab_record_free(cache->pool, &cache->pool->magazines, magazine);
    }
}

void slab_drain_part(struct slab_cache *cache, struct slab_cpu *cpu)
{
    preempt_disable(); /* while the magazines are in nobody's hands */
    struct slab_magazine *previous = cpu->previous;
    struct slab_magazine *loaded = cpu->loaded;
    load(cache, cpu, NULL);
    set_previous(cpu, NULL);
    atomic_store_explicit(&cpu->drain, 0, memory_order_relaxed);
    put_away(cache, previous);
    put_away(cache, loaded);
    preempt_enable();
}

void slab_drain_depot(struct slab_cache *cache)
{
    struct slab_magazine *magazine;
    do {
        preempt_disable(); /* while the magazine is in nobody's hands */
        spinlock_acquire(&cache->lock);
        magazine = depot_pop(&cache->depot_full);
        if (magazine) {
            cache->depot_count--;
        } else {
            magazine = depot_pop(&cache->depot_empty);
        }
        spinlock_release(&cache->lock);
        put_away(cache, magazine);
        preempt_enable();
    } while (magazine);
}

/* A spot check: the object that will be given out next must still bear its mark. Returns whether it does. */
static bool check_top(struct slab_cache *cache, struct slab_cpu *cpu)
{
    void *object = atomic_load_explicit(&top_of(cpu)[-1], memory_order_relaxed);
    if (slab_is_marked_free(cache, object)) {
        return true;
    }
    struct slab_report report = {.fault = cache->config.plain ? SLAB_WRITE_AFTER_FREE : SLAB_UNDERRUN,
                                 .cache = cache,
                                 .pointer = object,
                                 .object = object,
                                 .offset = cache->config.plain ? SLAB_MARK_OFFSET : -8,
                                 .length = cache->config.plain ? 4 : 8,
                                 .expected = cache->config.plain ? SLAB_MARK_FREE : SLAB_HEADER_FREE,
                                 .found = cache->config.plain ? *slab_mark(object) : *slab_header(object)};
    slab_mark_free(cache, object);
    slab_report(cache->pool, &report);
    return false;
}

/* Exchanges the loaded magazine, which is empty, for a full one of the depot; false when that has none. */
static bool exchange_for_full(struct slab_cache *cache, struct slab_cpu *cpu)
{
    spinlock_acquire(&cache->lock);
    struct slab_magazine *full = depot_pop(&cache->depot_full);
    if (full) {
        cache->depot_count--;
        if (cpu->loaded) {
            set_count(cpu->loaded, 0);
            depot_push(&cache->depot_empty, cpu->loaded);
        }
        set_loaded(cpu, NULL);
        load(cache, cpu, full);
    }
    spinlock_release(&cache->lock);
    if (full) {
        slab_count(&cpu->exchanges);
    }
    return full != NULL;
}

/* Takes the next object from the loaded magazine, which has one. */
static void *pop(struct slab_cache *cache, struct slab_cpu *cpu)
{
    check_top(cache, cpu);
    _Atomic(void *) *top = top_of(cpu);
    atomic_store_explicit(&cpu->top, top - 1, memory_order_relaxed);
    return atomic_load_explicit(&top[-1], memory_order_relaxed);
}

/* One object past the magazines. */
static void *alloc_direct(struct slab_cache *cache, struct slab_cpu *cpu)
{
    slab_count(&cpu->direct);
    return slab_take_one(cache);
}

/*
 * Fills the loaded magazine, which is empty, from slabs, the one just made (or NULL) among them, and returns
 * an object of it; NULL when slabs have none. Where there is no memory for a magazine, it takes that object
 * alone. Whatever asks for frames may find the frame pool empty and reap, which takes this CPU's magazines
 * away, but not a slab that is in no list: so the slab is made first.
 */
static void *take_stock(struct slab_cache *cache, struct slab_cpu *cpu, struct slab *fresh)
{
    _Atomic(void *) alone = NULL;
    if (!cpu->loaded) {
        load(cache, cpu, empty_magazine(cache));
    }
    if (!cpu->loaded) {
        slab_count(&cpu->direct);
        slab_take(cache, fresh, &alone, 1);
        return atomic_load_explicit(&alone, memory_order_relaxed);
    }
    uint32_t taken = slab_take(cache, fresh, cpu->bottom, cache->capacity);
    if (taken == 0) {
        return NULL;
    }
    atomic_store_explicit(&cpu->top, cpu->bottom + taken, memory_order_relaxed);
    slab_count(&cpu->refills);
    return pop(cache, cpu);
}

/* An object from slabs, and a magazine full of others; NULL when there is no memory. */
static void *refill(struct slab_cache *cache, struct slab_cpu *cpu)
{
    DEBUG_ASSERT(slab_part_is_valid(cpu));
    void *object = take_stock(cache, cpu, NULL);
    return object ? object : take_stock(cache, cpu, slab_make(cache));
}

/* An object by way of the magazines; NULL when there is no memory. Preemption is off. */
static void *alloc_stocked(struct slab_cache *cache, struct slab_cpu *cpu)
{
    if (top_of(cpu) == cpu->bottom && atomic_load_explicit(&cpu->drain, memory_order_relaxed)) {
        slab_drain_part(cache, cpu);
    }
    if (top_of(cpu) == cpu->bottom && cpu->previous && cpu->previous->count > 0) {
        share_stock(cache, cpu);
    }
    bool stocked = top_of(cpu) != cpu->bottom || exchange_for_full(cache, cpu);
    return stocked ? pop(cache, cpu) : refill(cache, cpu);
}

static void *alloc_once(struct slab_cache *cache)
{
    void *object;
    preempt_disable();
    struct slab_cpu *cpu = cpu_part(cache->parts);
    if (slab_is_failing(cache->pool, &cache->failing)) { /* an object in a magazine would not be counted */
        slab_drain_part(cache, cpu);
        object = alloc_direct(cache, cpu);
    } else {
        object = alloc_stocked(cache, cpu);
    }
    if (object) {
        slab_mark_live(cache, object);
    }
    preempt_enable();
    return object;
}

void *slab_alloc_for(struct slab_cache *cache, uint32_t bytes, const void *caller)
{
    VALIDATE_AT_RANDOM(slab, slab_cache_check, cache);
    struct frame_pool *frames = cache->pool->config.frames;
    if (slab_fail_now(cache->pool, &cache->failing)) {
        return NULL;
    }
    if (cache->policy) {
        return COLLECTING(frames, NULL, slab_debug_alloc(cache, bytes, caller));
    }
    struct slab_guard *guard = cache->config.unguarded ? NULL : cache->pool->guard;
    void *object = guard && slab_guard_due(guard) ? slab_guard_alloc(guard, cache, bytes, caller) : NULL;
    object = object ? object : COLLECTING(frames, NULL, alloc_once(cache));
    /* What was collected may be objects of this very cache, and no frame. */
    return object || !cpu_may_wait() ? object : alloc_once(cache);
}

void *slab_alloc_slow(struct slab_cache *cache, uint32_t bytes)
{
    DEBUG_ASSERT(slab_cache_is_valid(cache));
    return slab_alloc_for(cache, bytes, __builtin_return_address(0));
}

/* ---- Freeing ---- */

/*
 * Puts the full previous magazine into the depot, or empties it into slabs when the depot has enough. Returns
 * an empty one: of the depot, or the same; NULL when there is none.
 */
static struct slab_magazine *trade_previous(struct slab_cache *cache, struct slab_cpu *cpu)
{
    struct slab_magazine *previous = cpu->previous;
    struct slab_magazine *empty = previous;
    set_previous(cpu, NULL);
    spinlock_acquire(&cache->lock);
    bool room = cache->depot_count < cache->depot_limit;
    if (room) {
        depot_push(&cache->depot_full, previous);
        cache->depot_count++;
        empty = depot_pop(&cache->depot_empty);
    }
    spinlock_release(&cache->lock);
    if (room) {
        slab_count(&cpu->exchanges);
    } else {
        empty_into_slabs(cache, previous);
        slab_count(&cpu->drains);
    }
    return empty;
}

/* Makes room in the loaded magazine; false when there is no memory for another one. Preemption is off. */
static bool make_room(struct slab_cache *cache, struct slab_cpu *cpu)
{
    DEBUG_ASSERT(slab_part_is_valid(cpu));
    bool failing = slab_is_failing(cache->pool, &cache->failing);
    if (failing || atomic_load_explicit(&cpu->drain, memory_order_relaxed)) {
        slab_drain_part(cache, cpu);
    }
    if (failing) {
        return false;
    }
    if (cpu->loaded && top_of(cpu) < cpu->end) {
        return true;
    }
    if (cpu->previous && cpu->previous->count < cache->capacity) {
        share_room(cache, cpu);
        return true;
    }
    struct slab_magazine *empty = cpu->previous ? trade_previous(cache, cpu) : NULL;
    note_count(cpu); /* it is full */
    set_previous(cpu, cpu->loaded);
    set_loaded(cpu, NULL);
    load(cache, cpu, empty ? empty : empty_magazine(cache));
    return cpu->loaded != NULL;
}

/* Puts a checked object, marked free, where it can be taken again. */
void slab_magazine_free(struct slab_cache *cache, void *object)
{
    VALIDATE_AT_RANDOM(slab, slab_cache_check, cache);
    bool direct = false;
    preempt_disable();
    struct slab_cpu *cpu = cpu_part(cache->parts);
    slab_mark_free(cache, object);
    if (make_room(cache, cpu)) {
        _Atomic(void *) *top = top_of(cpu);
        atomic_store_explicit(top, object, memory_order_relaxed);
        atomic_store_explicit(&cpu->top, top + 1, memory_order_relaxed);
    } else {
        direct = true;
        spinlock_acquire(&cache->lock);
        slab_give(cache, object);
        spinlock_release(&cache->lock);
        slab_count(&cpu->direct);
    }
    preempt_enable();
    if (direct) {
        slab_shrink(cache, false);
    }
}

/* ---- Looking into all magazines ---- */

static void visit_slots(struct slab_magazine *magazine, uint64_t count,
                        void (*visit)(void *context, void *object), void *context)
{
    for (uint64_t i = 0; i < count; i++) {
        visit(context, atomic_load_explicit(&magazine->slots[i], memory_order_relaxed));
    }
}

/*
 * Objects in a magazine that was a CPU's a moment ago, if there is one: the top says how full it is, or,
 * where that points elsewhere, its count.
 */
static uint64_t count_in(const struct slab_cpu *cpu, const struct slab_magazine *magazine)
{
    if (!magazine) {
        return 0;
    }
    uintptr_t top = (uintptr_t)atomic_load_explicit(&cpu->top, memory_order_acquire);
    uint64_t above = (top - (uintptr_t)magazine->slots) / sizeof *magazine->slots;
    return above <= SLAB_MAGAZINE_SLOTS ? above : magazine->count;
}

uint64_t slab_count_cached(struct slab_cache *cache)
{
    uint64_t count = cache->depot_count * cache->capacity;
    for (unsigned i = 0; i < cache->pool->config.cpus; i++) {
        const struct slab_cpu *cpu = slab_cpu(cache, i);
        count += count_in(cpu, cpu->previous) + count_in(cpu, cpu->loaded);
    }
    return count;
}

/* Objects move from the previous magazine to the loaded one: so that is looked into last. */
void slab_for_each_cached(struct slab_cache *cache, void (*visit)(void *context, void *object), void *context)
{
    for (unsigned i = 0; i < cache->pool->config.cpus; i++) {
        struct slab_cpu *cpu = slab_cpu(cache, i);
        struct slab_magazine *loaded = cpu->loaded;
        struct slab_magazine *previous = cpu->previous;
        visit_slots(previous, count_in(cpu, previous), visit, context);
        visit_slots(loaded, count_in(cpu, loaded), visit, context);
    }
    for (struct slab_magazine *magazine = cache->depot_full; magazine; magazine = magazine->next) {
        visit_slots(magazine, magazine->count, visit, context);
    }
}

struct search {
    const void *object; /* looked for */
    bool found;
};

static void compare(void *context, void *object)
{
    struct search *search = context;
    search->found |= object == search->object;
}

bool slab_is_cached(struct slab_cache *cache, const void *object)
{
    struct search search = {object, false};
    spinlock_acquire(&cache->lock);
    slab_for_each_cached(cache, compare, &search);
    spinlock_release(&cache->lock);
    return search.found;
}
