/* The kernel command line: grammar, asking, numbers, and the complaints about what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include <ashlar/command_line.h>

static void expect_answer(const char *line, const char *name, const char *expected)
{
    char value[32] = "rubbish";
    assert_true(command_line_get(line, name, value, sizeof value));
    assert_string_equal(value, expected);
}

static void expect_absent(const char *line, const char *name)
{
    char value[32] = "rubbish";
    assert_false(command_line_get(line, name, value, sizeof value));
    assert_string_equal(value, "");
    assert_false(command_line_has(line, name));
}

static void options_are_found(void **state)
{
    (void)state;
    const char *line = "  nokaslr\t la57=on debug=\"a b = c\"  empty= quoted=\"\" x.y_z-1=2";
    expect_answer(line, "nokaslr", "");
    expect_answer(line, "la57", "on");
    expect_answer(line, "debug", "a b = c");
    expect_answer(line, "empty", "");
    expect_answer(line, "quoted", "");
    expect_answer(line, "x.y_z-1", "2");
    assert_true(command_line_has(line, "la57"));
    expect_absent(line, "la5");
    expect_absent(line, "la577");
    expect_absent(line, "a");
    expect_absent("", "nokaslr");
    expect_absent(" \t ", "nokaslr");
}

static void init_takes_the_rest(void **state)
{
    (void)state;
    expect_answer("la57=on init=/bin/sh -c \"a b\" log=x", "init", "/bin/sh -c \"a b\" log=x");
    expect_answer("init=", "init", "");
    expect_answer("debug=\"init=a\" init=b", "init", "b");
    expect_answer("init-end=off init=x init=y", "init", "x init=y");
    expect_absent("init=x log=debug", "log");
    expect_absent("init=x log=debug", "x");
}

static void the_last_occurrence_counts(void **state)
{
    (void)state;
    expect_answer("log=info log=debug", "log", "debug");
    expect_answer("selftest=frames selftest", "selftest", "");
    expect_answer("log=info log=\"open", "log", "info"); /* a malformed one does not */
}

static void a_value_has_to_fit(void **state)
{
    (void)state;
    char value[4] = "xyz";
    assert_true(command_line_get("a=123", "a", value, sizeof value));
    assert_string_equal(value, "123");
    assert_false(command_line_get("a=1234", "a", value, sizeof value));
    assert_string_equal(value, "");
    assert_true(command_line_has("a=1234", "a"));
    assert_true(command_line_get("a", "a", value, 1));
}

static void words_are_taken_apart_in_order(void **state)
{
    (void)state;
    const char *cursor = "one two=2 =3 Four five=\"a\"b six=a\"b\" seven=\"x eight";
    static const struct {
        const char *word;
        bool sound;
    } expected[] = {{"one", true},          {"two=2", true},       {"=3", false},        {"Four", false},
                    {"five=\"a\"b", false}, {"six=a\"b\"", false}, {"seven=\"x", false}, {"eight", true}};
    struct command_line_option option;
    for (size_t i = 0; i < ARRAY_LENGTH(expected); i++) {
        assert_true(command_line_next(&cursor, &option));
        assert_int_equal(option.word_bytes, strlen(expected[i].word));
        assert_memory_equal(option.word, expected[i].word, option.word_bytes);
        assert_int_equal(option.malformed == NULL, expected[i].sound);
    }
    assert_false(command_line_next(&cursor, &option));
    assert_int_equal(*cursor, '\0');
}

static void numbers_are_exact(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t number;
    } sound[] = {{"0", 0},
                 {"42", 42},
                 {"0x1F", 31},
                 {"18446744073709551615", UINT64_MAX},
                 {"0xffffffffffffffff", UINT64_MAX}};
    static const char *const wrong[] = {
        "", "0x", "-1", "+1", "1k", "a", "0xg", "18446744073709551616", "0x10000000000000000", "1 "};
    for (size_t i = 0; i < ARRAY_LENGTH(sound); i++) {
        uint64_t number = 99;
        assert_true(command_line_number(sound[i].text, strlen(sound[i].text), &number));
        assert_true(number == sound[i].number);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        uint64_t number = 99;
        assert_false(command_line_number(wrong[i], strlen(wrong[i]), &number));
        assert_int_equal(number, 99);
    }
}

static char complaints[2048];

static void collect(void *context, const char *complaint)
{
    assert_ptr_equal(context, complaints);
    size_t length = strlen(complaints);
    assert_true(snprintf(complaints + length, sizeof complaints - length, "%s\n", complaint) > 0);
}

static size_t check(const char *line, const struct command_line_known *known, size_t count)
{
    complaints[0] = '\0';
    return command_line_check(line, known, count, collect, complaints);
}

static void expect_complaint(const char *line, const char *complaint)
{
    assert_int_equal(check(line, command_line_options, command_line_option_count), 1);
    assert_string_equal(complaints, complaint);
}

static void known_options_pass(void **state)
{
    (void)state;
    assert_int_equal(check("nokaslr la57=on la57=off selftest selftest=frame loader-fault=page debug=\"x y\" "
                           "log=error console=both loader-fault=undefined loader-fault=stack-guard",
                           command_line_options, command_line_option_count),
                     0);
    assert_string_equal(complaints, "");
    for (size_t i = 0; i < command_line_option_count; i++) {
        assert_true(strlen(command_line_options[i].help) > 0);
        assert_int_equal(command_line_options[i].kind == OPTION_CHOICE,
                         command_line_options[i].choices != NULL);
    }
}

static void each_fault_is_named(void **state)
{
    (void)state;
    expect_complaint("nokaslr=1", "option nokaslr=1: takes no value\n");
    expect_complaint("nokaslr=", "option nokaslr=: takes no value\n");
    expect_complaint("la57=maybe", "option la57=maybe: has to be one of on|off\n");
    expect_complaint("la57", "option la57: has to be one of on|off\n");
    expect_complaint("la57=", "option la57=: has to be one of on|off\n");
    expect_complaint("la57=on|off", "option la57=on|off: has to be one of on|off\n");
    expect_complaint("la57=o", "option la57=o: has to be one of on|off\n");
    expect_complaint("frobnicate=7", "option frobnicate=7: there is no such option\n");
    expect_complaint("NoKASLR", "option NoKASLR: a name is made of a-z 0-9 . _ -\n");
    expect_complaint("debug", "option debug: needs a value\n");
    expect_complaint("debug=\"\"", "option debug=\"\": needs a value\n");
    expect_complaint("debug=\"a nokaslr", "option debug=\"a: the quote is not closed\n");
    expect_complaint("debug=\"a\"b", "option debug=\"a\"b: the closing quote is not followed by a blank\n");
    expect_complaint("debug=a\"b", "option debug=a\"b: a quote has to follow the '=' at once\n");
}

static void number_ranges_are_checked(void **state)
{
    (void)state;
    static const struct command_line_known known = {"cpus", OPTION_NUMBER, NULL, 1, 64, "help"};
    assert_int_equal(check("cpus=1 cpus=0x40", &known, 1), 0);
    assert_int_equal(check("cpus=0 cpus=65 cpus=x cpus", &known, 1), 4);
    assert_non_null(strstr(complaints, "option cpus=65: has to be a number from 1 to 64\n"));
}

static void long_words_are_cut_in_complaints(void **state)
{
    (void)state;
    char line[600] = "selftest=";
    memset(line + 9, 'x', COMMAND_LINE_VALUE_BYTES - 1);
    assert_int_equal(check(line, command_line_options, command_line_option_count), 0);
    line[9 + COMMAND_LINE_VALUE_BYTES - 1] = 'x';
    assert_int_equal(check(line, command_line_options, command_line_option_count), 1);
    assert_non_null(strstr(complaints, "xxx...: the value is too long\n"));
    assert_true(strlen(complaints) < 160);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_are_found),
        cmocka_unit_test(init_takes_the_rest),
        cmocka_unit_test(the_last_occurrence_counts),
        cmocka_unit_test(a_value_has_to_fit),
        cmocka_unit_test(words_are_taken_apart_in_order),
        cmocka_unit_test(numbers_are_exact),
        cmocka_unit_test(known_options_pass),
        cmocka_unit_test(each_fault_is_named),
        cmocka_unit_test(number_ranges_are_checked),
        cmocka_unit_test(long_words_are_cut_in_complaints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
