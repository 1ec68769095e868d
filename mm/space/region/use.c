/*
 * What regions have of their pagers: a reference, and a place among those that show its pages alike.
 *
 * A pager's pages are shown to be written to, or to be executed. An exclusive pager's are never shown for
 * both, so that what one program writes another cannot execute. Each region counts once, from the moment it
 * is made, cut off, copied or given the access until it is gone or has lost it.
 */
#include "mm/space/internal.h"

enum { USE_NONE = 0, USE_WRITES = 1, USE_EXECUTES = -1 };

static int8_t use_of(const struct vm_region *region, unsigned access)
{
    if (!region->pager || !region->pager->exclusive) {
        return USE_NONE;
    }
    return (int8_t)(region->shared ? USE_WRITES : access & VM_EXECUTE ? USE_EXECUTES : USE_NONE);
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

/* Takes a place among those that write or execute. */
static bool begin_use(struct vm_region *region)
{
    int8_t use = use_of(region, region->access);
    if (use != USE_NONE &&
        ((use == USE_WRITES && region->access & VM_EXECUTE) || !count(region->pager, use))) {
        return false;
    }
    region->use = use;
    return true;
}

static void end_use(struct vm_region *region)
{
    if (region->use != USE_NONE) {
        uncount(region->pager, region->use);
        region->use = USE_NONE;
    }
}

/* ---- The shared ones: of a sealed pager there are none ---- */

static bool begin_sharing(const struct vm_region *region)
{
    struct vm_pager *pager = region->pager;
    int32_t shared = region->shared ? atomic_load_explicit(&pager->shared, memory_order_relaxed) : -1;
    while (shared >= 0 &&
           !atomic_compare_exchange_weak_explicit(&pager->shared, &shared, shared + 1, memory_order_acq_rel,
                                                  memory_order_relaxed)) {
    }
    return !region->shared || shared >= 0;
}

static void end_sharing(const struct vm_region *region)
{
    if (region->shared) {
        atomic_fetch_sub_explicit(&region->pager->shared, 1, memory_order_release);
    }
}

bool vm_pager_seal(struct vm_pager *pager)
{
    int32_t shared = 0;
    return atomic_compare_exchange_strong_explicit(&pager->shared, &shared, -1, memory_order_acq_rel,
                                                   memory_order_acquire) ||
           shared < 0;
}

/* ---- Both, and the reference ---- */

enum vm_error vm_region_begin_use(struct vm_region *region)
{
    if (!region->pager) {
        return VM_OK;
    }
    if (!begin_sharing(region)) {
        return VM_SEALED;
    }
    if (!begin_use(region)) {
        end_sharing(region);
        return VM_BAD_ACCESS;
    }
    vm_pager_get(region->pager);
    return VM_OK;
}

void vm_region_use_as(struct vm_region *region, const struct vm_region *as)
{
    if (!region->pager) {
        return;
    }
    vm_pager_get(region->pager);
    region->use = as->use;
    if (region->use != USE_NONE) {
        atomic_fetch_add(&region->pager->uses, region->use);
    }
    if (region->shared) {
        int32_t before = atomic_fetch_add_explicit(&region->pager->shared, 1, memory_order_relaxed);
        ASSERT(before > 0); /* there is one already */
    }
}

void vm_region_end_use(struct vm_region *region)
{
    if (region->pager) {
        end_use(region);
        end_sharing(region);
        vm_pager_put(region->pager);
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
        end_use(region);
    }
}
