/*
 * Normalising the firmware's memory map: EFI memory descriptors in, struct memory_range out
 * (<ashlar/boot_info.h>). A pure function: no state, no allocation, so that it can run after ExitBootServices
 * on buffers that were allocated before, from the upper bounds below.
 */
#pragma once

#include "loader_error.h"

#include <ashlar/boot_info.h>

/* Memory of the loader's with its use, which the firmware's map does not know: it calls all of it loader
 * data. */
struct memory_claim {
    phys_addr_t base;      /* first byte */
    uint64_t bytes;        /* length; 0 claims nothing */
    enum memory_type type; /* MEMORY_KERNEL, MEMORY_PAGE_TABLES, ...; MEMORY_USABLE releases */
};

struct memory_map_input {
    const void *descriptors;           /* EFI_MEMORY_DESCRIPTORs, as GetMemoryMap gave them (UEFI 7.2) */
    uint64_t bytes;                    /* length of all descriptors */
    uint64_t descriptor_size;          /* bytes from one descriptor to the next, at least 40 */
    const struct memory_claim *claims; /* may overlap descriptors and each other */
    size_t claim_count;
};

/* The most ranges that normalising can give for so many descriptors and claims. */
size_t memory_map_range_limit(size_t descriptors, size_t claims);

/* Bytes of workspace that normalising needs for so many descriptors and claims. */
size_t memory_map_workspace_bytes(size_t descriptors, size_t claims);

/*
 * Whether some of the free memory can be cached write-back; fails when there is free memory and none can. To
 * be asked beside memory_map_normalise(), which would find no usable memory at all and not say why. The input
 * is one that memory_map_normalise() accepts.
 */
bool memory_map_check_cache(const struct memory_map_input *input, struct loader_error *error);

/*
 * Normalises the map into `ranges`: sorted, page-aligned, disjoint, merged.
 *
 *   - Every byte that a descriptor or claim names lies in exactly one range. Where several name it, the most
 *     reserved type wins (the order of enum memory_type). One exception: a claim of MEMORY_USABLE wins over
 *     boot-reclaimable, for memory that the loader needs no more.
 *   - Only whole frames are usable or boot-reclaimable. A frame of which a descriptor names just a part is
 *     reserved, unless something else says what it is; all other types are rounded outwards.
 *   - Frame 0 is never usable or boot-reclaimable, but reserved: firmware writes there, and so
 *     would code that uses a null pointer.
 *   - An entry that wraps, or ends beyond 2^52, cannot be right: it is taken to end at 2^52, and
 *     its type is reserved or, if its own is more reserved, that. One that starts there is ignored.
 *   - Memory of the loader and the boot services becomes boot-reclaimable; unaccepted memory,
 *     unknown and OEM types become reserved.
 *   - The attribute RUNTIME makes memory runtime or more reserved, NV makes RAM persistent. RAM
 *     that is special-purpose (SP) or cannot be cached write-back is reserved.
 *
 * workspace: 8-byte aligned, memory_map_workspace_bytes() long; its content afterwards means nothing.
 * ranges, capacity: the output; memory_map_range_limit() entries are always enough.
 * Returns true and sets `*count`. Fails, with `*count` 0 and the reason in `error`, when there are no
 * descriptors, `bytes` is no multiple of `descriptor_size`, `descriptor_size` is below 40, a claim wraps or
 * has no known type, or a buffer is too small. O(n log n) in descriptors and claims.
 */
bool memory_map_normalise(const struct memory_map_input *input, void *workspace, size_t workspace_bytes,
                          struct memory_range *ranges, size_t capacity, size_t *count,
                          struct loader_error *error);
