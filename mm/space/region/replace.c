/*
 * Ranges on their way from one meaning to another: replaced in place, or moved.
 *
 * Neither is done in one hold of the lock, since pages go one by one. Between two holds others fault there,
 * and must not see what is only true in between: that nothing lies where something did, and will. So the
 * range is held: a fault that would be refused there, as no region lies there or none that allows it, waits
 * for `change` and looks again. What is still mapped goes on to be read meanwhile, as it was before.
 */
#include "mm/space/internal.h"

void vm_range_hold(struct vm_space *space, enum vm_held which, uint64_t base, uint64_t end)
{
    space->held[which] = (struct vm_range){base, end};
}

void vm_range_let_go(struct vm_space *space)
{
    space->held[VM_HELD_TARGET] = (struct vm_range){0, 0};
    space->held[VM_HELD_SOURCE] = (struct vm_range){0, 0};
}

bool vm_is_held(const struct vm_space *space, uint64_t address)
{
    const struct vm_range *target = &space->held[VM_HELD_TARGET];
    const struct vm_range *source = &space->held[VM_HELD_SOURCE];
    return (address >= target->base && address < target->end) ||
           (address >= source->base && address < source->end);
}

/* Makes the guard of the region above `end` end there. */
static void shorten_guard(struct vm_space *space, uint64_t end) REQUIRES(space->change, space->lock)
{
    struct vm_region *above = vm_region_above(space, end);
    if (above && above->base - above->guard < end) {
        above->guard = above->base - end;
        vm_tree_resized(space, above);
    }
}

void vm_range_vacate(struct vm_space *space, struct vm_work *work, uint64_t base, uint64_t end)
{
    vm_range_hold(space, VM_HELD_TARGET, base, end);
    vm_range_cut_regions(space, work, base, end);
    vm_range_remove(space, work, base, end);
    shorten_guard(space, end);
    if (!tlb_batch_is_empty(&work->batch)) {
        tlb_batch_finish(&work->batch);
    }
}
