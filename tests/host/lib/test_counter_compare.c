/* Comparing the counters of two CPUs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ashlar/counter_compare.h>
#include <ashlar/types.h>

/* What one round tells in which the other's counter was read `at` ticks after this one's first reading, and
 * is `ahead` of it. */
static int64_t told(uint64_t before, uint64_t at, uint64_t took, int64_t ahead)
{
    struct counter_comparison comparison = COUNTER_COMPARISON_BEGIN;
    counter_comparison_add(&comparison, before, before + at + (uint64_t)ahead, before + took);
    return comparison.ahead;
}

static const uint64_t moments[] = {0,         5000, INT64_MAX - 50, (uint64_t)INT64_MAX + 1, UINT64_MAX - 50,
                                   UINT64_MAX};

static void counters_that_agree_do_not_differ(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LENGTH(moments); i++) {
        for (uint64_t at = 0; at <= 100; at++) {
            assert_int_equal(told(moments[i], at, 100, 0), 0);
        }
    }
}

/* To within what the round took. */
static void the_difference_has_its_sign(void **state)
{
    (void)state;
    static const int64_t differences[] = {101, 1000, INT32_MAX, INT64_MAX / 4};
    for (unsigned i = 0; i < ARRAY_LENGTH(moments); i++) {
        for (unsigned j = 0; j < ARRAY_LENGTH(differences); j++) {
            for (uint64_t at = 0; at <= 100; at += 50) {
                int64_t ahead = told(moments[i], at, 100, differences[j]);
                int64_t behind = told(moments[i], at, 100, -differences[j]);
                assert_int_equal(ahead, differences[j] - (int64_t)(100 - at));
                assert_int_equal(behind, (int64_t)at - differences[j]);
            }
        }
    }
}

static void the_closest_round_counts(void **state)
{
    (void)state;
    struct counter_comparison comparison = COUNTER_COMPARISON_BEGIN;
    counter_comparison_add(&comparison, 1000, 6000, 2000); /* took 1,000 */
    assert_int_equal(comparison.ahead, 4000);
    counter_comparison_add(&comparison, 3000, 8010, 3020);
    assert_int_equal(comparison.ahead, 4990);
    assert_int_equal(comparison.narrowest, 20);
    counter_comparison_add(&comparison, 5000, 5500, 6000); /* a wide one in which they seem to agree */
    assert_int_equal(comparison.ahead, 4990);
    counter_comparison_add(&comparison, 7000, 7000, 7000); /* the closest of all */
    assert_int_equal(comparison.ahead, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_that_agree_do_not_differ),
        cmocka_unit_test(the_difference_has_its_sign),
        cmocka_unit_test(the_closest_round_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
