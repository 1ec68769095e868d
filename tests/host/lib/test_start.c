/* The order of start-up: stages are reached one after the other, and who comes too early is named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ashlar/start.h>
#include <string.h>

#include "tests/host/support/host.h"

static struct host_panic_trap trap;
static bool panicked;

static void needs_the_heap(void)
{
    START_REQUIRE(START_HEAP);
}

static void who_comes_too_early_is_named(void **state)
{
    (void)state;
    for (enum start_stage stage = START_ENTRY; stage < START_STAGES; stage++) {
        start_stage_in_force = stage;
        CATCH_PANIC(trap, panicked, needs_the_heap());
        assert_int_equal(panicked, stage < START_HEAP);
    }
    start_stage_in_force = START_PAGING;
    CATCH_PANIC(trap, panicked, needs_the_heap());
    assert_string_equal(trap.message, "needs_the_heap() is called too early: it needs the stage \"heap\" of "
                                      "start-up, which has reached \"paging\"");
}

static void stages_are_reached_in_their_order(void **state)
{
    (void)state;
    start_stage_in_force = START_ENTRY;
    for (enum start_stage stage = START_ENTRY + 1; stage < START_STAGES; stage++) {
        start_reached(stage);
        assert_int_equal(start_stage_in_force, stage);
    }
    start_stage_in_force = START_CONSOLE;
    CATCH_PANIC(trap, panicked, start_reached(START_CONSOLE)); /* a second time */
    assert_true(panicked);
    CATCH_PANIC(trap, panicked, start_reached(START_FRAMES)); /* one is left out */
    assert_true(panicked);
    assert_string_equal(trap.message, "start-up reaches the stage \"frames\" after \"console\"");
    assert_int_equal(start_stage_in_force, START_CONSOLE);
}

static void every_stage_has_a_name(void **state)
{
    (void)state;
    for (enum start_stage stage = START_ENTRY; stage < START_STAGES; stage++) {
        assert_string_not_equal(start_stage_name(stage), "unknown");
    }
    assert_string_equal(start_stage_name(START_STAGES), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_comes_too_early_is_named),
        cmocka_unit_test(stages_are_reached_in_their_order),
        cmocka_unit_test(every_stage_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
