/* How much of a pool large blocks fill whose lengths are no powers of two; and what gives it back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mm/frame/internal.h"
#include "reports.h"
#include "tests/host/support/random.h"

#define MACHINE_BYTES MIB(64)
#define BLOCKS_MAX    8192

static void *blocks[BLOCKS_MAX];

/* Fills empty places of blocks[] until memory has run out; returns how many are full in the end. */
static unsigned fill(size_t bytes)
{
    unsigned count = 0;
    for (unsigned i = 0; i < BLOCKS_MAX; i++) {
        if (!blocks[i]) {
            blocks[i] = heap_alloc(&fixture.heap, bytes);
            if (blocks[i]) {
                memset(blocks[i], (int)i, 1); /* its frames are there */
            }
        }
        count += blocks[i] != NULL;
    }
    assert_true(count < BLOCKS_MAX);
    return count;
}

static void empty(unsigned every)
{
    for (unsigned i = 0; i < BLOCKS_MAX; i += every) {
        heap_free(&fixture.heap, blocks[i]);
        blocks[i] = NULL;
    }
}

static void check_frames(void)
{
    struct frame_problem problem;
    assert_true(frame_pool_check(&fixture.machine.pool, &problem));
    fixture_check(&fixture);
}

/* One pool, filled with blocks of one length: at least `permille` of what was free is in them. Then every
 * second is freed, and as many are found again. */
static void fill_pool(size_t bytes, unsigned permille, const struct frame_policy *policy)
{
    assert_int_equal(fixture_start_on(&fixture, MACHINE_BYTES, 1, NULL, policy, false), SLAB_OK);
    uint64_t room = frame_pool_free(&fixture.machine.pool) << FRAME_SHIFT;
    unsigned count = fill(bytes);
    check_frames();
    uint64_t filled = count * (uint64_t)bytes;
    if (filled * 1000 < room * permille) {
        fail_msg("blocks of %zu bytes fill %u permille", bytes, (unsigned)(filled * 1000 / room));
    }
    empty(2);
    check_frames();
    assert_int_equal(fill(bytes), count);
    check_frames();
    empty(1);
    fixture_stop(&fixture); /* all frames are back */
}

/*
 * What a block's last page does not use is lost: 2.3 % of 132,000 bytes. And so is what remains at the end of
 * each of the pool's zones: up to a block of each of three here.
 */
static void blocks_of_one_length_fill_a_pool(void **state)
{
    (void)state;
    const struct frame_policy *policies[] = {&frame_policy_buddy, &frame_policy_bitmap};
    for (unsigned i = 0; i < ARRAY_LENGTH(policies); i++) {
        fill_pool(132000, 960, policies[i]); /* 33 frames */
        fill_pool(9 * FRAME_BYTES, 990, policies[i]);
        fill_pool(67 * FRAME_BYTES, 990, policies[i]);
        fill_pool(513 * FRAME_BYTES, 920, policies[i]);
    }
}

/* Lengths in a mixture, freed and allocated at random while the pool is nearly full, by two CPUs. */
static void mixtures_leave_nothing_behind(void **state)
{
    (void)state;
    uint64_t random = 7;
    assert_int_equal(fixture_start(&fixture, MACHINE_BYTES, 2, NULL), SLAB_OK);
    for (unsigned i = 0; i < 40000; i++) {
        host_cpu = i / 16 % 2;
        unsigned at = (unsigned)(random_next(&random) >> 33) % 400;
        heap_free(&fixture.heap, blocks[at]);
        blocks[at] = heap_alloc(&fixture.heap, 8193 + (random_next(&random) >> 33) % 400000);
        if (i % 2000 == 0) {
            check_frames();
        }
    }
    empty(1);
    host_cpu = 0;
    check_frames();
    fixture_stop(&fixture);
    assert_int_equal(fixture.reports, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_one_length_fill_a_pool),
        cmocka_unit_test(mixtures_leave_nothing_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
