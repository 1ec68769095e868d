/*
 * Caches with a debug policy. They have no magazines: each operation comes here. An object lies between two
 * red zones, the one behind beginning with the first byte that was not asked for, and is followed by its
 * track: state, length, who allocated and who freed it. Freed objects rest in quarantine, so that a write
 * after free finds them free, and are examined when they leave it and when they are given out.
 */
#include "internal.h"

/* Examines an object that leaves one place for another; damage is reported, and true is returned if there is
 * none. */
static bool examine_and_report(struct slab_cache *cache, const void *object, const void *caller)
{
    struct slab_report report;
    if (slab_debug_examine(cache, object, &report)) {
        return true;
    }
    report.caller = caller;
    slab_report(cache->pool, &report);
    return false;
}

/* ---- Quarantine ---- */

static void *quarantine_oldest(struct slab_quarantine *quarantine)
{
    void *object = quarantine->objects[quarantine->first];
    quarantine->first = (quarantine->first + 1) % SLAB_QUARANTINED_MAX;
    quarantine->count--;
    return object;
}

bool slab_is_resting(struct slab_cache *cache, const void *object)
{
    const struct slab_quarantine *quarantine = cache->quarantine;
    for (uint32_t i = 0; quarantine && i < quarantine->count; i++) {
        if (quarantine->objects[(quarantine->first + i) % SLAB_QUARANTINED_MAX] == object) {
            return true;
        }
    }
    return false;
}

/* Gives an object back to its slab. What was written to while it was free is reported, and filled anew. */
static void give_back(struct slab_cache *cache, void *object, const void *caller)
{
    if (!examine_and_report(cache, object, caller)) {
        slab_fill_free(cache, object);
    }
    spinlock_acquire(&cache->lock);
    slab_give(cache, object);
    spinlock_release(&cache->lock);
    slab_shrink(cache, false);
}

void slab_debug_release(struct slab_cache *cache)
{
    void *object;
    do {
        object = NULL;
        spinlock_acquire(&cache->lock);
        if (cache->quarantine && cache->quarantine->count > 0) {
            object = quarantine_oldest(cache->quarantine);
        }
        spinlock_release(&cache->lock);
        if (object) {
            give_back(cache, object, NULL);
        }
    } while (object);
}

/* Puts an object into quarantine; returns the one that made room for it, or NULL. */
static void *quarantine_add(struct slab_cache *cache, void *object)
{
    struct slab_quarantine *quarantine = cache->quarantine;
    void *oldest = NULL;
    spinlock_acquire(&cache->lock);
    if (quarantine->count == SLAB_QUARANTINED_MAX) {
        oldest = quarantine_oldest(quarantine);
    }
    quarantine->objects[(quarantine->first + quarantine->count++) % SLAB_QUARANTINED_MAX] = object;
    spinlock_release(&cache->lock);
    return oldest;
}

/* ---- Allocating and freeing ---- */

void *slab_debug_alloc(struct slab_cache *cache, uint32_t bytes, const void *caller)
{
    preempt_disable(); /* a new slab has its record before it is in a list */
    void *object = slab_take_one(cache);
    preempt_enable();
    if (!object) {
        return NULL;
    }
    examine_and_report(cache, object, caller);
    slab_fill_live(cache, object, bytes);
    if (cache->policy & SLAB_OWNER) {
        slab_who_note(cache->pool, &slab_track(cache, object)->allocated, caller);
        slab_track(cache, object)->freed.ticks = 0;
    }
    return object;
}

void slab_debug_resize(struct slab_cache *cache, void *object, uint32_t bytes, const void *caller)
{
    if (!examine_and_report(cache, object, caller)) { /* what is written now would cover the damage */
        return;
    }
    slab_fill_behind(cache, object, bytes);
}

static void report_free(struct slab_cache *cache, enum slab_fault fault, void *object, const void *caller)
{
    struct slab_report report = {.fault = fault,
                                 .cache = cache,
                                 .claimed = cache,
                                 .pointer = object,
                                 .object = object,
                                 .caller = caller};
    slab_report_owners(&report, cache, object);
    slab_report(cache->pool, &report);
}

/* Checks an object that is being freed; reports what is wrong. */
static bool may_free(struct slab_cache *cache, void *object, const void *caller)
{
    if (slab_track(cache, object)->state == SLAB_TRACK_FREE) {
        report_free(cache, SLAB_DOUBLE_FREE, object, caller);
        return false;
    }
    if (!examine_and_report(cache, object, caller)) {
        return false;
    }
    if (cache->config.is_constructed && !cache->config.is_constructed(object)) {
        report_free(cache, SLAB_CONSTRUCTED_STATE, object, caller);
        return false;
    }
    return true;
}

void slab_debug_free(struct slab_cache *cache, void *object, const void *caller)
{
    if (!may_free(cache, object, caller)) {
        return;
    }
    if (cache->policy & SLAB_OWNER) {
        slab_who_note(cache->pool, &slab_track(cache, object)->freed, caller);
    }
    slab_fill_free(cache, object);
    if (cache->quarantine) {
        object = quarantine_add(cache, object);
    }
    if (object) {
        give_back(cache, object, caller);
    }
}
