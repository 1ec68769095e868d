/*
 * Unmapping and protecting. Both first get all that could be missing: records for the pieces of regions that
 * the range cuts, and small pages in place of the large ones at its bounds. What follows cannot fail.
 */
#include "mm/space/internal.h"

#define CUTS 2 /* a range has two ends */

/* Sees to it that the range cuts no large page. */
static enum vm_error cut_pages(struct vm_space *space, struct vm_work *work, uint64_t base, uint64_t end)
    REQUIRES(space->lock)
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

/* Cuts the regions at the bounds; returns the first one inside, or NULL. */
static struct vm_region *cut_regions(struct vm_space *space, struct vm_work *work, uint64_t base,
                                     uint64_t end) REQUIRES(space->lock)
{
    struct vm_region *last = vm_region_above(space, end);
    if (last && last->base < end) {
        vm_region_split(space, work, last, end);
    }
    struct vm_region *first = vm_region_above(space, base);
    if (first && first->base < base) {
        first = vm_region_split(space, work, first, base);
    }
    return first && first->base < end ? first : NULL;
}

/* ---- Unmapping ---- */

void vm_range_remove(struct vm_space *space, struct vm_work *work, uint64_t base, uint64_t end)
{
    struct vm_region *region = cut_regions(space, work, base, end);
    while (region && region->base < end) {
        struct vm_region *next = region->next;
        vm_pages_drop(space, region, region->base, vm_region_end(region), &work->batch);
        vm_region_remove(space, work, region);
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
    if (!vm_work_begin(space, &work, CUTS)) {
        return VM_NO_MEMORY;
    }
    error = cut_pages(space, &work, base.raw, base.raw + bytes);
    if (error == VM_OK) {
        vm_range_remove(space, &work, base.raw, base.raw + bytes);
    }
    vm_work_end(space, &work);
    return error;
}

/*
 * Given memory that earlier calls cut gets its large pages back where it is all alike again. Pages with
 * frames do not: their block was made 512 frames for good.
 */
static void restore_large_pages(struct vm_space *space, struct vm_work *work, uint64_t base, uint64_t end)
    REQUIRES(space->lock)
{
    struct vm_region *region = vm_region_above(space, base);
    for (; region && region->base < end; region = region->next) {
        uint64_t first = max_u64(region->base, align_down(base, MIB(2)));
        uint64_t behind = min_u64(vm_region_end(region), align_up(end, MIB(2)));
        if (region->source == VM_DEVICE && region->large) {
            page_table_merge(space->table, virt_addr(first), behind - first, PAGE_LEVEL_2M, &work->batch);
        }
    }
}

/* ---- Protecting ---- */

static void protect_region(struct vm_space *space, struct vm_work *work, struct vm_region *region,
                           unsigned access) REQUIRES(space->lock)
{
    unsigned before = region->access;
    region->access = (uint8_t)access;
    enum page_table_error error = page_table_protect(space->table, virt_addr(region->base), region->bytes,
                                                     vm_page_access_shared(space, region),
                                                     (enum page_cache)region->cache, &work->batch);
    ASSERT(error == PAGE_TABLE_OK); /* no page is cut, so no table is needed */
    if (region->source == VM_DEVICE && before != access) {
        tlb_batch_finish(&work->batch);
        vm_device_release(space, region, region->base, region->bytes, before);
    }
}

static void protect(struct vm_space *space, struct vm_work *work, uint64_t base, uint64_t end,
                    unsigned access) REQUIRES(space->lock)
{
    struct vm_region *region = cut_regions(space, work, base, end);
    while (region && region->base < end) {
        protect_region(space, work, region, access);
        region = vm_region_merge(space, work, region)->next;
    }
    struct vm_region *behind = vm_region_above(space, end);
    if (behind) {
        vm_region_merge(space, work, behind);
    }
    restore_large_pages(space, work, base, end);
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
    if (!vm_work_begin(space, &work, CUTS)) {
        return VM_NO_MEMORY;
    }
    if (!vm_range_is_covered(space, base.raw, bytes)) {
        error = VM_NOT_MAPPED;
    } else {
        error = cut_pages(space, &work, base.raw, base.raw + bytes);
    }
    if (error == VM_OK) {
        error = vm_device_claim_range(space, base.raw, base.raw + bytes, access);
    }
    if (error == VM_OK) {
        protect(space, &work, base.raw, base.raw + bytes, access);
    }
    vm_work_end(space, &work);
    return error;
}
