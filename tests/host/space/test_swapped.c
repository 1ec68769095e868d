/*
 * Pages on disk, in spaces: nobody swaps yet, so these tests put the entries there themselves. Who only looks
 * takes them for what they are; who would have to read or to count a slot stops the kernel.
 */
#include "steps.h"

#define SLOT 4711u

static page_table_entry_t set(uint64_t address, page_table_entry_t entry)
{
    page_table_entry_t old;
    struct tlb_batch batch;
    tlb_batch_start(&batch, space.table);
    assert_int_equal(page_table_set(space.table, virt_addr(address), entry, PAGE_LEVEL_4K, &old, &batch),
                     PAGE_TABLE_OK);
    tlb_batch_finish(&batch);
    return old;
}

/* Four zeroed pages, of which the second is swapped before it was ever there. */
static int start_swapped(void **state)
{
    start(state);
    space.own.swaps = true;
    map((struct vm_request){.source = VM_ZERO, .bytes = 4 * PAGE, .around = 4});
    set(BASE + PAGE, page_entry_swapped(SLOT));
    return 0;
}

static int stop_swapped(void **state)
{
    set(BASE + PAGE, (page_table_entry_t){0});
    return stop(state);
}

static void expect_slot(void)
{
    struct vm_look look;
    vm_space_look(&space, virt_addr(BASE + PAGE), &look);
    assert_true(look.found && !look.mapped.mapped && look.references == 0);
    assert_int_equal(page_entry_kind(look.mapped.leaf, look.mapped.level), ENTRY_SWAPPED);
    assert_int_equal(page_entry_slot(look.mapped.leaf), SLOT);
}

/* It is not resident, is no hole that a neighbour's fault fills, and stays when its region is protected. */
static void a_swapped_page_stays_what_it_is(void **state)
{
    (void)state;
    assert_int_equal(counts_of(&space).resident, 0);
    touch(BASE, MMU_WRITE, VM_FAULT_ZERO);
    assert_int_equal(counts_of(&space).resident, 3); /* the faulting page and two around it */
    expect_slot();
    vm_fixture_check(&vm);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), 4 * PAGE, VM_READ), VM_OK);
    assert_int_equal(vm_space_protect(&space, virt_addr(BASE), 4 * PAGE, VM_NONE), VM_OK);
    assert_int_equal(vm_space_sync(&space, virt_addr(BASE), 4 * PAGE), VM_OK);
    expect_slot();
    assert_int_equal(counts_of(&space).resident, 3);
    vm_fixture_check(&vm);
}

static void the_validator_takes_it_only_where_there_is_swap(void **state)
{
    (void)state;
    struct vm_problem problem;
    assert_true(vm_space_check(&space, &problem));
    space.own.swaps = false;
    assert_false(vm_space_check(&space, &problem));
    assert_string_equal(problem.what, "a page is swapped where none can be");
    space.own.swaps = true;
    map((struct vm_request){.source = VM_DEVICE,
                            .bytes = PAGE,
                            .target = phys_addr(GIB(1)),
                            .address = virt_addr(BASE + MIB(1))});
    set(BASE + MIB(1), page_entry_swapped(SLOT));
    assert_false(vm_space_check(&space, &problem));
    assert_string_equal(problem.what, "a page is swapped where none can be");
    set(BASE + MIB(1), (page_table_entry_t){0});
    page_table_entry_t *slot = page_table_slot(space.table, virt_addr(BASE + 2 * PAGE));
    *slot = page_entry_held();
    assert_false(vm_space_check(&space, &problem));
    assert_string_equal(problem.what, "an entry that no space makes");
    *slot = (page_table_entry_t){0};
}

/* An inaccessible page in a region that allows something: whoever gave it the access comes to it yet. */
static void a_page_that_is_being_opened_is_waited_for(void **state)
{
    (void)state;
    struct page_translation page;
    touch(BASE, MMU_WRITE, VM_FAULT_ZERO);
    page = page_table_translate(space.table, virt_addr(BASE));
    set(BASE, page_entry_with_access(page.leaf, PAGE_INACCESSIBLE));
    assert_int_equal(vm_space_fault(&space, virt_addr(BASE), VM_READ), VM_FAULT_SPURIOUS);
    assert_int_equal(vm_space_fault(&space, virt_addr(BASE), VM_WRITE), VM_FAULT_SPURIOUS);
    set(BASE, page.leaf);
}

/* ---- What nobody can do yet ---- */

/* After a panic, with locks held, nothing is good for anything. */
static int abandon(void **state)
{
    (void)state;
    machine_destroy(&vm.machine);
    return 0;
}

#define EXPECT_STOP(statement)                                                                               \
    do {                                                                                                     \
        struct host_panic_trap trap;                                                                         \
        bool panicked;                                                                                       \
        CATCH_PANIC(trap, panicked, statement);                                                              \
        assert_true(panicked);                                                                               \
        assert_string_equal(trap.message,                                                                    \
                            "vm: the entry 0xffffffed98200 at 0x401000 is swapped, which no space makes");   \
    } while (0)

static void a_fault_would_have_to_read(void **state)
{
    (void)state;
    EXPECT_STOP(vm_space_fault(&space, virt_addr(BASE + PAGE), VM_READ));
}

static void a_copy_would_have_to_count(void **state)
{
    (void)state;
    EXPECT_STOP(vm_space_copy(&space, virt_addr(MIB(8)), &space, virt_addr(BASE), 4 * PAGE));
}

static void unmapping_would_have_to_free(void **state)
{
    (void)state;
    EXPECT_STOP(vm_space_unmap(&space, virt_addr(BASE), 4 * PAGE));
}

#define STOPS(function) cmocka_unit_test_setup_teardown(function, start_swapped, abandon)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_swapped_page_stays_what_it_is, start_swapped, stop_swapped),
        cmocka_unit_test_setup_teardown(the_validator_takes_it_only_where_there_is_swap, start_swapped,
                                        stop_swapped),
        cmocka_unit_test_setup_teardown(a_page_that_is_being_opened_is_waited_for, start_swapped,
                                        stop_swapped),
        STOPS(a_fault_would_have_to_read),
        STOPS(a_copy_would_have_to_count),
        STOPS(unmapping_would_have_to_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
