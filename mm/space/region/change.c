/*
 * Unmapping and protecting. Both first get all that could be missing: records for the pieces of regions that
 * the range cuts, claims, and small pages in place of the large ones at its bounds. What follows cannot fail,
 * and goes on in holds of bounded work.
 */
#include "mm/space/internal.h"

enum vm_error vm_range_cut_pages(struct vm_space *space, struct vm_work *work, uint64_t base, uint64_t end)
{
    enum vm_error error = VM_OK;
    struct vm_region *first = vm_region_above(space, base);
    struct vm_region *last = vm_region_above(space, end);
    if (first && first->base < base) {
        error = vm_page_cut(space, first, base, &work->batch);
    }
    if (error == VM_OK && last && last->base < end) {
        error = vm_page_cut(space, last, end, &work->batch);
    }
    return error;
}

/* Cuts the region at `end`, if one lies on both sides. */
static void cut_end(struct vm_space *space, struct vm_work *work, uint64_t end)
    REQUIRES(space->change, space->lock)
{
    struct vm_region *last = vm_region_above(space, end);
    if (last && last->base < end) {
        vm_region_split(space, work, last, end);
    }
}

struct vm_region *vm_range_cut_regions(struct vm_space *space, struct vm_work *work, uint64_t base,
                                       uint64_t end)
{
    cut_end(space, work, end);
    struct vm_region *first = vm_region_above(space, base);
    if (first && first->base < base) {
        first = vm_region_split(space, work, first, base);
    }
    return first && first->base < end ? first : NULL;
}

/* ---- Unmapping ---- */

void vm_region_abandon(struct vm_space *space, struct vm_work *work)
{
    struct vm_region *region = space->moving;
    vm_pages_drop(space, &work->hold, region);
    space->moving = NULL;
    vm_region_bury(work, region);
}

void vm_range_remove(struct vm_space *space, struct vm_work *work, uint64_t base, uint64_t end)
{
    struct vm_region *region = vm_region_above(space, base);
    if (region && region->base < base) {
        struct vm_region *lower = region;
        space->moving = vm_region_split_off(space, work, lower, base);
        vm_region_abandon(space, work);
        region = lower->next;
    }
    while (region && region->base < end) {
        struct vm_region *next = region->next;
        vm_hold_renew(&work->hold);
        work->hold.left--;
        vm_tree_remove(space, region);
        space->moving = region;
        vm_region_abandon(space, work);
        region = next;
    }
}

enum vm_error vm_space_unmap(struct vm_space *space, virt_addr_t base, uint64_t bytes)
{
    struct vm_work work;
    enum vm_error error = vm_range_check(space, base.raw, bytes);
    if (error != VM_OK) {
        return error;
    }
    if (!vm_work_begin(space, &work, VM_CUTS)) {
        return VM_NO_MEMORY;
    }
    vm_work_lock(space, &work);
    error = vm_range_cut_pages(space, &work, base.raw, base.raw + bytes);
    if (error == VM_OK) {
        cut_end(space, &work, base.raw + bytes);
        vm_range_remove(space, &work, base.raw, base.raw + bytes);
    }
    vm_work_unlock(space, &work);
    vm_work_end(space, &work);
    return error;
}

/* ---- Protecting ---- */

/* Whether the 2 MiB at `base` lie in the region as a whole. */
static bool has_whole(const struct vm_region *region, uint64_t base)
{
    return base >= region->base && vm_region_end(region) - base >= MIB(2);
}

/*
 * Given memory that earlier calls cut gets its large pages back where it is all alike again. Pages with
 * frames do not: their block was made 512 frames for good.
 */
static void restore_large_pages(struct vm_space *space, struct vm_work *work, const struct vm_region *region,
                                uint64_t base, uint64_t end) REQUIRES(space->change, space->lock)
{
    struct page_translation page;
    uint64_t at = max_u64(region->base, align_down(base, MIB(2)));
    end = min_u64(vm_region_end(region), align_up(end, MIB(2)));
    while (at < end) {
        vm_hold_renew(&work->hold);
        uint64_t next = vm_hold_step(&work->hold, space->table, at, end, &page);
        if (page.level == PAGE_LEVEL_4K) { /* a whole table, of which most are unlike at the first look */
            uint64_t large = align_down(at, MIB(2));
            if (has_whole(region, large)) {
                page_table_merge(space->table, virt_addr(large), MIB(2), PAGE_LEVEL_2M, &work->batch);
            }
            work->hold.left = 0;
            next = large + MIB(2);
        }
        at = next;
    }
}

/* The same for all regions of the range. */
static void restore_range(struct vm_space *space, struct vm_work *work, uint64_t base, uint64_t end)
    REQUIRES(space->change, space->lock)
{
    const struct vm_region *region = vm_region_above(space, base);
    for (; region && region->base < end; region = region->next) {
        vm_hold_renew(&work->hold);
        work->hold.left--;
        if (region->source == VM_DEVICE && region->large) {
            restore_large_pages(space, work, region, base, end);
        }
    }
}

/* Gives all pages of the region its access. */
static void sweep(struct vm_space *space, struct vm_work *work, const struct vm_region *region)
    REQUIRES(space->change, space->lock)
{
    unsigned access = vm_page_access_shared(space, region);
    struct page_translation page;
    for (uint64_t at = region->base, next; at < vm_region_end(region); at = next) {
        vm_hold_renew(&work->hold);
        next = vm_hold_step(&work->hold, space->table, at, vm_region_end(region), &page);
        if (work->hold.slots) {
            page_table_allow(space->table, work->hold.slots, virt_addr(at),
                             (unsigned)((next - at) >> FRAME_SHIFT), access, &work->batch);
        } else if (page.mapped) {
            enum page_table_error error = page_table_protect(space->table, virt_addr(at), next - at, access,
                                                             (enum page_cache)region->cache, &work->batch);
            ASSERT(error == PAGE_TABLE_OK); /* no page is cut, so no table is needed */
        }
    }
}

/*
 * While the sweep is under way only what was allowed and will be is resolved by faults, and what they fill
 * has the new access: so the sweep need not come back.
 */
static void protect_region(struct vm_space *space, struct vm_work *work, struct vm_region *region,
                           unsigned access) REQUIRES(space->change, space->lock)
{
    unsigned before = region->access;
    if (before == access) {
        return;
    }
    vm_region_count(space, region, 0 - region->bytes); /* it may become data, or be so no longer */
    vm_region_change_use(region, access);
    vm_region_set_access(region, access, before);
    vm_region_count(space, region, region->bytes);
    if (region->source != VM_NOTHING) {
        sweep(space, work, region);
    }
    vm_region_set_access(region, access, access);
    if (region->source == VM_DEVICE) {
        tlb_batch_finish(&work->batch);
        vm_device_release(space, region, region->base, region->bytes, before);
    }
}

static void protect(struct vm_space *space, struct vm_work *work, uint64_t base, uint64_t end,
                    unsigned access) REQUIRES(space->change, space->lock)
{
    struct vm_region *region = vm_range_cut_regions(space, work, base, end);
    while (region && region->base < end) {
        vm_hold_renew(&work->hold);
        work->hold.left--;
        protect_region(space, work, region, access);
        region = vm_region_merge(space, work, region)->next;
    }
    struct vm_region *behind = vm_region_above(space, end);
    if (behind) {
        vm_region_merge(space, work, behind);
    }
    restore_range(space, work, base, end);
}

/* All that can fail, and then what cannot. */
static enum vm_error try_protect(struct vm_space *space, struct vm_work *work, uint64_t base, uint64_t end,
                                 unsigned access) REQUIRES(space->change)
{
    if (!vm_range_is_covered(space, base, end - base)) {
        return VM_NOT_MAPPED;
    }
    enum vm_error error = vm_use_range(space, base, end, access);
    if (error != VM_OK) {
        return error;
    }
    error = vm_device_claim_range(space, base, end, access);
    if (error != VM_OK) {
        vm_unuse_range(space, base, end, access);
        return error;
    }
    vm_work_lock(space, work);
    error = vm_range_cut_pages(space, work, base, end);
    if (error == VM_OK) {
        protect(space, work, base, end, access);
    }
    vm_work_unlock(space, work);
    if (error != VM_OK) {
        vm_device_unclaim_range(space, base, end, access);
        vm_unuse_range(space, base, end, access);
    }
    return error;
}

enum vm_error vm_space_protect(struct vm_space *space, virt_addr_t base, uint64_t bytes, unsigned access)
{
    struct vm_work work;
    enum vm_error error = vm_range_check(space, base.raw, bytes);
    if (error == VM_OK) {
        error = vm_access_check(access);
    }
    if (error != VM_OK) {
        return error;
    }
    if (!vm_work_begin(space, &work, VM_CUTS)) {
        return VM_NO_MEMORY;
    }
    error = try_protect(space, &work, base.raw, base.raw + bytes, access);
    vm_work_end(space, &work);
    return error;
}
