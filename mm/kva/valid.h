/*
 * What is always true of the structures of kernel addresses and can be checked in constant time; their
 * operations assert it when they begin.
 */
#pragma once

#include <ashlar/assert.h>
#include <ashlar/mmio.h>
#include <ashlar/validate.h>
#include <ashlar/vmalloc.h>

/* Whether the arena was made by kva_init(). Reads constant fields only: any context, with or without lock. */
static inline bool kva_arena_is_valid(const struct kva_arena *arena)
{
    return arena->frames != NULL && arena->bytes != 0 && arena->bytes <= KVA_BYTES_MAX &&
           is_aligned(arena->base.raw | arena->bytes, FRAME_BYTES);
}

/* Whether the range, with its guard pages, lies in the arena and agrees with its neighbours. */
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

/* Whether the instance was made by vmalloc_init(). Reads constant fields only: any context. */
static inline bool vmalloc_is_valid(const struct vmalloc *vmalloc)
{
    return vmalloc->frames != NULL && vmalloc->table != NULL && kva_arena_is_valid(vmalloc->arena);
}

/* Whether list and count of retired blocks are either both empty or neither, and no flush is overdue. */
static inline bool vmalloc_retired_is_valid(const struct vmalloc *vmalloc) REQUIRES(vmalloc->lock)
{
    return (vmalloc->retired_ranges == 0) == (vmalloc->retired == NULL) &&
           vmalloc->retired_ranges < VMALLOC_RETIRED_RANGES && vmalloc->retired_pages < VMALLOC_RETIRED_PAGES;
}

/* Whether the instance was made by mmio_init(). */
static inline bool mmio_is_valid(const struct mmio *mmio)
{
    return mmio->config.table != NULL && mmio->config.slabs != NULL &&
           mmio->records.pool == mmio->config.slabs;
}

/* Whether list and count of its mappings are either both empty or neither. */
static inline bool mmio_list_is_valid(const struct mmio *mmio) REQUIRES(mmio->lock)
{
    return (mmio->count == 0) == (mmio->first == NULL);
}
