/* What spaces cost, and that many of them, or of their regions, are no burden. */
#include "mm/space/internal.h"
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

static int start_two_cpus(void **state)
{
    (void)state;
    vm_fixture_start_cpus(&vm, MIB(24), 4, 2);
    vm_fixture_space(&vm, &space, "test");
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

static void expect_found(const struct vm_space *expected, uint32_t number)
{
    struct vm_space *found = vm_space_get(&vm.manager, number);
    assert_ptr_equal(found, expected);
    if (found) {
        assert_int_equal(found->references, 1);
        vm_space_put(found);
    }
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
        expect_found(&many[i], many[i].number);
    }
    assert_int_equal(strlen(many[0].name), VM_NAME_BYTES - 1);
    uint32_t number = many[500].number;
    vm_space_destroy(&many[500]);
    expect_found(NULL, number);
    assert_int_equal(vm_space_create(&many[500], &vm.manager, &config), VM_OK);
    assert_int_equal(many[500].number, number);
    for (size_t i = 0; i < ARRAY_LENGTH(many); i++) {
        vm_space_destroy(&many[i]);
    }
    expect_found(NULL, VM_SPACES_MAX);
}

static void all_spaces_are_visited(void **state)
{
    (void)state;
    static struct vm_space others[3];
    const struct vm_space *found;
    uint32_t number = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
        vm_fixture_space(&vm, &others[i], "other");
    }
    vm_fixture_drop(&others[1]);
    const struct vm_space *expected[] = {&space, &others[0], &others[2]};
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
        found = vm_space_get_next(&vm.manager, &number);
        assert_ptr_equal(found, expected[i]);
        vm_space_put((struct vm_space *)(uintptr_t)found);
    }
    assert_null(vm_space_get_next(&vm.manager, &number));
    assert_int_equal(number, vm.manager.space_numbers.limit);
    vm_fixture_drop(&others[2]);
    vm_fixture_drop(&others[0]);
}

/* ---- A space that goes ---- */

/* What was seen from within vm_space_destroy(), while the page was in the reverse map. */
static struct {
    struct vm_pager pager;
    struct vm_space *dying;
    phys_addr_t frame;   /* the page that the pager gives */
    bool found;          /* by its number */
    uint64_t places;     /* of the frame */
    uint32_t new_number; /* that a new space got */
    unsigned calls;
} last;

static phys_addr_t last_get(struct vm_pager *pager, uint64_t offset, bool wait)
{
    (void)pager;
    (void)offset;
    (void)wait;
    return frame_try_get(&vm.machine.pool, last.frame) == FRAME_OK ? last.frame : FRAME_NONE;
}

/* What another CPU does meanwhile: this one holds the dying space's locks. */
static void last_dirty(struct vm_pager *pager, uint64_t offset, phys_addr_t frame)
{
    static struct vm_space other;
    (void)pager;
    (void)offset;
    last.calls++;
    struct host_cpu here = host_play(1);
    last.found = vm_space_get(&vm.manager, last.dying->number) != NULL;
    struct vm_place place;
    last.places = vm_frame_places(&vm.manager, frame, &place, 1);
    vm_fixture_space(&vm, &other, "meanwhile");
    last.new_number = other.number;
    vm_fixture_drop(&other);
    host_play_end(here);
}

static void a_dying_space_is_not_found_and_keeps_its_number(void **state)
{
    (void)state;
    static struct vm_space dying;
    virt_addr_t made;
    struct vm_request request = zeros_at(BASE, PAGE);
    vm_fixture_space(&vm, &dying, "dying");
    memset(&last, 0, sizeof last);
    last.pager = (struct vm_pager){.get = last_get, .dirty = last_dirty, .references = 1};
    last.dying = &dying;
    last.frame = frame_alloc_zeroed(&vm.machine.pool, OWNER_TEST);
    frame_note_clear(frame_descriptor(&vm.machine.pool, last.frame));
    request.source = VM_PAGER;
    request.pager = &last.pager;
    request.shared = true;
    assert_int_equal(vm_space_map(&dying, &request, &made), VM_OK);
    touch_in(&dying, BASE, MMU_WRITE, VM_FAULT_PAGED);
    uint32_t number = dying.number;
    vm_fixture_drop(&dying);
    assert_int_equal(last.calls, 1);
    assert_false(last.found);
    assert_int_equal(last.places, 0); /* a dying space is left out */
    assert_int_not_equal(last.new_number, number);
    vm_pager_put(&last.pager);
    frame_put(&vm.machine.pool, last.frame);
}

/* Who forgets to return a reference is told so, by whoever waits for it. */
static void a_reference_is_not_waited_for_for_ever(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    bool panicked;
    vm_fixture_start(&vm, MIB(24));
    vm_fixture_space(&vm, &space, "kept");
    assert_ptr_equal(vm_space_get(&vm.manager, space.number), &space);
    lock_set_patience(1000);
    CATCH_PANIC(trap, panicked, vm_space_destroy(&space));
    lock_set_patience(LOCK_PATIENCE_SECONDS * UINT64_C(10000000000)); /* as at the start */
    assert_true(panicked);
    assert_non_null(strstr(trap.message, "space 0, kept, to which 1 references are not returned"));
    machine_destroy(&vm.machine); /* as it is: the space is neither there nor gone */
}

/* Who found the space loads it while its destruction waits for the reference. */
static void load_and_put(void)
{
    host_meanwhile = NULL;
    assert_null(vm_space_get(&vm.manager, space.number)); /* it is waited for */
    vm_space_enter(&space);
    vm_space_put(&space);
}

static void a_space_that_is_loaded_meanwhile_is_not_destroyed(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    bool panicked;
    vm_fixture_start(&vm, MIB(24));
    vm_fixture_space(&vm, &space, "found");
    assert_ptr_equal(vm_space_get(&vm.manager, space.number), &space);
    host_meanwhile = load_and_put;
    CATCH_PANIC(trap, panicked, vm_space_destroy(&space));
    assert_null(host_meanwhile);
    assert_true(panicked);
    assert_string_equal(trap.message, "vm: found is to be destroyed while 1 CPUs have it loaded");
    machine_destroy(&vm.machine); /* as it is: the space is neither there nor gone */
}

static void a_space_is_not_made_twice(void **state)
{
    (void)state;
    static struct vm_space child;
    struct vm_space_config config = {
        .name = "twice", .base = virt_addr(BASE), .bytes = PAGE, .owner = OWNER_USER};
    map_zeros(BASE, PAGE);
    uint64_t before = vm_fixture_free(&vm);
    assert_int_equal(vm_space_create(&space, &vm.manager, &config), VM_IN_USE);
    assert_int_equal(vm_space_clone(&space, &space, "itself"), VM_IN_USE);
    vm_fixture_space(&vm, &child, "child");
    assert_int_equal(vm_space_clone(&space, &child, "again"), VM_IN_USE);
    assert_string_equal(child.name, "child");
    vm_fixture_drop(&child);
    assert_int_equal(vm_fixture_free(&vm), before);
    assert_int_equal(space.region_count, 1);
    assert_string_equal(vm_error_name(VM_IN_USE), "the space exists already");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_tebibyte_costs_a_table_for_each_level),
        cmocka_unit_test_setup_teardown(five_levels_cost_one_table_more, start_five, stop),
        TEST(many_regions_stay_shallow),
        TEST(numbers_are_used_again),
        TEST(all_spaces_are_visited),
        cmocka_unit_test_setup_teardown(a_dying_space_is_not_found_and_keeps_its_number, start_two_cpus,
                                        stop),
        cmocka_unit_test(a_reference_is_not_waited_for_for_ever),
        cmocka_unit_test(a_space_that_is_loaded_meanwhile_is_not_destroyed),
        TEST(a_space_is_not_made_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
