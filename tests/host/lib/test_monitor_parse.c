/* The monitor's view of what was typed: words, options, addresses, completion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/lib/monitor/parse.h"
#include "tests/host/support/host.h"

static void no_run(struct monitor_call *call)
{
    (void)call;
}

static void add_kinds(struct line_completion *completion)
{
    line_completion_add(completion, "page");
    line_completion_add(completion, "panic");
}

static const struct monitor_command command_list[] = {
    {.name = "mem", .arguments = "", .run = no_run, .flags = MONITOR_JSON},
    {.name = "log",
     .arguments = "[TEXT]",
     .run = no_run,
     .options = MONITOR_OPTIONS({"-n", "COUNT", "last lines"}, {"--level", "LEVEL", "at least"},
                                {"--raw", NULL, ""}),
     .arguments_max = 1,
     .flags = MONITOR_JSON},
    {.name = "x",
     .arguments = "ADDRESS",
     .run = no_run,
     .arguments_min = 1,
     .arguments_max = 1,
     .flags = MONITOR_FORMAT | MONITOR_SYMBOLS},
    {.name = "run",
     .arguments = "PROGRAM [ARGUMENT...]",
     .run = no_run,
     .arguments_max = 6,
     .flags = MONITOR_JSON | MONITOR_OPTIONS_FIRST},
    {.name = "fault",
     .arguments = "KIND",
     .run = no_run,
     .arguments_min = 1,
     .arguments_max = 1,
     .complete = add_kinds},
    {.name = "pager",
     .arguments = "on|off",
     .run = no_run,
     .arguments_max = 1,
     .words = MONITOR_WORDS("on", "off")},
    {.name = "reboot", .arguments = "", .run = no_run},
    {.name = "a", .arguments = "...", .run = no_run, .arguments_max = MONITOR_WORDS_MAX - 1},
};

static const struct monitor_table table = {command_list, ARRAY_LENGTH(command_list)};

/* Splits `line`, and compares the words with `expected`, which joins them by '|'. */
static void splits(const char *line, const char *expected)
{
    char copy[256];
    char joined[256] = "";
    char error[MONITOR_ERROR_BYTES] = "";
    struct monitor_words words;
    snprintf(copy, sizeof copy, "%s", line);
    assert_true(monitor_split(copy, &words, error));
    for (unsigned i = 0; i < words.count; i++) {
        size_t length = strlen(joined);
        snprintf(joined + length, sizeof joined - length, i > 0 ? "|%s" : "%s", words.words[i]);
    }
    assert_string_equal(joined, expected);
    assert_string_equal(error, "");
}

static void split_refuses(const char *line, const char *expected)
{
    char copy[256];
    char error[MONITOR_ERROR_BYTES] = "";
    struct monitor_words words;
    snprintf(copy, sizeof copy, "%s", line);
    assert_false(monitor_split(copy, &words, error));
    assert_string_equal(error, expected);
}

static void lines_are_split(void **state)
{
    (void)state;
    splits("", "");
    splits("  \t ", "");
    splits("mem", "mem");
    splits("  mem\t-j  ", "mem|-j");
    splits("log 'two words' x", "log|two words|x");
    splits("log \"say \\\"hi\\\" \\\\\" x", "log|say \"hi\" \\|x");
    splits("log 'it\\' x", "log|it\\|x");
    splits("log a\\ b", "log|a b");
    splits("log a'b'\"c\"d", "log|abcd");
    splits("log '' \"\" x", "log|||x");
    splits("mem # a comment", "mem");
    splits("log a#b", "log|a#b");
    splits("# 'only", "");
}

static void broken_lines_are_refused(void **state)
{
    (void)state;
    split_refuses("log 'abc", "no closing '");
    split_refuses("log \"abc\\\"", "no closing \"");
    split_refuses("log \"abc\\", "no closing \"");
    split_refuses("log abc\\", "nothing after the last \\");
    split_refuses("a 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16", "more than 16 words");
    splits("a 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15", "a|1|2|3|4|5|6|7|8|9|10|11|12|13|14|15");
}

static char parse_line[256];

static bool parse(const char *line, struct monitor_call *call, char error[MONITOR_ERROR_BYTES])
{
    struct monitor_words words;
    snprintf(parse_line, sizeof parse_line, "%s", line);
    error[0] = '\0';
    assert_true(monitor_split(parse_line, &words, error));
    return monitor_parse_call(&table, &words, call, error);
}

static void refuses(const char *line, const char *expected)
{
    struct monitor_call call;
    char error[MONITOR_ERROR_BYTES];
    assert_false(parse(line, &call, error));
    assert_string_equal(error, expected);
}

static void options_and_arguments_are_sorted(void **state)
{
    (void)state;
    struct monitor_call call;
    char error[MONITOR_ERROR_BYTES];
    assert_true(parse("log frames -n 5 -j --level=info", &call, error));
    assert_string_equal(call.command->name, "log");
    assert_true(call.json);
    assert_int_equal(call.argument_count, 1);
    assert_string_equal(call.arguments[0], "frames");
    assert_null(call.arguments[1]);
    assert_string_equal(monitor_option(&call, "-n"), "5");
    assert_string_equal(monitor_option(&call, "--level"), "info");
    assert_null(monitor_option(&call, "--raw"));
    assert_string_equal(call.format, "");

    assert_true(parse("log --raw -- -j", &call, error));
    assert_false(call.json);
    assert_string_equal(monitor_option(&call, "--raw"), "");
    assert_string_equal(call.arguments[0], "-j");

    assert_true(parse("run -j ls -l -j -- .", &call, error));
    assert_true(call.json);
    assert_int_equal(call.argument_count, 5);
    assert_string_equal(call.arguments[1], "-l");
    assert_string_equal(call.arguments[2], "-j");
    assert_string_equal(call.arguments[3], "--");
    assert_true(parse("run ls -j", &call, error));
    assert_false(call.json);
    assert_true(parse("run -- -j", &call, error));
    assert_false(call.json);
    assert_string_equal(call.arguments[0], "-j");
    refuses("run -l ls", "no option '-l'; see 'help run'");

    assert_true(parse("x/8 -1", &call, error));
    assert_string_equal(call.command->name, "x");
    assert_string_equal(call.format, "8");
    assert_string_equal(call.arguments[0], "-1");
    assert_true(parse("log --level= -", &call, error));
    assert_string_equal(monitor_option(&call, "--level"), "");
    assert_string_equal(call.arguments[0], "-");
}

static void wrong_calls_are_refused_by_name(void **state)
{
    (void)state;
    refuses("nonsense", "unknown command 'nonsense'; 'help' lists all");
    refuses("rebot", "unknown command 'rebot'; did you mean 'reboot'?");
    refuses("MEM", "unknown command 'MEM'; 'help' lists all");
    refuses("mme", "unknown command 'mme'; did you mean 'mem'?");
    refuses("''", "unknown command ''; 'help' lists all");
    refuses("mem/8", "unknown command 'mem/8'; did you mean 'mem'?");
    refuses("mem 1", "too many arguments (1); usage: mem [-j]");
    refuses("x", "too few arguments (0); usage: x[/FORMAT] ADDRESS");
    refuses("mem -q", "no option '-q'; see 'help mem'");
    refuses("reboot -j", "no option '-j'; see 'help reboot'");
    refuses("log -n", "option -n needs a COUNT");
    refuses("log -n 1 -n 2", "option -n given twice");
    refuses("log --raw=1", "option --raw takes no value");
    refuses("log a b", "too many arguments (2); usage: log [-j] [-n COUNT] [--level LEVEL] [--raw] [TEXT]");
    refuses("a\nb\x1b[2J\x7f", "unknown command 'a?b?[2J?'; 'help' lists all");
    char longest[256] = "";
    memset(longest, 'y', 200);
    refuses(longest, "unknown command 'yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy'; 'help' lists all");
}

static void json_is_known_even_when_the_rest_is_wrong(void **state)
{
    (void)state;
    struct monitor_call call;
    char error[MONITOR_ERROR_BYTES];
    assert_false(parse("mem surplus -j", &call, error));
    assert_true(call.json);
    assert_false(parse("mem -q -j", &call, error));
    assert_true(call.json);
}

static void undeclared_option_panics(void **state)
{
    (void)state;
    struct monitor_call call;
    char error[MONITOR_ERROR_BYTES];
    struct host_panic_trap trap;
    bool panicked;
    assert_true(parse("mem", &call, error));
    CATCH_PANIC(trap, panicked, monitor_option(&call, "-x"));
    assert_true(panicked);
}

static void commands_come_in_order(void **state)
{
    (void)state;
    char joined[128] = "";
    const struct monitor_command *command = NULL;
    while ((command = monitor_next(&table, command))) {
        size_t length = strlen(joined);
        snprintf(joined + length, sizeof joined - length, "%s ", command->name);
    }
    assert_string_equal(joined, "a fault log mem pager reboot run x ");
}

static bool find_symbol(const char *name, size_t bytes, uint64_t *value)
{
    if (bytes == 5 && memcmp(name, "start", 5) == 0) {
        *value = 0xffffffff80000000;
        return true;
    }
    if (bytes == 3 && memcmp(name, "add", 3) == 0) {
        *value = 5;
        return true;
    }
    return false;
}

static void evaluates(const char *text, uint64_t expected)
{
    uint64_t value = ~expected;
    char error[MONITOR_ERROR_BYTES];
    assert_true(monitor_evaluate(text, find_symbol, &value, error));
    assert_int_equal(value, expected);
}

static void evaluation_refuses(const char *text, const char *expected)
{
    uint64_t value = 77;
    char error[MONITOR_ERROR_BYTES];
    assert_false(monitor_evaluate(text, find_symbol, &value, error));
    assert_string_equal(error, expected);
    assert_int_equal(value, 77);
}

static void addresses_are_evaluated(void **state)
{
    (void)state;
    evaluates("0x1000", 0x1000);
    evaluates("start", 0xffffffff80000000);
    evaluates("start+0x10", 0xffffffff80000010);
    evaluates("start-4K+1", 0xffffffff7ffff001);
    evaluates("4K+add", 4101);
    evaluates("0xffffffffffffffff", UINT64_MAX);
    evaluation_refuses("", "'' is neither number nor symbol");
    evaluation_refuses("start+", "'start+' is neither number nor symbol");
    evaluation_refuses("+1", "'+1' is neither number nor symbol");
    evaluation_refuses("-1", "'-1' is neither number nor symbol");
    evaluation_refuses("start--1", "'start--1' is neither number nor symbol");
    evaluation_refuses("f", "'f' is neither number nor symbol"); /* too short to be an address */
    evaluation_refuses("ffffffffffffffff0", "'ffffffffffffffff0' is neither number nor symbol");
    evaluation_refuses("stat", "'stat' is neither number nor symbol");
    evaluation_refuses("ffffffff80000000",
                       "'ffffffff80000000' is neither number nor symbol; did you mean 0xffffffff80000000?");
    evaluation_refuses("0xffffffffffffffff+1", "'0xffffffffffffffff+1' leaves the 64-bit address space");
    evaluation_refuses("add-6", "'add-6' leaves the 64-bit address space");
    evaluation_refuses("start+18446744073709551616", "'18446744073709551616' is more than 64 bits");
}

static void add_symbols(struct line_completion *completion)
{
    line_completion_add(completion, "frame_alloc");
    line_completion_add(completion, "frame_free");
}

/* Completes `line` at its end: count of candidates, and their common beginning. */
static void completes(const char *line, size_t count, const char *common)
{
    struct line_completion completion = {0};
    monitor_complete(&table, line, strlen(line), add_symbols, &completion);
    assert_int_equal(completion.count, count);
    assert_int_equal(completion.common_bytes, strlen(common));
    assert_memory_equal(completion.common, common, strlen(common));
}

static void words_are_completed(void **state)
{
    (void)state;
    completes("", 8, "");
    completes("m", 1, "mem");
    completes("  re", 1, "reboot");
    completes("q", 0, "");
    completes("fault ", 2, "pa");
    completes("fault pan", 1, "panic");
    completes("pager o", 2, "o");
    completes("pager on o", 0, "");
    completes("log -", 4, "-");
    completes("log --", 2, "--");
    completes("log x --l", 1, "--level");
    completes("mem -", 1, "-j");
    completes("reboot -", 0, "");
    completes("x frame_", 2, "frame_");
    completes("x/8 frame_a", 1, "frame_alloc");
    completes("mem x", 0, "");
    completes("nonsense x", 0, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_are_split),
        cmocka_unit_test(broken_lines_are_refused),
        cmocka_unit_test(options_and_arguments_are_sorted),
        cmocka_unit_test(wrong_calls_are_refused_by_name),
        cmocka_unit_test(json_is_known_even_when_the_rest_is_wrong),
        cmocka_unit_test(undeclared_option_panics),
        cmocka_unit_test(commands_come_in_order),
        cmocka_unit_test(addresses_are_evaluated),
        cmocka_unit_test(words_are_completed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
