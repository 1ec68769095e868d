/*
 * What a pager's pages are shown for: to be written to, or to be executed. An exclusive pager's are never
 * shown for both, so that what one program writes another cannot execute. Each region counts once, from the
 * moment it is made, cut off, copied or given the access until it is gone or has lost it.
 */
#include "mm/space/internal.h"

enum { USE_NONE = 0, USE_WRITES = 1, USE_EXECUTES = -1 };

static int8_t use_of(const struct vm_region *region, unsigned access)
{
    if (!region->pager || !region->pager->exclusive) {
        return USE_NONE;
    }
    return region->shared ? USE_WRITES : access & VM_EXECUTE ? USE_EXECUTES : USE_NONE;
}

static bool count(struct vm_pager *pager, int8_t use)
{
    int32_t uses = atomic_load_explicit(&pager->uses, memory_order_relaxed);
    do {
        if (use > 0 ? uses < 0 : uses > 0) {
            return false;
        }
    } while (!atomic_compare_exchange_weak(&pager->uses, &uses, uses + use));
    return true;
}

static void uncount(struct vm_pager *pager, int8_t use)
{
    atomic_fetch_sub(&pager->uses, use);
}

bool vm_region_use(struct vm_region *region)
{
    int8_t use = use_of(region, region->access);
    if (use != USE_NONE &&
        ((use == USE_WRITES && region->access & VM_EXECUTE) || !count(region->pager, use))) {
        return false;
    }
    region->use = use;
    return true;
}

void vm_region_use_as(struct vm_region *region, const struct vm_region *as)
{
    region->use = as->use;
    if (region->use != USE_NONE) {
        atomic_fetch_add(&region->pager->uses, region->use);
    }
}

void vm_region_unuse(struct vm_region *region)
{
    if (region->use != USE_NONE) {
        uncount(region->pager, region->use);
        region->use = USE_NONE;
    }
}

/* ---- Protecting: first all is counted, which may fail; then each region is told ---- */

static bool will_execute(const struct vm_region *region, unsigned access)
{
    return access & VM_EXECUTE && region->use != USE_EXECUTES && region->pager && region->pager->exclusive;
}

void vm_unuse_range(struct vm_space *space, uint64_t base, uint64_t end, unsigned access)
{
    const struct vm_region *region = vm_region_above(space, base);
    for (; region && region->base < end; region = region->next) {
        if (will_execute(region, access)) {
            uncount(region->pager, USE_EXECUTES);
        }
    }
}

enum vm_error vm_use_range(struct vm_space *space, uint64_t base, uint64_t end, unsigned access)
{
    const struct vm_region *region = vm_region_above(space, base);
    for (; region && region->base < end; region = region->next) {
        if (will_execute(region, access) && (region->shared || !count(region->pager, USE_EXECUTES))) {
            vm_unuse_range(space, base, region->base, access);
            return VM_BAD_ACCESS;
        }
    }
    return VM_OK;
}

void vm_region_change_use(struct vm_region *region, unsigned access)
{
    if (will_execute(region, access)) {
        region->use = USE_EXECUTES; /* vm_use_range() has counted it */
    } else if (region->use == USE_EXECUTES && !(access & VM_EXECUTE)) {
        vm_region_unuse(region);
    }
}
