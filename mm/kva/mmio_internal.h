/* Inside device memory: what its mappings and the claims of others share. */
#pragma once

#include <ashlar/mmio.h>

bool mmio_overlap(phys_addr_t base, uint64_t bytes, phys_addr_t other, uint64_t other_bytes);

/* How much of a range the physmap shows, and how much of that is read-only there. In bytes. */
struct mmio_memory {
    uint64_t ram;       /* shown at all */
    uint64_t read_only; /* of it */
};
struct mmio_memory mmio_memory(const struct mmio *mmio, phys_addr_t base, uint64_t bytes);

/* Checks a range and a cache kind by themselves, and makes whole frames of the range. */
enum mmio_error mmio_range_check(const struct mmio *mmio, phys_addr_t *base, uint64_t *bytes,
                                 enum page_cache cache);

/* Whether a mapping or a claim shows a part of the range cached in another way. */
bool mmio_cached_otherwise(const struct mmio *mmio, phys_addr_t base, uint64_t bytes, enum page_cache cache)
    REQUIRES(mmio->lock);
