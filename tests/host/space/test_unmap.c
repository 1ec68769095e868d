/* How often unmapping flushes, and what may wait for a flush meanwhile. */
#include "between.h"

#include <string.h>

#define ROUND (MIB(32) / PAGE) /* pages that one flush serves */
#define LONG  (2 * ROUND)

static unsigned flushes;

static void count_flush(void)
{
    flushes++;
}

static unsigned flushes_of_unmap(struct vm_space *in, uint64_t base, uint64_t bytes)
{
    flushes = 0;
    mmu_model_at_flush(count_flush);
    assert_int_equal(vm_space_unmap(in, virt_addr(base), bytes), VM_OK);
    mmu_model_at_flush(NULL);
    return flushes;
}

/* A region with a page at every `step` bytes. */
static void fill(struct vm_space *in, uint64_t base, uint64_t bytes, uint64_t step)
{
    struct vm_request request = zeros_at(base, bytes);
    request.around = step == PAGE ? VM_AROUND_MAX : 1;
    map_in(in, request);
    for (uint64_t at = base; at < base + bytes; at += step) {
        uint64_t block = align_down(at, (uint64_t)request.around * PAGE);
        if (at == base || at == block) { /* the others come along */
            assert_true(vm_fault_resolved(vm_space_fault(in, virt_addr(at), VM_WRITE)));
        }
    }
}

/* Two rounds, and the tables of the second; one more where a table spans what does not go. */
static void a_long_stretch_goes_in_rounds(void **state)
{
    (void)state;
    fill(&space, GIB(1), LONG * PAGE, PAGE);
    assert_int_equal(space.resident, LONG);
    assert_int_equal(flushes_of_unmap(&space, GIB(1), LONG * PAGE), 3);
    fill(&space, GIB(1) + 5 * PAGE, LONG * PAGE, PAGE);
    assert_int_equal(flushes_of_unmap(&space, GIB(1) + 5 * PAGE, LONG * PAGE), 4);
    assert_int_equal(space.resident, 0);
    assert_int_equal(space.own.table_frames, 1);
    vm_fixture_check(&vm);
}

/* The kernel must not fault on a table that is not there any more: but in what goes nobody looks. */
static void the_kernels_stretch_goes_in_rounds(void **state)
{
    (void)state;
    static struct vm_space lazy;
    vm_fixture_kernel_space(&vm, &lazy);
    fill(&lazy, VM_KERNEL + MIB(2), LONG * PAGE, PAGE);
    assert_in_range(flushes_of_unmap(&lazy, VM_KERNEL + MIB(2), LONG * PAGE), 3, 4);
    vm_fixture_check(&vm);
    vm_fixture_drop(&lazy);
}

/* Pages, and tables: what is a hole is not flushed. What fits into a hold goes at once. */
static void a_few_pages_far_apart_go_with_two_flushes(void **state)
{
    (void)state;
    fill(&space, GIB(1), GIB(1), MIB(256));
    assert_int_equal(flushes_of_unmap(&space, GIB(1), GIB(1)), 2);
    map_zeros(GIB(1), GIB(1));
    assert_int_equal(flushes_of_unmap(&space, GIB(1), GIB(1)), 0);
    fill(&space, GIB(1), 32 * PAGE, PAGE);
    assert_int_equal(flushes_of_unmap(&space, GIB(1), 32 * PAGE), 1);
    vm_fixture_check(&vm);
}

/* What others share has no room to wait in the batch: it waits in the tables. */
static void shared_pages_wait_as_well(void **state)
{
    (void)state;
    static struct vm_space child;
    fill(&space, GIB(1), 1000 * PAGE, PAGE);
    assert_int_equal(vm_space_clone(&space, &child, "child"), VM_OK);
    vm_fixture_add(&child);
    assert_int_equal(flushes_of_unmap(&space, GIB(1), 1000 * PAGE), 2);
    touch_in(&child, GIB(1) + 999 * PAGE, MMU_WRITE, VM_FAULT_REUSED);
    vm_fixture_check(&vm);
    vm_fixture_drop(&child);
}

/* ---- In the midst ---- */

#define OURS  1000 /* pages that go */
#define THERE 8    /* pages below them in the first of their tables, touched when that is gone */

static unsigned touched;

static void touch_when_the_table_is_gone(void)
{
    enum vm_fault fault;
    if (page_table_slot(space.table, virt_addr(BASE)) == NULL) {
        for (uint64_t i = 0; i < THERE; i++) {
            uint64_t *word = vm_touch(&space, BASE + i * PAGE, MMU_WRITE, &fault);
            assert_non_null(word);
            *word = i;
        }
        touched++;
    }
}

static void a_table_that_others_want_is_flushed_first(void **state)
{
    (void)state;
    touched = 0;
    map_zeros(BASE, THERE * PAGE);
    fill(&space, BASE + THERE * PAGE, OURS * PAGE, PAGE);
    BETWEEN(touch_when_the_table_is_gone,
            vm_space_unmap(&space, virt_addr(BASE + THERE * PAGE), OURS * PAGE));
    assert_int_equal(touched, 1);
    for (uint64_t i = 0; i < THERE; i++) {
        assert_int_equal(*touch(BASE + i * PAGE, MMU_READ, VM_FAULT_COUNT), i);
    }
}

static struct vm_problem problem;
static uint64_t most_tables; /* that have waited at once */

/* All is counted, whatever waits: pages as the region's, tables as waiting. */
static void look_at_the_ledger(void)
{
    most_tables = max_u64(most_tables, space.own.tables_waiting);
    if (!vm_manager_check(&vm.manager, &problem)) {
        panic("%s: %" PRIu64 ", not %" PRIu64, problem.what, problem.found, problem.expected);
    }
}

static void what_waits_is_counted(void **state)
{
    (void)state;
    most_tables = 0;
    fill(&space, MIB(64), MIB(8), PAGE);
    BETWEEN(look_at_the_ledger, vm_space_unmap(&space, virt_addr(MIB(64)), MIB(8)));
    assert_in_range(most_tables, 1, 6);
    assert_int_equal(space.own.tables_waiting, 0);
}

static int start_long(void **state)
{
    (void)state;
    vm_fixture_start_cpus(&vm, MIB(96), 4, 2);
    vm_fixture_space(&vm, &space, "test");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_long_stretch_goes_in_rounds, start_long, stop),
        cmocka_unit_test_setup_teardown(the_kernels_stretch_goes_in_rounds, start_long, stop),
        BETWEEN_TEST(a_few_pages_far_apart_go_with_two_flushes),
        BETWEEN_TEST(shared_pages_wait_as_well),
        BETWEEN_TEST(a_table_that_others_want_is_flushed_first),
        BETWEEN_TEST(what_waits_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
