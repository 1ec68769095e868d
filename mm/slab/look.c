/* Seeing inside: what a pointer is, and a cache's statistics. */
#include <ashlar/slab_guard.h>

#include "internal.h"

struct slab *slab_find(struct slab_pool *pool, const void *pointer, struct frame_facts *facts)
{
    uint64_t address = (uintptr_t)pointer - pool->base;
    *facts = (struct frame_facts){.type = MEMORY_TYPE_COUNT};
    if (address >= pool->limit) {
        return NULL;
    }
    frame_pool_look(pool->config.frames, phys_addr(address), facts);
    if (!facts->managed || facts->state != FRAME_ALLOCATED || facts->owner != OWNER_SLABS ||
        frame_note_kind(facts->note) != FRAME_NOTE_SLAB) {
        return NULL;
    }
    return frame_note_slab(facts->note);
}

/* Where an object is that lies in a slab. */
static enum slab_place place_of(struct slab_cache *cache, const struct slab *slab, uint32_t index)
{
    const void *object = slab_object(cache, slab, index);
    enum slab_place place = SLAB_LIVE;
    if (!slab_is_marked_free(cache, object)) { /* as nearly all are that anybody asks about */
        return SLAB_LIVE;
    }
    spinlock_acquire(&cache->lock);
    if (slab->free[index / 64] >> index % 64 & 1) {
        place = SLAB_FREE;
    } else if (slab_is_resting(cache, object)) {
        place = SLAB_RESTING;
    }
    spinlock_release(&cache->lock);
    return place == SLAB_LIVE && slab_is_cached(cache, object) ? SLAB_CACHED : place;
}

static void look_at_object(struct slab_cache *cache, const struct slab *slab, uint64_t offset,
                           struct slab_facts *facts)
{
    uint32_t index = slab_index(cache, offset);
    uint64_t inside = offset - (uint64_t)index * cache->stride;
    void *object = slab_object(cache, slab, index);
    uint64_t bytes = cache->policy ? slab_track(cache, object)->bytes : cache->config.bytes;
    if (index >= cache->per_slab || inside >= bytes) {
        return;
    }
    facts->place = place_of(cache, slab, index);
    facts->object = object;
    facts->offset = inside;
    facts->bytes = bytes;
    if (cache->policy & SLAB_OWNER) {
        const struct slab_track *track = slab_track(cache, object);
        facts->allocated = track->allocated.ticks ? &track->allocated : NULL;
        facts->freed = track->freed.ticks ? &track->freed : NULL;
    }
}

void slab_look(struct slab_pool *pool, const void *pointer, struct slab_facts *facts)
{
    struct frame_facts frame;
    *facts = (struct slab_facts){.place = SLAB_NONE};
    if (slab_guard_owns(pool->guard, pointer)) {
        slab_guard_look(pool->guard, pointer, facts);
        return;
    }
    const struct slab *slab = slab_find(pool, pointer, &frame);
    if (!slab) {
        return;
    }
    facts->place = SLAB_BETWEEN;
    facts->cache = slab->cache;
    uint64_t offset = (uint64_t)((const char *)pointer - slab->memory);
    if (offset >= slab->cache->first) {
        look_at_object(slab->cache, slab, offset - slab->cache->first, facts);
    }
}

/* ---- Statistics ---- */

void slab_cache_statistics(struct slab_cache *cache, struct slab_statistics *statistics)
{
    memset(statistics, 0, sizeof *statistics);
    spinlock_acquire(&cache->lock);
    statistics->slabs = cache->partial.count + cache->full.count + cache->empty.count;
    statistics->empty_slabs = cache->empty.count;
    statistics->depot_magazines = cache->depot_count;
    statistics->grown = cache->grown;
    statistics->returned = cache->returned;
    statistics->cached = slab_count_cached(cache);
    statistics->failed = atomic_load_explicit(&cache->failing.failed, memory_order_relaxed);
    statistics->resting = cache->quarantine ? cache->quarantine->count : 0;
    statistics->live = statistics->slabs * cache->per_slab - cache->free_objects;
    spinlock_release(&cache->lock);
    statistics->guarded = cache->pool->guard ? slab_guard_live(cache->pool->guard, cache) : 0;
    statistics->live -= min_u64(statistics->live, statistics->cached + statistics->resting);
    statistics->slab_bytes = statistics->slabs * (FRAME_BYTES << cache->order);
    statistics->objects = statistics->slabs * cache->per_slab;
    statistics->waste_bytes = statistics->slab_bytes - statistics->objects * cache->config.bytes;
    for (unsigned i = 0; i < cache->pool->config.cpus; i++) {
        struct slab_cpu *cpu = slab_cpu(cache, i);
        statistics->swaps += atomic_load_explicit(&cpu->swaps, memory_order_relaxed);
        statistics->exchanges += atomic_load_explicit(&cpu->exchanges, memory_order_relaxed);
        statistics->refills += atomic_load_explicit(&cpu->refills, memory_order_relaxed);
        statistics->drains += atomic_load_explicit(&cpu->drains, memory_order_relaxed);
        statistics->direct += atomic_load_explicit(&cpu->direct, memory_order_relaxed);
    }
}
