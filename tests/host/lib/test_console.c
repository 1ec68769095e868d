/* The console's sinks, inputs and broken lock, and the KTAP that the test runner prints to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <ashlar/console.h>
#include <ashlar/platform.h>
#include <ashlar/test.h>

#include "tests/host/support/host.h"

static char captured[2][8192];
static size_t captured_bytes[2];
static bool broken[2]; /* the sink panics when written to */
static struct host_panic_trap trap;

static void capture(unsigned which, const char *text, size_t bytes)
{
    if (broken[which]) {
        panic("sink %u broke", which);
    }
    assert_true(captured_bytes[which] + bytes < sizeof captured[which]);
    memcpy(captured[which] + captured_bytes[which], text, bytes);
    captured_bytes[which] += bytes;
    captured[which][captured_bytes[which]] = '\0';
}

static void capture_first(struct console_sink *sink, const char *text, size_t bytes)
{
    (void)sink;
    capture(0, text, bytes);
}

static void capture_second(struct console_sink *sink, const char *text, size_t bytes)
{
    (void)sink;
    capture(1, text, bytes);
}

static struct console_sink first = {.name = "first", .write = capture_first};
static struct console_sink second = {.name = "second", .write = capture_second};

static void forget(void)
{
    memset(captured_bytes, 0, sizeof captured_bytes);
    captured[0][0] = captured[1][0] = '\0';
}

static void text_goes_to_every_sink(void **state)
{
    (void)state;
    console_add_sink(&first);
    console_print("one %s\n", "sink");
    console_add_sink(&second);
    console_write("both\n", 5);
    console_flush();
    assert_string_equal(captured[0], "one sink\nboth\n");
    assert_string_equal(captured[1], "both\n");
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    char text[2 * CONSOLE_LINE_BYTES];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    forget();
    console_print("%s", text);
    assert_int_equal(captured_bytes[0], CONSOLE_LINE_BYTES - 1);
}

/* ---- The test runner ---- */

static unsigned runs;

static void passes(void)
{
    runs++;
    bool condition = kernel_test_expect(runs > 0, "f.c", 1, "runs > 0");
    assert_true(condition);
}

static void fails(void)
{
    EXPECT_EQUAL(1 + 1, 3);
    runs += 1000; /* not reached */
}

static void fails_plainly(void)
{
    EXPECT(runs == UINT32_MAX);
    runs += 1000; /* not reached */
}

static void skips(void)
{
    kernel_test_skip("no such device");
}

static const struct kernel_test tests_given[] = {
    {"b_passes", passes},       {"d_skips", skips},   {"a_fails", fails},
    {"c_fails", fails_plainly}, {"b_passes", passes},
};

static const struct kernel_test_order by_name;

static void tests_are_reported_as_ktap(void **state)
{
    (void)state;
    forget();
    runs = 0;
    assert_int_equal(kernel_tests_run_array(tests_given, ARRAY_LENGTH(tests_given), "", &by_name), 2);
    assert_int_equal(runs, 2);
    assert_non_null(strstr(captured[0], "KTAP version 1\n1..5\n# "));
    assert_non_null(strstr(captured[0],
                           ": 1 + 1 == 3: is 2 (0x2), should be 3 (0x3)\nnot ok 1 a_fails\nok 2 b_passes\n"
                           "ok 3 b_passes\n# "));
    assert_non_null(
        strstr(captured[0], ": runs == UINT32_MAX\nnot ok 4 c_fails\nok 5 d_skips # SKIP no such device\n"));
}

static void a_pattern_selects_tests(void **state)
{
    (void)state;
    forget();
    assert_int_equal(kernel_tests_run_array(tests_given, ARRAY_LENGTH(tests_given), "pass", &by_name), 0);
    assert_string_equal(captured[0], "KTAP version 1\n1..2\nok 1 b_passes\nok 2 b_passes\n");
    forget();
    assert_int_equal(kernel_tests_run_array(tests_given, ARRAY_LENGTH(tests_given), "d_s,none,b_", &by_name),
                     0);
    assert_string_equal(captured[0], "KTAP version 1\n1..3\nok 1 b_passes\nok 2 b_passes\n"
                                     "ok 3 d_skips # SKIP no such device\n");
    forget();
    assert_int_equal(
        kernel_tests_run_array(tests_given, ARRAY_LENGTH(tests_given), "b_passes2,d_skip2", &by_name), 1);
    forget();
    assert_int_equal(kernel_tests_run_array(tests_given, ARRAY_LENGTH(tests_given), "nothing", &by_name), 1);
    assert_string_equal(captured[0], "KTAP version 1\n1..0\n# no test has \"nothing\" in its name\n");
}

static char undone[8];

static void undo(void *object)
{
    size_t length = strlen(undone);
    undone[length] = *(const char *)object;
    undone[length + 1] = '\0';
}

static void fails_half_way(void)
{
    kernel_test_undo_later(undo, "a");
    kernel_test_undo_later(undo, "b");
    kernel_test_undo_later(undo, "c");
    EXPECT(undone[0] != '\0');
}

static void undoes_itself(void)
{
    static char object[] = "d";
    EXPECT_EQUAL(strlen(undone), 3);
    static char other[] = "e";
    kernel_test_undo_later(undo, other);
    kernel_test_undo_later(undo, object);
    kernel_test_undone(object); /* and the other is still to be undone */
    kernel_test_undone(other);
}

static void what_a_failed_test_made_is_undone(void **state)
{
    (void)state;
    static const struct kernel_test two[] = {{"a", fails_half_way}, {"b", undoes_itself}};
    assert_int_equal(kernel_tests_run_array(two, 2, "", &by_name), 1);
    assert_string_equal(undone, "cba");
}

static void tests_run_in_other_orders(void **state)
{
    (void)state;
    static const struct kernel_test all_pass[] = {
        {"a", passes}, {"b", passes}, {"c", passes}, {"b", passes}, {"d", passes}};
    const struct kernel_test_order backwards = {.backwards = true};
    runs = 0;
    forget();
    assert_int_equal(kernel_tests_run_array(all_pass, 5, "", &backwards), 0);
    assert_string_equal(captured[0], "KTAP version 1\n1..5\nok 1 d\nok 2 c\nok 3 b\nok 4 b\nok 5 a\n");

    /* By chance each runs once; the same seed makes the same order, and some seed another. */
    char first_order[256] = "";
    bool differs = false;
    for (uint64_t seed = 1; seed < 20; seed++) {
        const struct kernel_test_order by_chance = {.seed = seed};
        for (unsigned again = 0; again < 2; again++) {
            char before[256];
            snprintf(before, sizeof before, "%s", captured[0]);
            runs = 0;
            forget();
            assert_int_equal(kernel_tests_run_array(all_pass, 5, "", &by_chance), 0);
            assert_int_equal(runs, 5);
            assert_true(again == 0 || strcmp(before, captured[0]) == 0);
        }
        snprintf(first_order, sizeof first_order, "%s", seed == 1 ? captured[0] : first_order);
        differs = differs || strcmp(first_order, captured[0]) != 0;
    }
    assert_true(differs);
}

/* ---- Inputs ---- */

static const char *typed[2] = {"", ""};

static bool read_typed(struct console_input *input, uint8_t *byte)
{
    unsigned which = input->name[0] == 'b';
    if (*typed[which] == '\0') {
        return false;
    }
    *byte = (uint8_t)*typed[which]++;
    return true;
}

static void bytes_come_from_any_input(void **state)
{
    (void)state;
    static struct console_input a = {.name = "a", .read = read_typed};
    static struct console_input b = {.name = "b", .read = read_typed};
    assert_int_equal(console_read(), -1);
    console_add_input(&a);
    console_add_input(&b);
    assert_int_equal(console_read(), -1);
    typed[1] = "\xff";
    assert_int_equal(console_read(), 0xff);
    typed[0] = "x";
    assert_int_equal(console_read(), 'x');
    assert_int_equal(console_read(), -1);
}

static void too_many_inputs_or_sinks_panic(void **state)
{
    (void)state;
    static struct console_input more[CONSOLE_INPUTS_MAX];
    static struct console_sink many[CONSOLE_SINKS_MAX];
    bool panicked = false;
    for (int i = 0; i < CONSOLE_INPUTS_MAX && !panicked; i++) {
        more[i] = (struct console_input){.name = "more", .read = read_typed};
        CATCH_PANIC(trap, panicked, console_add_input(&more[i]));
    }
    assert_true(panicked);
    assert_non_null(strstr(trap.message, "no room for the input \"more\""));
    panicked = false;
    for (int i = 0; i < CONSOLE_SINKS_MAX && !panicked; i++) {
        many[i] = (struct console_sink){.name = "many", .write = capture_second};
        CATCH_PANIC(trap, panicked, console_add_sink(&many[i]));
    }
    assert_true(panicked);
    assert_non_null(strstr(trap.message, "no room for the sink \"many\""));
}

/* A sink that panics leaves the lock held. The panic breaks the lock and prints; the second time that sink
 * goes. */
static void a_panic_gets_through(void **state)
{
    (void)state;
    bool panicked;
    forget();
    broken[0] = true;
    CATCH_PANIC(trap, panicked, console_print("never arrives"));
    assert_true(panicked);
    assert_false(console_try_hold());
    console_break_lock();
    CATCH_PANIC(trap, panicked, console_print("panic: the first sink still hinders"));
    assert_true(panicked);
    console_break_lock();
    console_print("panic: seen");
    console_flush();
    assert_string_equal(captured[0], "");
    assert_non_null(strstr(captured[1], "panic: seen"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_goes_to_every_sink),    cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(tests_are_reported_as_ktap), cmocka_unit_test(a_pattern_selects_tests),
        cmocka_unit_test(tests_run_in_other_orders),  cmocka_unit_test(what_a_failed_test_made_is_undone),
        cmocka_unit_test(bytes_come_from_any_input),  cmocka_unit_test(too_many_inputs_or_sinks_panic),
        cmocka_unit_test(a_panic_gets_through),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
