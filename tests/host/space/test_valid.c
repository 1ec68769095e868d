/* Damage of spaces and managers that the operation which meets it notices. */
#include "mm/space/valid.h"
#include "steps.h"
#include "tests/host/support/damage.h"

static int stop_validating(void **state)
{
    validate_at_random(0);
    return stop(state);
}

static void a_space_that_is_none(void **state)
{
    (void)state;
    struct vm_request request = zeros_at(BASE, PAGE);
    EXPECT_DAMAGE_SEEN(space.table, NULL, try_map(request), "vm_space_is_valid");
    EXPECT_DAMAGE_SEEN(space.number, VM_SPACES_MAX, try_map(request), "vm_space_is_valid");
    EXPECT_DAMAGE_SEEN(space.user, false, vm_space_destroy(&space), "vm_space_is_valid");
    EXPECT_DAMAGE_SEEN(space.end, space.base, vm_space_fault(&space, virt_addr(BASE), VM_READ),
                       "vm_space_is_valid");
}

static void a_manager_that_is_none(void **state)
{
    (void)state;
    struct vm_place place;
    EXPECT_DAMAGE_SEEN(vm.manager.zero_frame, FRAME_NONE,
                       vm_frame_places(&vm.manager, phys_addr(0), &place, 1), "vm_manager_is_valid");
    EXPECT_DAMAGE_SEEN(vm.manager.config.slabs, NULL, vm_frame_places(&vm.manager, phys_addr(0), &place, 1),
                       "vm_manager_is_valid");
}

/* A region is looked at when it leaves the tree; that goes by a copy here, which no lock guards. */
static void a_region_that_is_none(void **state)
{
    (void)state;
    map_zeros(BASE, PAGE);
    struct vm_region copy = *space.first;
    spinlock_acquire(&space.lock);
    assert_true(vm_region_is_valid(&space, &copy));
    copy.denied = 0;
    assert_false(vm_region_is_valid(&space, &copy));
    copy = *space.first;
    copy.base++;
    assert_false(vm_region_is_valid(&space, &copy));
    copy = *space.first;
    copy.source = VM_PAGER;
    assert_false(vm_region_is_valid(&space, &copy));
    spinlock_release(&space.lock);
}

/* What no constant-time look can see, the whole validator does, if its turn comes. */
static void damage_that_only_the_validator_sees(void **state)
{
    (void)state;
    struct vm_counts counts;
    validate_at_random(1);
    EXPECT_DAMAGE_SEEN(space.resident, space.resident + 1, map_zeros(BASE, PAGE), "vm_space_check");
    validate_end(); /* of the one that ended in a panic */
    EXPECT_DAMAGE_SEEN(space.region_count, 7, counts = counts_of(&space), "vm_space_check");
    validate_end();
    EXPECT_DAMAGE_SEEN(space.region_bytes, 7, vm_space_sync(&space, virt_addr(BASE), PAGE), "vm_space_check");
    validate_end();
    (void)counts;
    map_zeros(BASE, PAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_space_that_is_none, start, stop),
        cmocka_unit_test_setup_teardown(a_manager_that_is_none, start, stop),
        cmocka_unit_test_setup_teardown(a_region_that_is_none, start, stop),
        cmocka_unit_test_setup_teardown(damage_that_only_the_validator_sees, start, stop_validating),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
