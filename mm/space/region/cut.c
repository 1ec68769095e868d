/* Regions cut in two and joined again, and what an operation on them brings along and leaves behind. */
#include "mm/space/share/family.h"
#include "mm/space/valid.h"

void vm_work_free(struct vm_space *space, struct vm_work *work)
{
    for (struct vm_region *region = work->dead; region;) {
        struct vm_region *next = region->next;
        vm_region_leave(region);
        vm_region_end_use(region);
        vm_device_release(space, region, region->base, region->bytes, region->before);
        slab_cache_free(&space->manager->regions, region);
        region = next;
    }
    for (unsigned i = 0; i < work->spares; i++) {
        slab_cache_free(&space->manager->regions, work->spare[i]);
    }
}

bool vm_work_prepare(struct vm_space *space, struct vm_work *work, unsigned spares)
{
    DEBUG_ASSERT(vm_space_is_valid(space));
    VALIDATE_AT_RANDOM(vm, vm_space_check, space);
    work->dead = NULL;
    for (work->spares = 0; work->spares < spares; work->spares++) {
        struct vm_region *spare = slab_cache_alloc(&space->manager->regions);
        if (!spare) {
            vm_work_free(space, work);
            return false;
        }
        work->spare[work->spares] = spare;
    }
    tlb_batch_start(&work->batch, space->table);
    return true;
}

bool vm_work_begin(struct vm_space *space, struct vm_work *work, unsigned spares)
{
    if (!vm_work_prepare(space, work, spares)) {
        return false;
    }
    mutex_acquire(&space->change);
    return true;
}

void vm_work_end(struct vm_space *space, struct vm_work *work)
{
    mutex_release(&space->change);
    vm_work_free(space, work);
}

struct vm_region *vm_work_spare(struct vm_work *work)
{
    ASSERT(work->spares != 0);
    return work->spare[--work->spares];
}

/* Whether the region's contents have an order of their own, that `offset` counts along. */
static bool has_offset(const struct vm_region *region)
{
    return region->source == VM_DEVICE || region->source == VM_PAGER;
}

void vm_region_describe(struct vm_region *made, const struct vm_region *as)
{
    *made = (struct vm_region){
        .base = as->base,
        .bytes = as->bytes,
        .guard = as->guard,
        .offset = as->offset,
        .pager = as->pager,
        .family = as->family,
        .shift = as->shift,
        .name = as->name,
        .source = as->source,
        .access = as->access,
        .before = as->before,
        .denied = as->denied,
        .cache = as->cache,
        .around = as->around,
        .large = as->large,
        .shared = as->shared,
        .marks = as->marks,
    };
}

/* Makes a region of what lies of `region` from `address` on; the tree does not know yet. */
static struct vm_region *divide(struct vm_space *space, struct vm_work *work, struct vm_region *region,
                                uint64_t address) REQUIRES(space->change, space->lock)
{
    struct vm_region *upper = vm_work_spare(work);
    uint64_t below = address - region->base;
    vm_region_describe(upper, region);
    upper->base = address;
    upper->bytes -= below;
    upper->guard = 0;
    upper->offset += has_offset(region) ? below : 0;
    vm_region_use_as(upper, region);
    vm_region_count(space, region, 0 - upper->bytes);
    vm_region_part(space, region, upper, below);
    return upper;
}

struct vm_region *vm_region_split_off(struct vm_space *space, struct vm_work *work, struct vm_region *region,
                                      uint64_t address)
{
    struct vm_region *upper = divide(space, work, region, address);
    vm_tree_resized(space, region);
    return upper;
}

struct vm_region *vm_region_split(struct vm_space *space, struct vm_work *work, struct vm_region *region,
                                  uint64_t address)
{
    struct vm_region *upper = divide(space, work, region, address);
    vm_tree_insert(space, upper);
    return upper;
}

/* A guard lies between where there is one: regions that touch have none. */
static bool continues(const struct vm_region *lower, const struct vm_region *upper)
{
    return vm_region_end(lower) == upper->base && lower->source == upper->source &&
           lower->access == upper->access && lower->cache == upper->cache && lower->around == upper->around &&
           lower->large == upper->large && lower->shared == upper->shared && lower->pager == upper->pager &&
           lower->marks == upper->marks && lower->name == upper->name && lower->family == upper->family &&
           lower->shift == upper->shift &&
           (!has_offset(lower) || lower->offset + lower->bytes == upper->offset);
}

/* Makes `lower` reach over `upper`, which is in no tree, and goes. */
static void absorb(struct vm_space *space, struct vm_work *work, struct vm_region *lower,
                   struct vm_region *upper) REQUIRES(space->change, space->lock)
{
    uint64_t bytes = upper->bytes;
    upper->next = work->dead;
    work->dead = upper;
    vm_region_absorb(lower, upper); /* what it has claimed as well */
    vm_region_count(space, lower, bytes);
    vm_tree_resized(space, lower);
}

struct vm_region *vm_region_merge(struct vm_space *space, struct vm_work *work, struct vm_region *region)
{
    struct vm_region *upper = region->next;
    if (upper && continues(region, upper)) {
        vm_tree_remove(space, upper);
        absorb(space, work, region, upper);
    }
    struct vm_region *lower = region->previous;
    if (lower && continues(lower, region)) {
        vm_tree_remove(space, region);
        absorb(space, work, lower, region);
        return lower;
    }
    return region;
}

void vm_region_add(struct vm_space *space, struct vm_work *work, struct vm_region *region)
{
    struct vm_region *lower = region->base != 0 ? vm_region_above(space, region->base - 1) : NULL;
    if (lower && continues(lower, region)) {
        absorb(space, work, lower, region);
        region = lower;
    } else {
        vm_tree_insert(space, region);
    }
    vm_region_merge(space, work, region);
}
