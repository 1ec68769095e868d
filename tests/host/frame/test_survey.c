/* A pool from afar: each GiB, and what a stretch of addresses is in a picture. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ashlar/frame_survey.h>

#include "fixture.h"

static struct machine machine;

static int setup(void **state)
{
    (void)state;
    machine_make(&machine, GIB(4));
    machine_range(&machine, MIB(16), GIB(2) - MIB(16), MEMORY_USABLE);
    machine_range(&machine, GIB(2), MIB(64), MEMORY_ACPI_NVS);
    return machine_start(&machine, 1, NULL) == FRAME_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    machine_destroy(&machine);
    return 0;
}

static struct frame_survey survey(uint64_t base, unsigned order)
{
    struct frame_survey result;
    frame_pool_survey(&machine.pool, phys_addr(base), order, &result);
    unsigned sum = result.outside + result.free;
    for (unsigned owner = 0; owner < OWNER_COUNT; owner++) {
        sum += result.owned[owner];
    }
    assert_int_equal(sum, result.parts);
    return result;
}

static void whole_stretches_are_known_exactly(void **state)
{
    (void)state;
    struct frame_survey result = survey(GIB(1), 18);
    assert_int_equal(result.parts, FRAME_SURVEY_PARTS);
    assert_int_equal(result.free, FRAME_SURVEY_PARTS);
    assert_true(result.exact);
    assert_int_equal(survey(GIB(2), 14).owned[OWNER_ACPI_NVS], FRAME_SURVEY_PARTS);
    assert_int_equal(survey(GIB(3), 18).outside, FRAME_SURVEY_PARTS);
    assert_int_equal(survey(0, 12).outside, FRAME_SURVEY_PARTS);
    result = survey(machine.pool.state_base.raw, 0); /* the pool's own */
    assert_int_equal(result.free + result.outside, 0);
    assert_true(result.exact);
    result = survey(GIB(2), 18); /* a sixteenth of it is there */
    assert_int_equal(result.outside, FRAME_SURVEY_PARTS - 1);
    assert_true(result.exact);
}

static void blocks_are_counted_by_owner(void **state)
{
    (void)state;
    assert_int_equal(frame_alloc_at(&machine.pool, phys_addr(GIB(1)), 17, OWNER_USER), FRAME_OK);
    struct frame_survey result = survey(GIB(1), 18);
    assert_int_equal(result.owned[OWNER_USER], FRAME_SURVEY_PARTS / 2);
    assert_int_equal(result.free, FRAME_SURVEY_PARTS / 2);
    assert_true(result.exact);
    assert_int_equal(survey(GIB(1) + MIB(2), 9).owned[OWNER_USER], FRAME_SURVEY_PARTS);
    assert_int_equal(survey(GIB(1) + FRAME_BYTES, 0).owned[OWNER_USER], 1);
}

/* One used frame is enough for a stretch not to count as free from end to end. */
static void a_single_frame_is_not_overlooked(void **state)
{
    (void)state;
    assert_int_equal(frame_alloc_at(&machine.pool, phys_addr(GIB(1) + MIB(77)), 0, OWNER_USER), FRAME_OK);
    assert_false(survey(GIB(1), 18).exact);
    assert_true(survey(GIB(1) + MIB(512), 17).exact);
}

static void arenas_add_up(void **state)
{
    (void)state;
    struct frame_arena arena;
    struct frame_statistics statistics;
    uint64_t managed = 0;
    uint64_t free = 0;
    uint64_t gib = 0;
    assert_int_equal(frame_alloc_at(&machine.pool, phys_addr(GIB(1)), 3, OWNER_USER), FRAME_OK);
    for (; frame_pool_arena(&machine.pool, gib, &arena); gib++) {
        managed += arena.managed_frames;
        free += arena.free_frames;
        assert_int_equal(arena.largest_order, 17);
    }
    frame_pool_statistics(&machine.pool, &statistics);
    assert_int_equal(gib, 2);
    assert_int_equal(managed, statistics.managed_frames);
    assert_int_equal(free, statistics.free_frames);
}

#define SURVEY_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SURVEY_TEST(whole_stretches_are_known_exactly),
        SURVEY_TEST(blocks_are_counted_by_owner),
        SURVEY_TEST(a_single_frame_is_not_overlooked),
        SURVEY_TEST(arenas_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
