/* UTF-8 kept whole (kernel/lib/text.c), by RFC 3629's table of well-formed sequences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ashlar/text.h>

struct sequence {
    const char *text;
    unsigned length; /* of the character, or 0 */
};

static const struct sequence sequences[] = {
    {"a", 1},
    {"\x7f", 1},
    {"\x80", 0},
    {"\xc1\xbf", 0}, /* overlong */
    {"\xc2\x80", 2},
    {"\xdf\xbf", 2},
    {"\xe0\x9f\xbf", 0}, /* overlong */
    {"\xe0\xa0\x80", 3},
    {"\xed\x9f\xbf", 3},
    {"\xed\xa0\x80", 0}, /* a surrogate */
    {"\xef\xbf\xbd", 3},
    {"\xf0\x8f\xbf\xbf", 0}, /* overlong */
    {"\xf0\x90\x80\x80", 4},
    {"\xf4\x8f\xbf\xbf", 4},
    {"\xf4\x90\x80\x80", 0}, /* above 0x10ffff */
    {"\xf5\x80\x80\x80", 0},
    {"\xe2\x82x", 0}, /* the last byte is none */
    {"\xf0\x9f\x92x", 0},
};

static void characters_have_their_length(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
        const char *text = sequences[i].text;
        if (text_character_length(text, strlen(text)) != sequences[i].length) {
            fail_msg("sequence %zu is taken for %u bytes", i, text_character_length(text, strlen(text)));
        }
    }
}

static void a_character_that_is_cut_is_none(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof sequences / sizeof sequences[0]; i++) {
        for (unsigned bytes = 0; bytes < sequences[i].length; bytes++) {
            char *cut = malloc(bytes + 1); /* of exact size but one, so that reading on is seen */
            memcpy(cut + 1, sequences[i].text, bytes);
            assert_int_equal(text_character_length(cut + 1, bytes), 0);
            free(cut);
        }
    }
}

static void joined_texts_are_cut_where_they_must(void **state)
{
    (void)state;
    const struct {
        const char *first, *second, *joined;
    } cases[] = {
        {"", "", ""}, {"ab", "c", "abc"}, {"ab", "cd", "abc"}, {"abcde", "f", "abc"}, {"", "abcd", "abc"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *buffer = malloc(4); /* of exact size, so that writing on is seen */
        text_join(buffer, 4, cases[i].first, cases[i].second);
        assert_string_equal(buffer, cases[i].joined);
        free(buffer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_have_their_length),
        cmocka_unit_test(a_character_that_is_cut_is_none),
        cmocka_unit_test(joined_texts_are_cut_where_they_must),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
