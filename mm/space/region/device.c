/*
 * Given physical memory, claimed from whoever answers for it before a region shows it: one stretch may not be
 * cached in two ways at once, by a space and by others. A claim is for a stretch; its parts are released one
 * by one as regions are cut and go, after the TLB has forgotten them.
 */
#include "mm/space/internal.h"

static unsigned claimed_access(unsigned access)
{
    return (access & VM_WRITE ? PAGE_WRITE : 0u) | (access & VM_EXECUTE ? PAGE_EXECUTE : 0u);
}

static phys_addr_t target_of(const struct vm_region *region, uint64_t base)
{
    return phys_addr(region->offset + (base - region->base));
}

bool vm_device_claim(const struct vm_space *space, const struct vm_region *region, uint64_t base,
                     uint64_t bytes, unsigned access)
{
    const struct vm_manager_config *config = &space->manager->config;
    return region->source != VM_DEVICE || bytes == 0 || !config->device_claim ||
           config->device_claim(config->device_context, target_of(region, base), bytes,
                                claimed_access(access), (enum page_cache)region->cache);
}

void vm_device_release(const struct vm_space *space, const struct vm_region *region, uint64_t base,
                       uint64_t bytes, unsigned access)
{
    const struct vm_manager_config *config = &space->manager->config;
    if (region->source == VM_DEVICE && bytes != 0 && config->device_release) {
        config->device_release(config->device_context, target_of(region, base), bytes, claimed_access(access),
                               (enum page_cache)region->cache);
    }
}

/* ---- Another access for a range ---- */

/* The part of a region that lies in [base, end), if its claim is for another access; else 0 bytes. */
static uint64_t changed_part(const struct vm_region *region, uint64_t base, uint64_t end, unsigned access,
                             uint64_t *first)
{
    *first = max_u64(region->base, base);
    return region->access == access ? 0 : min_u64(vm_region_end(region), end) - *first;
}

void vm_device_unclaim_range(struct vm_space *space, uint64_t base, uint64_t end, unsigned access)
{
    uint64_t first;
    const struct vm_region *region = vm_region_above(space, base);
    for (; region && region->base < end; region = region->next) {
        uint64_t bytes = changed_part(region, base, end, access, &first);
        vm_device_release(space, region, first, bytes, access);
    }
}

enum vm_error vm_device_claim_range(struct vm_space *space, uint64_t base, uint64_t end, unsigned access)
{
    uint64_t first;
    const struct vm_region *region = vm_region_above(space, base);
    for (; region && region->base < end; region = region->next) {
        uint64_t bytes = changed_part(region, base, end, access, &first);
        if (!vm_device_claim(space, region, first, bytes, access)) {
            vm_device_unclaim_range(space, base, region->base, access);
            return VM_CONFLICT;
        }
    }
    return VM_OK;
}
