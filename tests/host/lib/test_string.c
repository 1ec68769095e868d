/* The kernel's own memory and string functions against the host's, at every size, alignment and overlap. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The file under test under other names: the program keeps the host's functions, which are the reference. */
#define memcpy  our_memcpy
#define memmove our_memmove
#define memset  our_memset
#define memcmp  our_memcmp
#define strlen  our_strlen
#define strnlen our_strnlen
#define strcmp  our_strcmp
#define strncmp our_strncmp
#define strchr  our_strchr
#define strstr  our_strstr
#include "kernel/lib/string.c" /* NOLINT(bugprone-suspicious-include): on purpose, as said above */
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strnlen
#undef strcmp
#undef strncmp
#undef strchr
#undef strstr

enum { AREA = 1024, SIZE_MAX_TRIED = 300 };

static uint8_t ours[AREA];
static uint8_t theirs[AREA];

static void fill_both(unsigned seed)
{
    for (size_t i = 0; i < AREA; i++) {
        ours[i] = theirs[i] = (uint8_t)((i * 31 + seed) ^ (i >> 3));
    }
}

static void check_both(const void *result, const void *expected)
{
    assert_ptr_equal(result, expected);
    assert_memory_equal(ours, theirs, AREA);
}

static void copies_every_size_and_alignment(void **state)
{
    (void)state;
    uint8_t source[AREA];
    for (size_t i = 0; i < AREA; i++) {
        source[i] = (uint8_t)(i * 7);
    }
    for (size_t bytes = 0; bytes <= SIZE_MAX_TRIED; bytes++) {
        for (size_t shift = 0; shift < 9; shift++) {
            fill_both((unsigned)bytes);
            memcpy(theirs + 64 + shift, source + 8 - shift, bytes);
            check_both(our_memcpy(ours + 64 + shift, source + 8 - shift, bytes), ours + 64 + shift);
        }
    }
}

static void moves_overlapping_blocks(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes <= SIZE_MAX_TRIED; bytes++) {
        for (size_t to = 0; to <= 40; to++) {
            fill_both((unsigned)(bytes + to));
            memmove(theirs + 100 + to, theirs + 120, bytes);
            check_both(our_memmove(ours + 100 + to, ours + 120, bytes), ours + 100 + to);
        }
    }
    fill_both(1);
    memmove(theirs + 500, theirs + 100, 400);
    check_both(our_memmove(ours + 500, ours + 100, 400), ours + 500);
}

static void sets_every_size_and_alignment(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes <= SIZE_MAX_TRIED; bytes++) {
        for (size_t shift = 0; shift < 9; shift++) {
            fill_both((unsigned)bytes);
            memset(theirs + 64 + shift, 0x1a5 + (int)bytes, bytes);
            check_both(our_memset(ours + 64 + shift, 0x1a5 + (int)bytes, bytes), ours + 64 + shift);
        }
    }
}

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

static void compares_blocks(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes < 40; bytes++) {
        for (size_t place = 0; place < 40; place++) {
            fill_both((unsigned)bytes);
            assert_int_equal(our_memcmp(ours, theirs, bytes), 0);
            ours[place] ^= 0x80;
            assert_int_equal(sign(our_memcmp(ours, theirs, bytes)), sign(memcmp(ours, theirs, bytes)));
            assert_int_equal(sign(our_memcmp(theirs, ours, bytes)), sign(memcmp(theirs, ours, bytes)));
        }
    }
}

static void handles_text(void **state)
{
    (void)state;
    static const char *const texts[] = {"",     "a", "ab",  "abc",  "abd",
                                        "\xff", "b", "aab", "aaab", "ab\xe2\x94\x82"};
    for (size_t i = 0; i < ARRAY_LENGTH(texts); i++) {
        assert_int_equal(our_strlen(texts[i]), strlen(texts[i]));
        assert_int_equal(our_strnlen(texts[i], 2), strnlen(texts[i], 2));
        assert_ptr_equal(our_strchr(texts[i], 'b'), strchr(texts[i], 'b'));
        assert_ptr_equal(our_strchr(texts[i], '\0'), strchr(texts[i], '\0'));
        for (size_t k = 0; k < ARRAY_LENGTH(texts); k++) {
            assert_int_equal(sign(our_strcmp(texts[i], texts[k])), sign(strcmp(texts[i], texts[k])));
            assert_int_equal(sign(our_strncmp(texts[i], texts[k], 2)), sign(strncmp(texts[i], texts[k], 2)));
            assert_ptr_equal(our_strstr(texts[i], texts[k]), strstr(texts[i], texts[k]));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_every_size_and_alignment),
        cmocka_unit_test(moves_overlapping_blocks),
        cmocka_unit_test(sets_every_size_and_alignment),
        cmocka_unit_test(compares_blocks),
        cmocka_unit_test(handles_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
