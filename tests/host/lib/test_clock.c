/* Scales, rates and dates, against exact arithmetic and the C library. */
#include <ashlar/clock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "tests/host/support/random.h"

static uint64_t random_bits(void)
{
    static uint64_t state = 88172645463325252ULL;
    return random_next(&state);
}

static void scale_is_exact_to_its_bound(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        uint64_t from = 1 + random_bits() % 6000000000;
        struct clock_scale scale = clock_scale_make(from, 1000000000);
        uint64_t value = random_bits() >> (16 + random_bits() % 48);
        unsigned __int128 exact = (unsigned __int128)value * 1000000000 / from;
        uint64_t scaled = clock_scale_apply(scale, value);
        if (exact > UINT64_MAX) {
            continue;
        }
        uint64_t difference = scaled > exact ? scaled - (uint64_t)exact : (uint64_t)exact - scaled;
        assert_true(difference <= value / ((uint64_t)1 << 32) + 1);
    }
}

static void one_gigahertz_scales_to_itself(void **state)
{
    (void)state;
    struct clock_scale scale = clock_scale_make(1000000000, 1000000000);
    assert_int_equal(clock_scale_apply(scale, 0), 0);
    assert_int_equal(clock_scale_apply(scale, 1), 1);
    assert_int_equal(clock_scale_apply(scale, UINT64_MAX), UINT64_MAX);
}

static void rate_is_ticks_per_reference_second(void **state)
{
    (void)state;
    struct clock_sample begin = {.ticks = 1000, .count = 500};
    struct clock_sample end = {.ticks = 1000 + 2600000, .count = 500 + 14318};
    assert_int_equal(clock_rate_from_samples(&begin, &end, 32, 14318000), 2600000000);
    assert_int_equal(clock_rate_from_samples(&begin, &begin, 32, 14318000), 0);
    end.count = begin.count; /* a reference that stands still */
    assert_int_equal(clock_rate_from_samples(&begin, &end, 32, 14318000), 0);
    end = (struct clock_sample){.ticks = 999, .count = 600}; /* a counter that went back */
    assert_int_equal(clock_rate_from_samples(&begin, &end, 32, 14318000), 0);
}

static void rate_survives_a_wrap(void **state)
{
    (void)state;
    struct clock_sample begin = {.ticks = 0, .count = 0xfffff0};
    struct clock_sample end = {.ticks = 32000, .count = 0x10};
    assert_int_equal(clock_rate_from_samples(&begin, &end, 24, 1000), 1000000);
    begin.count = UINT64_MAX - 15;
    end.count = 16;
    assert_int_equal(clock_rate_from_samples(&begin, &end, 64, 1000), 1000000);
}

static void measured_rates_beat_nominal_ones(void **state)
{
    (void)state;
    static const struct clock_stated nothing, nominal = {3000000000, true}, exact = {3000000000, false};
    assert_int_equal(clock_choose(&nothing, 0), CLOCK_ASSUMED);
    assert_int_equal(clock_choose(&nothing, 2999000000), CLOCK_MEASURED);
    assert_int_equal(clock_choose(&nominal, 0), CLOCK_STATED);
    assert_int_equal(clock_choose(&nominal, 2999000000), CLOCK_MEASURED);
    assert_int_equal(clock_choose(&nominal, 3000000000), CLOCK_MEASURED);
    assert_int_equal(clock_choose(&exact, 0), CLOCK_STATED);
    assert_int_equal(clock_choose(&exact, 2999000000), CLOCK_STATED);
    assert_int_equal(clock_choose(&exact, 2970297030), CLOCK_STATED);
    assert_int_equal(clock_choose(&exact, 2970297029), CLOCK_MEASURED); /* more than 1 % too much */
    assert_int_equal(clock_choose(&exact, 3030303031), CLOCK_MEASURED);
    assert_int_equal(clock_choose(&exact, UINT64_MAX), CLOCK_MEASURED);
}

static void dates_agree_with_the_library(void **state)
{
    (void)state;
    for (int i = 0; i < 100000; i++) {
        int64_t seconds = (int64_t)(random_bits() % 255611289600) - 2208988800;
        time_t moment = seconds;
        struct tm expected;
        assert_non_null(gmtime_r(&moment, &expected));
        struct clock_date date;
        assert_true(clock_date_from_seconds(seconds, &date));
        assert_true(clock_date_is_valid(&date));
        assert_int_equal(date.year, expected.tm_year + 1900);
        assert_int_equal(date.month, expected.tm_mon + 1);
        assert_int_equal(date.day, expected.tm_mday);
        assert_int_equal(date.hour, expected.tm_hour);
        assert_int_equal(date.minute, expected.tm_min);
        assert_int_equal(date.second, expected.tm_sec);
        assert_true(clock_date_to_seconds(&date) == seconds);
    }
}

static void dates_end_where_their_years_do(void **state)
{
    (void)state;
    struct clock_date date;
    assert_true(clock_date_from_seconds(-2208988800, &date));
    assert_int_equal(date.year, 1900);
    assert_false(clock_date_from_seconds(-2208988801, &date));
    assert_true(clock_date_from_seconds(253402300799, &date));
    assert_int_equal(date.year, 9999);
    assert_false(clock_date_from_seconds(253402300800, &date));
    assert_false(clock_date_from_seconds(INT64_MIN, &date));
    assert_false(clock_date_from_seconds(INT64_MAX, &date));
}

static void zones_are_subtracted_from_utc(void **state)
{
    (void)state;
    struct clock_date local = {2026, 1, 1, 0, 30, 0, -60}; /* one hour east of Greenwich */
    struct clock_date utc = {2025, 12, 31, 23, 30, 0, 0};
    assert_true(clock_date_to_seconds(&local) == clock_date_to_seconds(&utc));
    utc.zone = CLOCK_ZONE_UNKNOWN;
    assert_true(clock_date_to_seconds(&local) == clock_date_to_seconds(&utc));
}

static void impossible_dates_are_refused(void **state)
{
    (void)state;
    static const struct clock_date wrong[] = {
        {1899, 12, 31, 0, 0, 0, 0},   {10000, 1, 1, 0, 0, 0, 0}, {2026, 0, 1, 0, 0, 0, 0},
        {2026, 13, 1, 0, 0, 0, 0},    {2026, 1, 0, 0, 0, 0, 0},  {2026, 4, 31, 0, 0, 0, 0},
        {2026, 2, 29, 0, 0, 0, 0},    {2100, 2, 29, 0, 0, 0, 0}, {2026, 1, 1, 24, 0, 0, 0},
        {2026, 1, 1, 0, 60, 0, 0},    {2026, 1, 1, 0, 0, 60, 0}, {2026, 1, 1, 0, 0, 0, 1441},
        {2026, 1, 1, 0, 0, 0, -1441},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(clock_date_is_valid(&wrong[i]));
    }
    assert_true(clock_date_is_valid(&(struct clock_date){2000, 2, 29, 23, 59, 59, CLOCK_ZONE_UNKNOWN}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scale_is_exact_to_its_bound),
        cmocka_unit_test(one_gigahertz_scales_to_itself),
        cmocka_unit_test(rate_is_ticks_per_reference_second),
        cmocka_unit_test(rate_survives_a_wrap),
        cmocka_unit_test(measured_rates_beat_nominal_ones),
        cmocka_unit_test(dates_agree_with_the_library),
        cmocka_unit_test(dates_end_where_their_years_do),
        cmocka_unit_test(zones_are_subtracted_from_utc),
        cmocka_unit_test(impossible_dates_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
