/*
 * What is always true of kernel addresses' structures and seen in constant time; asserted by their
 * operations.
 */
#pragma once

#include <ashlar/assert.h>
#include <ashlar/mmio.h>
#include <ashlar/validate.h>
#include <ashlar/vmalloc.h>

/* An arena that was made. Reads what never changes: from any context, with or without the lock. */
static inline bool kva_arena_is_valid(const struct kva_arena *arena)
{
    return arena->frames != NULL && arena->bytes != 0 && arena->bytes <= KVA_BYTES_MAX &&
           is_aligned(arena->base.raw | arena->bytes, FRAME_BYTES);
}

/* A range of the arena, its guard pages included, that does not lie at odds with its neighbours. */
static inline bool kva_range_is_valid(const struct kva_arena *arena, const struct kva_range *range)
    REQUIRES(arena->lock)
{
    uint64_t guards = (uint64_t)range->guard_pages << FRAME_SHIFT;
    uint64_t start = range->base.raw - guards - arena->base.raw;
    uint64_t bytes = range->bytes + 2 * guards;
    return range->state <= KVA_HELD && range->bytes != 0 && is_aligned(range->bytes, FRAME_BYTES) &&
           start < arena->bytes && bytes <= arena->bytes - start &&
           (range->lower == NULL ? start == 0 : range->lower->higher == range) &&
           (range->higher == NULL ? start + bytes == arena->bytes : range->higher->lower == range);
}

/* An instance that was made. The same. */
static inline bool vmalloc_is_valid(const struct vmalloc *vmalloc)
{
    return vmalloc->frames != NULL && vmalloc->table != NULL && kva_arena_is_valid(vmalloc->arena);
}

/* The list of retired blocks is as empty as their count, and not so long that a flush was due. */
static inline bool vmalloc_retired_is_valid(const struct vmalloc *vmalloc) REQUIRES(vmalloc->lock)
{
    return (vmalloc->retired_ranges == 0) == (vmalloc->retired == NULL) &&
           vmalloc->retired_ranges < VMALLOC_RETIRED_RANGES && vmalloc->retired_pages < VMALLOC_RETIRED_PAGES;
}

/* An instance that was made. */
static inline bool mmio_is_valid(const struct mmio *mmio)
{
    return mmio->config.table != NULL && mmio->config.slabs != NULL &&
           mmio->records.pool == mmio->config.slabs;
}

/* Its list of mappings is as empty as their count. */
static inline bool mmio_list_is_valid(const struct mmio *mmio) REQUIRES(mmio->lock)
{
    return (mmio->count == 0) == (mmio->first == NULL);
}
