/*
 * Marks of regions, and emptying: what changes a range whose regions stay where they are. As for all changes,
 * what could be missing is got first; what follows cannot fail, and goes on in holds of bounded work.
 */
#include <ashlar/shortage.h>
#include <ashlar/vm_advice.h>

#include "mm/space/internal.h"

/* ---- Marks and names ---- */

const char vm_no_name[] = "";

/* What a range gets. */
struct marking {
    unsigned set;
    unsigned clear;
    const char *name; /* NULL: it keeps its own */
};

/* Whether all that lies in the range, which regions cover, can have these marks. */
static bool can_have(const struct vm_space *space, uint64_t base, uint64_t end, unsigned marks)
    REQUIRES(space->change)
{
    const struct vm_region *region = vm_region_above(space, base);
    while (region && region->base < end && vm_marks_fit((enum vm_source)region->source, marks)) {
        region = region->next;
    }
    return !region || region->base >= end;
}

static void mark_region(struct vm_space *space, struct vm_region *region, const struct marking *marking)
    REQUIRES(space->change, space->lock)
{
    vm_region_count(space, region, 0 - region->bytes);
    region->marks = (uint8_t)((region->marks & ~marking->clear) | marking->set);
    region->name = marking->name ? marking->name : region->name;
    vm_region_count(space, region, region->bytes);
}

static void mark(struct vm_space *space, struct vm_work *work, uint64_t base, uint64_t end,
                 const struct marking *marking) REQUIRES(space->change, space->lock)
{
    struct vm_region *region = vm_range_cut_regions(space, work, base, end);
    while (region && region->base < end) {
        vm_hold_renew(&work->hold);
        work->hold.left--;
        mark_region(space, region, marking);
        region = vm_region_merge(space, work, region)->next;
    }
    struct vm_region *behind = vm_region_above(space, end);
    if (behind) {
        vm_region_merge(space, work, behind);
    }
}

static enum vm_error try_mark(struct vm_space *space, struct vm_work *work, uint64_t base, uint64_t end,
                              const struct marking *marking) REQUIRES(space->change)
{
    if (!vm_range_is_covered(space, base, end - base)) {
        return VM_NOT_MAPPED;
    }
    if (!can_have(space, base, end, marking->set)) {
        return VM_BAD_ACCESS;
    }
    vm_work_lock(space, work);
    enum vm_error error = vm_range_cut_pages(space, work, base, end);
    if (error == VM_OK) {
        mark(space, work, base, end, marking);
    }
    vm_work_unlock(space, work);
    return error;
}

static enum vm_error mark_once(struct vm_space *space, virt_addr_t base, uint64_t bytes,
                               const struct marking *marking) EXCLUDES(space->change, space->lock)
{
    struct vm_work work;
    enum vm_error error = vm_range_check(space, base.raw, bytes);
    if (error != VM_OK) {
        return error;
    }
    if ((marking->set | marking->clear) & ~(unsigned)VM_MARKS) {
        return VM_BAD_ACCESS;
    }
    if (!vm_work_begin(space, &work, VM_CUTS)) {
        return VM_NO_MEMORY;
    }
    error = try_mark(space, &work, base.raw, base.raw + bytes, marking);
    vm_work_end(space, &work);
    return error;
}

enum vm_error vm_space_mark(struct vm_space *space, virt_addr_t base, uint64_t bytes, unsigned set,
                            unsigned clear)
{
    const struct marking marking = {.set = set, .clear = clear};
    return COLLECTING(space->manager->config.frames, VM_NO_MEMORY, mark_once(space, base, bytes, &marking));
}

enum vm_error vm_space_name(struct vm_space *space, virt_addr_t base, uint64_t bytes, const char *name)
{
    const struct marking marking = {.name = name ? name : vm_no_name};
    return COLLECTING(space->manager->config.frames, VM_NO_MEMORY, mark_once(space, base, bytes, &marking));
}

/* ---- Emptying ---- */

/* Whether holes of the region are filled, so that it may have some. */
static bool can_be_empty(const struct vm_region *region)
{
    return vm_region_is_private(region) || region->source == VM_PAGER;
}

static void discard(struct vm_space *space, struct vm_hold *hold, uint64_t base, uint64_t end, bool locked)
    REQUIRES(space->change, space->lock)
{
    const struct vm_region *region = vm_region_above(space, base);
    for (; region && region->base < end; region = region->next) {
        vm_hold_renew(hold);
        hold->left--;
        if (can_be_empty(region) && (locked || !(region->marks & VM_LOCKED))) {
            vm_pages_empty(space, hold, region, max_u64(region->base, base),
                           min_u64(vm_region_end(region), end), true);
        }
    }
}

static enum vm_error discard_once(struct vm_space *space, virt_addr_t base, uint64_t bytes, bool locked)
{
    struct vm_work work;
    uint64_t end = base.raw + bytes;
    enum vm_error error = vm_range_check(space, base.raw, bytes);
    if (error != VM_OK) {
        return error;
    }
    if (!vm_work_begin(space, &work, 0)) {
        return VM_NO_MEMORY;
    }
    vm_work_lock(space, &work);
    error = vm_range_cut_pages(space, &work, base.raw, end);
    if (error == VM_OK) {
        discard(space, &work.hold, base.raw, end, locked);
    }
    vm_work_unlock(space, &work);
    vm_work_end(space, &work);
    return error;
}

enum vm_error vm_space_discard(struct vm_space *space, virt_addr_t base, uint64_t bytes, bool locked)
{
    return COLLECTING(space->manager->config.frames, VM_NO_MEMORY, discard_once(space, base, bytes, locked));
}
