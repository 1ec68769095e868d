/*
 * What is wrong with a pointer. The fast paths make one comparison that fits only a live object of the right
 * cache; all that do not fit come here and are looked at until the mistake has a name, or turn out to be
 * sound.
 */
#include "internal.h"
#include "valid.h"

/* A header that is neither the live nor the free one: what it should be, and what it is. */
static void add_header(struct slab_report *report)
{
    report->offset = -(int64_t)sizeof(slab_header_t);
    report->length = sizeof(slab_header_t);
    report->expected = report->cache->live;
    report->found = *slab_header(report->object);
}

static void report_pointer(struct slab_pool *pool, enum slab_fault fault, struct slab_cache *claimed,
                           const void *pointer, const void *caller)
{
    struct slab_facts facts;
    slab_look(pool, pointer, &facts);
    struct slab_report report = {.fault = fault,
                                 .cache = facts.cache,
                                 .claimed = claimed,
                                 .pointer = pointer,
                                 .object = facts.object,
                                 .offset = (int64_t)facts.offset,
                                 .allocated = facts.allocated,
                                 .freed = facts.freed,
                                 .caller = caller};
    if (fault == SLAB_UNDERRUN) {
        add_header(&report);
    }
    slab_report(pool, &report);
}

/* Whether an object rests in its slab: nobody has it, and it is in no magazine. */
static bool is_in_slab(struct slab_cache *cache, const struct slab *slab, uint32_t index)
{
    spinlock_acquire(&cache->lock);
    bool free = slab->free[index / 64] >> index % 64 & 1;
    spinlock_release(&cache->lock);
    return free;
}

/*
 * What is wrong with freeing the object at this place of a cache without debug policy; no fault if nothing.
 */
static enum slab_fault diagnose_object(struct slab_cache *cache, const struct slab *slab, const void *object)
{
    bool plain = cache->config.plain;
    if (plain ? !slab_is_marked_free(cache, object) : *slab_header(object) == cache->live) {
        return SLAB_FAULT_NONE;
    }
    /* It looks free. A plain object's user may have written the same bytes there: only the books know. */
    if (is_in_slab(cache, slab, slab_object_index(cache, slab, object)) || slab_is_cached(cache, object)) {
        return SLAB_DOUBLE_FREE;
    }
    return plain ? SLAB_FAULT_NONE : SLAB_UNDERRUN;
}

static enum slab_fault diagnose_place(const struct slab *slab, const struct slab_cache *claimed,
                                      const void *pointer)
{
    const struct slab_cache *cache = slab->cache;
    if (claimed ? cache != claimed : !cache->config.plain) {
        return SLAB_WRONG_CACHE;
    }
    uint64_t offset = (uint64_t)((const char *)pointer - slab->memory) - cache->first;
    uint64_t index = offset / cache->stride; /* a pointer in front of the first object gives a huge one */
    return index < cache->per_slab && index * cache->stride == offset ? SLAB_FAULT_NONE
                                                                      : SLAB_INTERIOR_POINTER;
}

/*
 * The slab of a pointer that has passed the fast path's tests so far, without asking the frame pool; or NULL.
 */
static struct slab *quick_slab(struct slab_pool *pool, struct slab_cache *claimed, const void *pointer)
{
    uint64_t address = (uintptr_t)pointer - pool->base;
    if (address >= pool->limit || (claimed && (claimed->policy || *slab_header(pointer) != claimed->live))) {
        return NULL;
    }
    union frame_note note = pool->descriptors[address >> FRAME_SHIFT].note;
    return frame_note_kind(note) == FRAME_NOTE_SLAB ? frame_note_slab(note) : NULL;
}

/* Outside all slabs. A frame keeps its last owner's name until the next one comes: a heap gives up no frames
 * but those of large blocks. */
static enum slab_fault fault_outside(const struct frame_facts *facts, const void *pointer)
{
    if (!facts->managed || facts->state >= FRAME_ALLOCATED) {
        return SLAB_FOREIGN_POINTER;
    }
    bool large = facts->owner == OWNER_HEAP && is_aligned((uintptr_t)pointer, FRAME_BYTES);
    return large ? SLAB_DOUBLE_FREE : SLAB_FREE_MEMORY;
}

void slab_refuse(struct slab_pool *pool, struct slab_cache *claimed, const void *pointer, const void *caller)
{
    struct frame_facts facts = {0};
    slab_find(pool, pointer, &facts);
    report_pointer(pool, fault_outside(&facts, pointer), claimed, pointer, caller);
}

/* Frees what lies in a slab, or names the mistake. */
static void free_in_slab(struct slab_pool *pool, struct slab *slab, struct slab_cache *claimed, void *object,
                         const void *caller)
{
    enum slab_fault fault = diagnose_place(slab, claimed, object);
    if (fault == SLAB_FAULT_NONE && slab->cache->policy) {
        slab_debug_free(slab->cache, object, caller);
        return;
    }
    if (fault == SLAB_FAULT_NONE) {
        fault = diagnose_object(slab->cache, slab, object);
    }
    if (fault != SLAB_FAULT_NONE) {
        report_pointer(pool, fault, claimed, object, caller);
        return;
    }
    slab_magazine_free(slab->cache, object);
}

void slab_free_checked(struct slab_pool *pool, struct slab_cache *claimed, void *object, const void *caller)
{
    struct frame_facts facts;
    if (slab_guard_owns(pool->guard, object)) {
        slab_guard_free(pool->guard, claimed, object, caller);
        return;
    }
    struct slab *slab = quick_slab(pool, claimed, object);
    if (!slab) {
        slab = slab_find(pool, object, &facts);
    }
    if (slab) {
        free_in_slab(pool, slab, claimed, object, caller);
    } else {
        slab_refuse(pool, claimed, object, caller);
    }
}

void slab_free_slow(struct slab_cache *cache, void *object)
{
    DEBUG_ASSERT(slab_cache_is_valid(cache));
    if (object) {
        slab_free_checked(cache->pool, cache, object, __builtin_return_address(0));
    }
}
