/* Numbers and sizes as people type and read them, and the distance of words. */
#include <ashlar/number.h>
#include <ashlar/text.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/host/support/random.h"

static void accepted(const char *text, uint64_t expected)
{
    uint64_t number = ~expected;
    assert_int_equal(number_parse(text, &number), NUMBER_OK);
    assert_int_equal(number, expected);
}

static void refused(const char *text, enum number_status status)
{
    uint64_t number = 77;
    assert_int_equal(number_parse(text, &number), status);
    assert_int_equal(number, 77);
}

static void numbers_are_read(void **state)
{
    (void)state;
    accepted("0", 0);
    accepted("007", 7);
    accepted("18446744073709551615", UINT64_MAX);
    accepted("0xffffFFFFffffFFFF", UINT64_MAX);
    accepted("0X1b", 27);
    accepted("4K", 4096);
    accepted("4k", 4096);
    accepted("2MiB", 2 << 20);
    accepted("1g", 1 << 30);
    accepted("3TiB", (uint64_t)3 << 40);
    accepted("16383P", (uint64_t)16383 << 50);
    accepted("0x10K", 16384);
    accepted("0P", 0);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    const char *texts[] = {"",    " ",   "-1",   "+1",        "0x",  "x10",   "1 ",
                           " 1",  "1KB", "1Ki",  "1KiBx",     "1B",  "K",     "1.5",
                           "0xg", "1KK", "1kib", "1\xc2\xb5", "1e3", "1\x0b", "1\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        refused(texts[i], NUMBER_MALFORMED);
    }
}

static void overflow_is_told_from_nonsense(void **state)
{
    (void)state;
    refused("18446744073709551616", NUMBER_TOO_LARGE);
    refused("0x10000000000000000", NUMBER_TOO_LARGE);
    refused("16384P", NUMBER_TOO_LARGE);
    refused("18014398509481984K", NUMBER_TOO_LARGE);
    refused("99999999999999999999999999999999999999", NUMBER_TOO_LARGE);
    refused("99999999999999999999999999999999999999x", NUMBER_MALFORMED);
}

/* Against the C library: every value prints and reads back, with and without suffix. */
static void random_numbers_come_back(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        uint64_t value = random_next(&seed) >> (random_next(&seed) % 64);
        char text[64];
        snprintf(text, sizeof text, round % 2 ? "%" PRIu64 : "0x%" PRIx64, value);
        accepted(text, value);
        unsigned power = (unsigned)(random_next(&seed) % 5);
        if (value << (10 * (power + 1)) >> (10 * (power + 1)) == value) {
            size_t length = strlen(text);
            snprintf(text + length, sizeof text - length, "%c", "KMGTP"[power]);
            accepted(text, value << (10 * (power + 1)));
        }
    }
}

static void shown(uint64_t bytes, const char *expected)
{
    char buffer[NUMBER_SIZE_BYTES];
    assert_string_equal(number_format_size(buffer, bytes), expected);
}

static void sizes_are_shown_for_people(void **state)
{
    (void)state;
    shown(0, "0 B");
    shown(1023, "1023 B");
    shown(1024, "1 KiB");
    shown(1536, "1.5 KiB");
    shown(655360, "640 KiB");
    shown((1 << 20) - 1, "1023.9 KiB");
    shown(((uint64_t)18 << 20) / 10 + 1, "1.8 MiB"); /* just above */
    shown(((uint64_t)18 << 20) / 10, "1.7 MiB");     /* just below */
    shown((uint64_t)960 << 30, "960 GiB");
    shown(UINT64_MAX, "16383.9 PiB");
}

static void distances_are_counted(void **state)
{
    (void)state;
    assert_int_equal(text_distance("", ""), 0);
    assert_int_equal(text_distance("", "mem"), 3);
    assert_int_equal(text_distance("mem", "mem"), 0);
    assert_int_equal(text_distance("mem", "mme"), 1);
    assert_int_equal(text_distance("hlep", "help"), 1);
    assert_int_equal(text_distance("kitten", "sitting"), 3);
    assert_int_equal(text_distance("ca", "abc"), 3);
    assert_int_equal(text_distance("0123456789012345678901234567890", "x"), 31);
    assert_int_equal(text_distance("01234567890123456789012345678901", "x"), UINT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_read),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(overflow_is_told_from_nonsense),
        cmocka_unit_test(random_numbers_come_back),
        cmocka_unit_test(sizes_are_shown_for_people),
        cmocka_unit_test(distances_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
