/* What is always true of the slab allocator's structures and seen in constant time; asserted by its
 * operations. */
#pragma once

#include <ashlar/assert.h>
#include <ashlar/validate.h>

#include "internal.h"

/*
 * A pool that was made, or is being made: while it gets its CPUs' parts, the frame pool may run out and reap
 * it. Reads what never changes: from any context, with or without locks.
 */
static inline bool slab_pool_is_valid(const struct slab_pool *pool)
{
    return pool->config.frames != NULL && pool->descriptors == pool->config.frames->descriptors &&
           pool->config.cpus != 0 && pool->slabs.bytes == sizeof(struct slab) &&
           pool->magazines.bytes == sizeof(struct slab_magazine);
}

/* A cache that was made and not destroyed. The same. */
static inline bool slab_cache_is_valid(const struct slab_cache *cache)
{
    return cache->pool != NULL && cache->number != 0 && cache->number < SLAB_NUMBERS &&
           cache->pool->caches[cache->number] == cache && cache->per_slab != 0 &&
           cache->per_slab <= SLAB_OBJECTS_MAX && cache->order <= SLAB_ORDER_MAX &&
           cache->capacity <= SLAB_MAGAZINE_SLOTS;
}

/* A slab of the cache, whose lock is held. */
static inline bool slab_is_valid(const struct slab_cache *cache, const struct slab *slab)
{
    return slab->cache == cache && slab->free_count <= cache->per_slab &&
           is_aligned((uintptr_t)slab->memory, FRAME_BYTES);
}

/* A list of slabs, whose cache's lock is held. */
static inline bool slab_list_is_valid(const struct slab_list *list)
{
    return (list->count == 0) == (list->first == NULL) && (list->first == NULL) == (list->last == NULL);
}

/* A magazine that is no CPU's loaded one. */
static inline bool slab_magazine_is_valid(const struct slab_cache *cache,
                                          const struct slab_magazine *magazine)
{
    return magazine->count <= cache->capacity;
}

/*
 * This CPU's part of a cache: the loaded magazine's slots, of which the top one is counted from the bottom.
 */
static inline bool slab_part_is_valid(const struct slab_cpu *part)
{
    _Atomic(void *) *top = atomic_load_explicit(&part->top, memory_order_relaxed);
    return part->cache != NULL && part->bottom <= top && top <= part->end;
}
