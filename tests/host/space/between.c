#include "mm/space/internal.h"

#include "between.h"

static void (*act_between)(void);
static unsigned times;

static void check_all_spaces(void)
{
    struct vm_space *found;
    struct vm_problem problem;
    for (uint32_t number = 0; (found = vm_space_get_next(&vm.manager, &number));) {
        if (!vm_space_check(found, &problem)) {
            panic("%s in the midst of an operation: %s at %#" PRIx64 ": %#" PRIx64 ", not %#" PRIx64,
                  found->name, problem.what, problem.address.raw, problem.found, problem.expected);
        }
        vm_space_put(found);
    }
}

/* What is stale may wait for its flush in a region that is on its way out or moves, and nowhere else. */
static void check_translations(void)
{
    struct vm_space *found;
    uint64_t base = 0;
    uint64_t end = 0;
    for (uint32_t number = 0; (found = vm_space_get_next(&vm.manager, &number));) {
        const struct vm_region *region = found->moving;
        if (region && region->access == VM_NONE) {
            base = region->base;
            end = region->base + region->bytes;
        } else if (found->held[VM_HELD_SOURCE].end != 0) {
            base = found->held[VM_HELD_SOURCE].base;
            end = found->held[VM_HELD_SOURCE].end;
        }
        vm_space_put(found);
    }
    mmu_model_check_beside(base, end);
}

static void others_turn(void)
{
    struct host_cpu here = host_play(1);
    check_translations();
    check_all_spaces();
    if (mutex_try_acquire(&space.change)) {
        mutex_release(&space.change); /* the operation has not begun, or is over */
    } else {
        times++;
        act_between();
    }
    mmu_model_fill();
    host_play_end(here);
}

void between_begin(void (*act)(void))
{
    act_between = act;
    times = 0;
    mmu_model_fill();
    host_meanwhile = others_turn;
}

void between_end(void)
{
    host_meanwhile = NULL;
}

unsigned between_times(void)
{
    return times;
}

int between_start(void **state)
{
    (void)state;
    lock_set_patience(100000000); /* what fails in the midst of an operation leaves its mutex held */
    vm_fixture_start_cpus(&vm, MIB(48), 4, 2);
    vm_fixture_space(&vm, &space, "test");
    return 0;
}
