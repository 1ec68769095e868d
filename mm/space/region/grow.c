/*
 * Regions that become longer where they are: a region more, which continues the one there is and becomes a
 * part of it at once.
 */
#include "mm/space/share/family.h"
#include <ashlar/vm_move.h>

/* Whether more of the same may come behind or below. */
static bool may_grow(const struct vm_region *region)
{
    return region->source != VM_FRAMES && region->source != VM_DEVICE;
}

/* Adds `made`, which is described but for its family's ring and what it has of its pager, and joins it with
 * the region that it continues. */
static void add(struct vm_space *space, struct vm_work *work, struct vm_region *made,
                const struct vm_region *region) REQUIRES(space->change, space->lock)
{
    vm_region_use_as(made, region);
    if (made->family) {
        vm_region_join(space, made);
    }
    vm_tree_insert(space, made);
    vm_region_merge(space, work, made);
}

static enum vm_error try_extend(struct vm_space *space, struct vm_work *work, uint64_t end, uint64_t bytes)
    REQUIRES(space->change)
{
    const struct vm_region *region = vm_region_above(space, end - 1);
    if (!region || vm_region_end(region) != end) {
        return VM_NOT_MAPPED;
    }
    if (!may_grow(region)) {
        return VM_BAD_SOURCE;
    }
    if (region->pager && region->offset + region->bytes + bytes < region->offset) {
        return VM_WRAPS;
    }
    if (vm_range_is_taken(space, end, bytes)) {
        return VM_OVERLAP;
    }
    struct vm_region *made = vm_work_spare(work);
    vm_region_describe(made, region);
    made->base = end;
    made->bytes = bytes;
    made->guard = 0;
    made->offset += region->pager ? region->bytes : 0;
    vm_work_lock(space, work);
    add(space, work, made, region);
    vm_work_unlock(space, work);
    return VM_OK;
}

enum vm_error vm_space_extend(struct vm_space *space, virt_addr_t end, uint64_t bytes)
{
    struct vm_work work;
    enum vm_error error = vm_range_check(space, end.raw, bytes);
    if (error == VM_OK && end.raw == space->base) {
        error = VM_NOT_MAPPED;
    }
    if (error != VM_OK) {
        return error;
    }
    if (!vm_work_begin(space, &work, 1)) {
        return VM_NO_MEMORY;
    }
    error = try_extend(space, &work, end.raw, bytes);
    vm_work_end(space, &work);
    return error;
}

/* ---- Downwards ---- */

/* Whether the region below lies where one that begins at `start` may not have it. Stacks may come close, and
 * what nobody can use: it is a guard that somebody made. */
static bool is_too_close(const struct vm_region *below, uint64_t start, uint64_t gap)
{
    if (vm_region_end(below) > start) {
        return true;
    }
    return start - vm_region_end(below) < gap && below->source != VM_STACK && below->access != VM_NONE;
}

static enum vm_error try_extend_down(struct vm_space *space, struct vm_work *work, uint64_t base,
                                     uint64_t bytes, uint64_t gap) REQUIRES(space->change)
{
    struct vm_region *region = vm_region_above(space, base);
    uint64_t start = base - bytes;
    if (!region || region->base != base) {
        return VM_NOT_MAPPED;
    }
    if (region->source != VM_STACK) {
        return VM_BAD_SOURCE;
    }
    if (region->previous && is_too_close(region->previous, start, gap)) {
        return VM_OVERLAP;
    }
    struct vm_region *made = vm_work_spare(work);
    vm_region_describe(made, region);
    made->base = start;
    made->bytes = bytes;
    made->guard = min_u64(gap, start - (region->previous ? vm_region_end(region->previous) : space->base));
    vm_work_lock(space, work);
    region->guard = 0;
    vm_tree_resized(space, region);
    add(space, work, made, region);
    vm_work_unlock(space, work);
    return VM_OK;
}

enum vm_error vm_space_extend_down(struct vm_space *space, virt_addr_t base, uint64_t bytes, uint64_t gap)
{
    struct vm_work work;
    enum vm_error error = bytes > base.raw ? VM_WRAPS : vm_range_check(space, base.raw - bytes, bytes);
    if (error != VM_OK) {
        return error;
    }
    if (!vm_work_begin(space, &work, 1)) {
        return VM_NO_MEMORY;
    }
    error = try_extend_down(space, &work, base.raw, bytes, gap);
    vm_work_end(space, &work);
    return error;
}
