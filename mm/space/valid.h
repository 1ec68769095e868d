/* What is always true of address spaces and seen in constant time; asserted by their operations. */
#pragma once

#include <ashlar/assert.h>
#include <ashlar/validate.h>

#include "internal.h"

/* A manager that was made. Reads what never changes: from any context, with or without locks. */
static inline bool vm_manager_is_valid(const struct vm_manager *manager)
{
    return manager->config.frames != NULL && manager->zero_frame.raw != 0 &&
           manager->regions.pool == manager->config.slabs && manager->families.pool == manager->config.slabs;
}

/* A space that was made and not destroyed. The same. */
static inline bool vm_space_is_valid(const struct vm_space *space)
{
    return space->manager != NULL && space->table != NULL && space->base < space->end - 1 &&
           space->number < VM_SPACES_MAX && space->user == (space->table == &space->own);
}

/* A region: a range of whole pages in its space, filled in one way. */
static inline bool vm_region_is_valid(const struct vm_space *space, const struct vm_region *region)
    REQUIRES(space->lock)
{
    return region->bytes != 0 && is_aligned(region->base | region->bytes | region->guard, FRAME_BYTES) &&
           region->base >= space->base && region->bytes <= space->end - region->base &&
           region->source < VM_SOURCE_COUNT && (region->source == VM_PAGER) == (region->pager != NULL) &&
           region->denied == (uint8_t) ~(region->access & region->before) && region->name != NULL &&
           (region->family != NULL || (region->shift == 0 && region->source != VM_PAGER)) &&
           (region->next == NULL || region->next->previous == region);
}
