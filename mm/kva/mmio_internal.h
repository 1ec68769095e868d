/* Shared by the files of device memory: mmio.c and mmio_claim.c. */
#pragma once

#include <ashlar/mmio.h>

bool mmio_overlap(phys_addr_t base, uint64_t bytes, phys_addr_t other, uint64_t other_bytes);

/* How much of a range is RAM in the physmap. */
struct mmio_memory {
    uint64_t ram;       /* bytes that the physmap shows */
    uint64_t read_only; /* bytes of these that it shows read-only */
};
struct mmio_memory mmio_memory(const struct mmio *mmio, phys_addr_t base, uint64_t bytes);

/* Checks a range and a cache kind, without regard to other mappings, and rounds the range to whole frames. */
enum mmio_error mmio_range_check(const struct mmio *mmio, phys_addr_t *base, uint64_t *bytes,
                                 enum page_cache cache);

/* Whether a mapping or a claim shows a part of the range cached in another way. */
bool mmio_cached_otherwise(const struct mmio *mmio, phys_addr_t base, uint64_t bytes, enum page_cache cache)
    REQUIRES(mmio->lock);
