/* ashlar.cfg: what its text becomes, and what is refused with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "loader/portable/configuration.h"

static struct loader_error error;

static void expect_line(const char *file, const char *expected)
{
    char line[128];
    if (!configuration_parse(file, strlen(file), line, sizeof line, &error)) {
        fail_msg("%s", error.text);
    }
    assert_string_equal(line, expected);
}

static void expect_refusal(const char *file, size_t bytes, size_t capacity, const char *text)
{
    char line[8192] = "rubbish";
    assert_false(configuration_parse(file, bytes, line, capacity, &error));
    assert_string_equal(line, "");
    if (!strstr(error.text, text)) {
        fail_msg("\"%s\" does not say \"%s\"", error.text, text);
    }
}

#define REFUSES(file, text) expect_refusal(file, sizeof(file) - 1, 128, text)

static void lines_are_joined(void **state)
{
    (void)state;
    expect_line("", "");
    expect_line("\n\r\n \t \n", "");
    expect_line("nokaslr", "nokaslr");
    expect_line("nokaslr\nla57=on\n", "nokaslr la57=on");
    expect_line("nokaslr\r\n\r\n  la57=on \t\r\nlog=debug", "nokaslr la57=on log=debug");
    expect_line("a\rb\r\rc", "a b c");
    expect_line("\xef\xbb\xbfnokaslr\n", "nokaslr");
    expect_line("a  b", "a  b");
}

static void comments_end_with_the_line(void **state)
{
    (void)state;
    expect_line("# all of it\nnokaslr # why\n#\nlog=info#glued\n", "nokaslr log=info");
    expect_line("debug=\"a # b\" # c\n", "debug=\"a # b\"");
    expect_line("# gr\xc3\xbc\xc3\x9f \"unpaired\nlog=info", "log=info");
}

static void what_is_no_text_is_refused(void **state)
{
    (void)state;
    REFUSES("nokaslr\0la57", "byte 0x00 at offset 7 is not text");
    REFUSES("a\x1b[m", "byte 0x1b at offset 1 is not text");
    REFUSES("# \x07", "byte 0x07 at offset 2 is not text");
    REFUSES("a\x7f", "byte 0x7f at offset 1");
    REFUSES("log=\xc3\xa9", "byte 0xc3 at offset 4 is not ASCII");
    REFUSES("a \xef\xbb\xbf", "byte 0xef at offset 2");
    REFUSES("\xff\xfe"
            "a\0",
            "UTF-16");
    REFUSES("\xfe\xff\0a", "UTF-16");
    REFUSES("a\0b\0", "byte 0x00 at offset 1");
    REFUSES("ok\ndebug=\"a\nb\"", "line 2 has a quote that is not closed");
    REFUSES("debug=\"a", "line 1 has a quote that is not closed");
}

static void sizes_are_bounded(void **state)
{
    (void)state;
    static char file[CONFIGURATION_BYTES_MAX + 1];
    static char line[CONFIGURATION_BYTES_MAX + 1];
    memset(file, 'x', sizeof file);
    assert_true(configuration_parse(file, CONFIGURATION_BYTES_MAX, line, sizeof line, &error));
    assert_int_equal(strlen(line), CONFIGURATION_BYTES_MAX);
    expect_refusal(file, sizeof file, 8192, "4097 bytes are more than 4096");
    expect_refusal("abc", 3, 3, "does not fit the 3 bytes");
    expect_refusal("a  b", 4, 3, "line 1 does not fit the 3 bytes"); /* a blank is too much already */
    expect_refusal("a\nb\nc", 5, 5, "line 3 does not fit the 5 bytes");
    assert_true(configuration_parse("a\nb", 3, line, 4, &error));
    assert_true(configuration_parse("", 0, line, 1, &error));
}

static void the_file_comes_first(void **state)
{
    (void)state;
    char line[17]; /* exactly enough */
    assert_true(configuration_join("log=info", "la57=on", line, sizeof line, &error));
    assert_string_equal(line, "log=info la57=on");
}

static void join_cases(void **state)
{
    (void)state;
    char line[17];
    assert_true(configuration_join("a", "", line, sizeof line, &error));
    assert_string_equal(line, "a");
    assert_true(configuration_join("", "b", line, sizeof line, &error));
    assert_string_equal(line, "b");
    assert_true(configuration_join("", "", line, 1, &error));
    assert_string_equal(line, "");
    assert_false(configuration_join("log=info", "la57=on", line, 16, &error));
    assert_string_equal(line, "");
    assert_non_null(strstr(error.text, "8 bytes from the file and 7 from load options"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_joined),           cmocka_unit_test(comments_end_with_the_line),
        cmocka_unit_test(what_is_no_text_is_refused), cmocka_unit_test(sizes_are_bounded),
        cmocka_unit_test(the_file_comes_first),       cmocka_unit_test(join_cases),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
