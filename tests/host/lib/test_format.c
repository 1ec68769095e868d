/* Formatting: against the host's printf, and at the end of the buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ashlar/format.h>

static char ours[128];

#define CHECK(...)                                                                                           \
    do {                                                                                                     \
        char theirs[128];                                                                                    \
        int expected = snprintf(theirs, sizeof theirs, __VA_ARGS__);                                         \
        assert_int_equal(format(ours, sizeof ours, __VA_ARGS__), expected);                                  \
        assert_string_equal(ours, theirs);                                                                   \
    } while (0)

static void numbers_and_texts_are_as_in_printf(void **state)
{
    (void)state;
    CHECK("nothing");
    CHECK("%d %d %i", 0, -1, 2147483647);
    CHECK("%u %5u|%-5u|%05u", 7U, 7U, 7U, 7U);
    CHECK("%x %X %08x %#x", 0xbeefU, 0xbeefU, 0xbeefU, 0xbeefU);
    CHECK("%" PRIu64 " %" PRId64 " %" PRIx64, UINT64_MAX, INT64_MIN + 1, UINT64_C(0xffffffff80000000));
    CHECK("%zu %lu", (size_t)123456789012345, 4000000000UL);
    CHECK("%s|%10s|%-10s|%.2s|%*s", "abc", "abc", "abc", "abc", 6, "abc");
    CHECK("%c%c%%", 'x', 'y');
}

static void thousands_are_separated_on_request(void **state)
{
    (void)state;
    format(ours, sizeof ours, "%'" PRIu64, UINT64_C(1234567));
    assert_string_equal(ours, "1,234,567");
}

/* Whatever fits is there, NUL included; nothing behind the buffer is touched; the length is that of the
 * whole. */
static void what_does_not_fit_is_cut(void **state)
{
    (void)state;
    const char *whole = "value 12345 end";
    for (size_t bytes = 1; bytes < 20; bytes++) {
        memset(ours, '#', sizeof ours);
        assert_int_equal(format(ours, bytes, "value %d %s", 12345, "end"), strlen(whole));
        size_t kept = bytes - 1 < strlen(whole) ? bytes - 1 : strlen(whole);
        assert_int_equal(strlen(ours), kept);
        assert_memory_equal(ours, whole, kept);
        assert_int_equal(ours[bytes], '#');
    }
}

/* Long enough that the library hands its text over in several pieces. */
static void long_texts_are_whole(void **state)
{
    (void)state;
    char text[3000];
    char result[4000];
    memset(text, 'y', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(format(result, sizeof result, "<%s>%u", text, 42U), sizeof text - 1 + 4);
    assert_string_equal(result + sizeof text, ">42");
    assert_int_equal(format(result, 1000, "<%s>", text), sizeof text + 1);
    assert_int_equal(strlen(result), 999);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_texts_are_as_in_printf),
        cmocka_unit_test(thousands_are_separated_on_request),
        cmocka_unit_test(what_does_not_fit_is_cut),
        cmocka_unit_test(long_texts_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
