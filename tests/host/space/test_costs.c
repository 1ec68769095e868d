/* What spaces cost, and that many of them, or of their regions, are no burden. */
#include "steps.h"

#include <string.h>

/* ---- Costs ---- */

static void a_tebibyte_costs_a_table_for_each_level(void **state)
{
    (void)state;
    enum vm_fault fault;
    map_zeros(GIB(1), TIB(1));
    struct vm_request reserved = {
        .source = VM_NOTHING, .bytes = TIB(1), .fixed = true, .address = virt_addr(TIB(3))};
    assert_int_equal(try_map(reserved), VM_OK);
    for (uint64_t i = 0; i < 3; i++) {
        assert_non_null(vm_touch(&space, GIB(1) + i * PAGE, MMU_WRITE, &fault));
    }
    assert_int_equal(space.own.table_frames, 4);
    assert_int_equal(space.resident, 3); /* the frames of the pages come on top */
    struct vm_counts counts;
    vm_space_count(&space, virt_addr(0), TIB(4), &counts);
    assert_int_equal(counts.resident, 3);
    vm_fixture_check(&vm);
}

static int start_five(void **state)
{
    (void)state;
    vm_fixture_start_levels(&vm, MIB(16), 5);
    struct vm_space_config config = {.name = "wide",
                                     .base = virt_addr(VM_USER_BASE),
                                     .bytes = 1ULL << 55,
                                     .owner = OWNER_USER,
                                     .kernel = &vm.kernel};
    assert_int_equal(vm_space_create(&space, &vm.manager, &config), VM_OK);
    vm_fixture_add(&space);
    return 0;
}

static void five_levels_cost_one_table_more(void **state)
{
    (void)state;
    enum vm_fault fault;
    uint64_t base = 1ULL << 50;
    map_zeros(base, TIB(1));
    for (uint64_t i = 0; i < 3; i++) {
        assert_non_null(vm_touch(&space, base + i * PAGE, MMU_WRITE, &fault));
    }
    assert_int_equal(space.own.table_frames, 5);
    struct vm_place place;
    struct vm_look look;
    vm_space_look(&space, virt_addr(base), &look);
    assert_int_equal(vm_frame_places(&vm.manager, look.mapped.target, &place, 1), 1);
    assert_int_equal(place.address.raw, base);
    assert_int_equal(try_map(zeros_at(1ULL << 56, PAGE)), VM_NON_CANONICAL);
    assert_int_equal(try_map(zeros_at(0 - (1ULL << 56), PAGE)), VM_KERNEL_ADDRESS);
}

static void many_regions_stay_shallow(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 5000; i++) {
        map_zeros(BASE + i * 2 * PAGE, PAGE); /* in ascending order, the worst for a plain tree */
    }
    struct vm_problem problem;
    assert_true(vm_space_check(&space, &problem));
    assert_int_equal(vm_space_unmap(&space, virt_addr(BASE), 10000 * PAGE), VM_OK);
    assert_int_equal(space.region_count, 0);
}

static void numbers_are_used_again(void **state)
{
    (void)state;
    static struct vm_space many[1030];
    struct vm_space_config config = {.name = "a name that is far too long for a space",
                                     .base = virt_addr(BASE),
                                     .bytes = PAGE,
                                     .owner = OWNER_USER};
    for (size_t i = 0; i < ARRAY_LENGTH(many); i++) {
        assert_int_equal(vm_space_create(&many[i], &vm.manager, &config), VM_OK);
        assert_ptr_equal(vm_space_by_number(&vm.manager, many[i].number), &many[i]);
    }
    assert_int_equal(strlen(many[0].name), VM_NAME_BYTES - 1);
    uint32_t number = many[500].number;
    vm_space_destroy(&many[500]);
    assert_null(vm_space_by_number(&vm.manager, number));
    assert_int_equal(vm_space_create(&many[500], &vm.manager, &config), VM_OK);
    assert_int_equal(many[500].number, number);
    for (size_t i = 0; i < ARRAY_LENGTH(many); i++) {
        vm_space_destroy(&many[i]);
    }
    assert_null(vm_space_by_number(&vm.manager, VM_SPACES_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_tebibyte_costs_a_table_for_each_level),
        cmocka_unit_test_setup_teardown(five_levels_cost_one_table_more, start_five, stop),
        TEST(many_regions_stay_shallow),
        TEST(numbers_are_used_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
