/* The numbers of address spaces in the TLB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/host/support/host.h"
#include <x86/tlb_spaces.h>

static struct tlb_stale stale[CPUS_MAX];
static struct tlb_spaces spaces;

static int setup(void **state)
{
    (void)state;
    memset(stale, 0, sizeof stale);
    spaces =
        (struct tlb_spaces){.lock = SPINLOCK_INITIALIZER(LOCK_TLB_NUMBERS), .cpus = CPUS_MAX, .stale = stale};
    return 0;
}

static void numbers_are_distinct_until_there_are_none(void **state)
{
    (void)state;
    static bool seen[TLB_SPACES];
    memset(seen, 0, sizeof seen);
    for (unsigned i = 1; i < TLB_SPACES; i++) {
        tlb_space_t space = tlb_spaces_alloc(&spaces);
        assert_in_range(space, 1, TLB_SPACES - 1);
        assert_false(seen[space]);
        seen[space] = true;
    }
    assert_int_equal(tlb_spaces_alloc(&spaces), TLB_SPACE_KERNEL);
    tlb_spaces_free(&spaces, 77);
    assert_int_equal(tlb_spaces_alloc(&spaces), 77);
}

static void the_kernels_own_number_is_dropped_each_time(void **state)
{
    (void)state;
    tlb_spaces_free(&spaces, TLB_SPACE_KERNEL);
    assert_true(tlb_spaces_take_stale(&spaces, 0, TLB_SPACE_KERNEL));
    assert_true(tlb_spaces_take_stale(&spaces, 0, TLB_SPACE_KERNEL));
}

static void a_number_given_out_again_is_dropped_once_on_every_cpu(void **state)
{
    (void)state;
    tlb_space_t space = tlb_spaces_alloc(&spaces);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
            assert_true(tlb_spaces_take_stale(&spaces, cpu, space));
            assert_false(tlb_spaces_take_stale(&spaces, cpu, space));
        }
        tlb_spaces_free(&spaces, space);
        spaces.next_word = 0;
        assert_int_equal(tlb_spaces_alloc(&spaces), space);
    }
}

static void marking_concerns_one_cpu_and_spares_the_current_space(void **state)
{
    (void)state;
    tlb_space_t a = tlb_spaces_alloc(&spaces);
    tlb_space_t b = tlb_spaces_alloc(&spaces);
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        tlb_spaces_take_stale(&spaces, cpu, a);
        tlb_spaces_take_stale(&spaces, cpu, b);
    }
    tlb_spaces_mark(&spaces, 0, a);
    assert_true(tlb_spaces_take_stale(&spaces, 0, a));
    assert_false(tlb_spaces_take_stale(&spaces, 1, a));
    assert_false(tlb_spaces_take_stale(&spaces, 0, b));
    tlb_spaces_mark_others(&spaces, 1, a);
    assert_false(tlb_spaces_take_stale(&spaces, 1, a));
    assert_true(tlb_spaces_take_stale(&spaces, 1, b));
    assert_true(tlb_spaces_take_stale(&spaces, 1, 4095));
}

static void giving_back_what_was_not_given_out_panics(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    bool panicked;
    CATCH_PANIC(trap, panicked, tlb_spaces_free(&spaces, 5));
    assert_true(panicked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(numbers_are_distinct_until_there_are_none, setup),
        cmocka_unit_test_setup(the_kernels_own_number_is_dropped_each_time, setup),
        cmocka_unit_test_setup(a_number_given_out_again_is_dropped_once_on_every_cpu, setup),
        cmocka_unit_test_setup(marking_concerns_one_cpu_and_spares_the_current_space, setup),
        cmocka_unit_test_setup(giving_back_what_was_not_given_out_panics, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
