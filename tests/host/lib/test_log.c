/* The log: the ring with its readers and late writers, and the way of a line to the console. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define LOG_SUBSYSTEM "test"
#include <ashlar/console.h>
#include <ashlar/log.h>
#include <ashlar/platform.h>

#include "kernel/lib/log_ring.h"

/* ---- The ring ---- */

enum { SMALL = 8 };

static struct log_slot small_slots[SMALL];
static struct log_ring small;

static void start_small(void)
{
    memset(small_slots, 0, sizeof small_slots);
    small = (struct log_ring){small_slots, SMALL, 0};
}

static void append(unsigned number)
{
    struct log_text text = {0};
    text.length = (size_t)snprintf(text.characters, sizeof text.characters, "line %u", number);
    log_ring_append(&small, LOG_INFO, "ring", 1000 + number, number % 4, &text);
}

static void expect_record(struct log_reader *reader, bool pass, unsigned number, uint64_t lost)
{
    struct log_record record;
    char expected[32];
    snprintf(expected, sizeof expected, "line %u", number);
    assert_true(log_ring_read(&small, reader, pass, &record));
    assert_string_equal(record.text, expected);
    assert_string_equal(record.subsystem, "ring");
    assert_int_equal(record.sequence, number);
    assert_int_equal(record.ticks, 1000 + number);
    assert_int_equal(record.cpu, number % 4);
    assert_int_equal(record.lost, lost);
}

static void expect_end(struct log_reader *reader, bool pass)
{
    struct log_record record;
    assert_false(log_ring_read(&small, reader, pass, &record));
}

static void lines_come_back_in_order(void **state)
{
    (void)state;
    start_small();
    struct log_reader reader = {0, 0};
    expect_end(&reader, true);
    for (unsigned i = 0; i < 5; i++) {
        append(i);
    }
    for (unsigned i = 0; i < 5; i++) {
        expect_record(&reader, false, i, 0);
    }
    expect_end(&reader, false);
    append(5);
    expect_record(&reader, false, 5, 0);
}

static void old_lines_drop_whole_and_are_counted(void **state)
{
    (void)state;
    start_small();
    struct log_reader reader = {0, 0};
    for (unsigned i = 0; i < 3 * SMALL + 2; i++) {
        append(i);
    }
    expect_record(&reader, false, 2 * SMALL + 2, 2 * SMALL + 2);
    for (unsigned i = 2 * SMALL + 3; i < 3 * SMALL + 2; i++) {
        expect_record(&reader, false, i, 0);
    }
    expect_end(&reader, false);
}

static void an_unfinished_line_is_waited_for_or_passed_over(void **state)
{
    (void)state;
    start_small();
    uint64_t held_up;
    struct log_reader waiting = {0, 0};
    struct log_reader passing = {0, 0};
    append(0);
    assert_true(log_ring_begin(&small, &held_up));
    append(2);
    expect_record(&waiting, false, 0, 0);
    expect_end(&waiting, false);
    assert_false(log_ring_readable(&small, &waiting));
    expect_record(&passing, true, 0, 0);
    expect_record(&passing, true, 2, 1);
    log_ring_finish(&small, held_up);
    assert_true(log_ring_readable(&small, &waiting));
    struct log_record record;
    assert_true(log_ring_read(&small, &waiting, false, &record));
    assert_int_equal(record.sequence, 1);
    expect_record(&waiting, false, 2, 0);
}

/* Nobody waits for a writer that never comes back: half a ring later its line counts as lost. */
static void a_stuck_writer_holds_nobody_up_for_ever(void **state)
{
    (void)state;
    start_small();
    uint64_t stuck;
    struct log_reader reader = {0, 0};
    assert_true(log_ring_begin(&small, &stuck));
    for (unsigned i = 1; i < SMALL / 2; i++) {
        append(i);
        expect_end(&reader, false);
    }
    append(SMALL / 2);
    assert_true(log_ring_readable(&small, &reader));
    expect_record(&reader, false, 1, 1);
}

/* The whole ring goes round while one writer is held up: its slot is not taken from under it. */
static void a_lapped_writer_keeps_its_slot(void **state)
{
    (void)state;
    start_small();
    uint64_t held_up;
    uint64_t sequence;
    assert_true(log_ring_begin(&small, &held_up));
    for (unsigned i = 1; i < SMALL; i++) {
        append(i);
    }
    assert_false(log_ring_begin(&small, &sequence));
    append(SMALL + 1);
    struct log_reader reader = {SMALL - 1, 0};
    expect_record(&reader, true, SMALL - 1, 0);
    expect_record(&reader, true, SMALL + 1, 1);
    for (unsigned i = SMALL + 2; i <= 2 * SMALL + 1; i++) {
        append(i); /* the one in the middle finds the slot taken still, and is lost */
    }
    expect_record(&reader, true, SMALL + 2, 0);
    for (unsigned i = SMALL + 3; i < 2 * SMALL; i++) {
        expect_record(&reader, true, i, 0);
    }
    expect_record(&reader, true, 2 * SMALL + 1, 1);
    log_ring_finish(&small, held_up);
}

/* ---- To the console ---- */

static char captured[65536];
static size_t captured_bytes;
static unsigned flushes;
static void (*during_write)(void); /* what "interrupts" the sink, once */

static void capture(struct console_sink *sink, const char *text, size_t bytes)
{
    (void)sink;
    void (*interrupt)(void) = during_write;
    during_write = NULL;
    if (interrupt) {
        interrupt();
    }
    assert_true(captured_bytes + bytes < sizeof captured);
    memcpy(captured + captured_bytes, text, bytes);
    captured_bytes += bytes;
    captured[captured_bytes] = '\0';
}

static void count_flush(struct console_sink *sink)
{
    (void)sink;
    flushes++;
}

static struct console_sink sink = {.name = "capture", .write = capture, .flush = count_flush};

static void forget(void)
{
    captured_bytes = 0;
    captured[0] = '\0';
    flushes = 0;
}

static void levels_decide_what_is_shown(void **state)
{
    (void)state;
    forget();
    log_set_clock(cpu_ticks() + ((uint64_t)1 << 60), 0);
    log_debug("hidden %d", 1);
    log_info("shown %d", 2);
    log_warning("strange %s", "thing");
    assert_null(strstr(captured, "hidden"));
    assert_non_null(strstr(captured, "] test: shown 2\n"));
    assert_non_null(strstr(captured, "] test: warning: strange thing\033[0m\n"));
    assert_int_equal(flushes, 0);
    log_error("broken");
    assert_int_equal(flushes, 1);
    log_set_console_level(LOG_DEBUG);
    log_debug("now seen");
    assert_non_null(strstr(captured, "now seen"));
    log_set_console_level(LOG_ERROR);
    log_warning("kept back");
    assert_null(strstr(captured, "kept back"));
    log_set_console_level(LOG_INFO);
    struct log_reader reader = log_reader_last(1);
    struct log_record record;
    assert_true(log_read(&reader, &record));
    assert_string_equal(record.text, "kept back");
    assert_false(log_read(&reader, &record));
}

static void log_a_flood(void)
{
    for (unsigned i = 0; i < LOG_RECORDS + 5; i++) {
        log_error("flood %u", i);
    }
}

/* From the oldest line that is kept; and the console says how many lines it was too slow for. */
static void lines_that_were_lost_are_counted(void **state)
{
    (void)state;
    struct log_record record;
    struct log_reader reader = log_reader_first();
    assert_true(log_read(&reader, &record));
    uint64_t first = record.sequence;
    log_set_console_level(LOG_ERROR);
    for (unsigned i = 0; i < LOG_RECORDS; i++) {
        log_info("line %u", i);
    }
    reader = log_reader_first();
    assert_true(log_read(&reader, &record));
    assert_true(record.sequence > first);
    forget();
    during_write = log_a_flood;
    console_print("slow|");
    log_set_console_level(LOG_INFO);
    assert_non_null(strstr(captured, "(5 log lines lost)\n"));
}

static void log_from_interrupt(void)
{
    log_info("from the interrupt");
    assert_null(strstr(captured, "from the interrupt"));
}

/* A line logged while its own CPU is inside the console comes out afterwards, and whole. */
static void a_line_from_within_the_console_comes_after(void **state)
{
    (void)state;
    forget();
    during_write = log_from_interrupt;
    console_print("first %d|", 1);
    assert_ptr_equal(captured, strstr(captured, "first 1|["));
    assert_non_null(strstr(captured, "test: from the interrupt\n"));
    forget();
    during_write = log_from_interrupt;
    log_info("outer");
    assert_true(strstr(captured, "outer") < strstr(captured, "from the interrupt"));
}

static void long_lines_are_cut(void **state)
{
    (void)state;
    char text[2 * LOG_TEXT_BYTES];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    log_info("%s", text);
    struct log_reader reader = log_reader_last(1);
    struct log_record record;
    assert_true(log_read(&reader, &record));
    assert_int_equal(strlen(record.text), LOG_TEXT_BYTES);
}

static void time_is_ticks_until_the_clock_is_known(void **state)
{
    (void)state;
    struct log_record record = {.ticks = 5000000123, .subsystem = "s", .level = LOG_INFO, .text = "t"};
    char line[LOG_LINE_BYTES];
    log_set_clock(123, 0);
    assert_int_equal(log_format_record(&record, line, sizeof line), strlen("[  5000000000] s: t"));
    assert_string_equal(line, "[  5000000000] s: t");
    log_set_clock(123, 2000000000);
    log_format_record(&record, line, sizeof line);
    assert_string_equal(line, "[    2.500000] s: t");
    log_set_clock(0, 0);
}

/* Where the counters of CPUs differ, lines have the time of CPU 0's, and places are not flooded for it. */
static void lines_of_a_cpu_that_is_ahead_have_the_common_time(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    struct log_record record;
    uint64_t before = cpu_ticks();
    assert_true(log_limit_passes(&limit, LOG_INFO, "ahead"));
    uint64_t window = limit.window;
    host_counter_ahead = UINT64_C(1) << 60;
    log_info("from far ahead");
    assert_true(log_limit_passes(&limit, LOG_INFO, "ahead"));
    host_counter_ahead = 0;
    struct log_reader reader = log_reader_last(1);
    assert_true(log_read(&reader, &record));
    assert_in_range(record.ticks, before, cpu_ticks());
    assert_in_range(limit.window, window, cpu_ticks() | 1);
}

static void flooding_places_are_limited(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    unsigned passed = 0;
    for (int i = 0; i < 100; i++) {
        passed += log_limit_passes(&limit, LOG_WARNING, "flood");
    }
    assert_in_range(passed, LOG_LIMIT_LINES, 99); /* more only if the host slept through a window */
    forget();
    limit.window -= LOG_LIMIT_TICKS;
    assert_true(log_limit_passes(&limit, LOG_WARNING, "flood"));
    char expected[64];
    snprintf(expected, sizeof expected, "(%u lines like the next were not logged)", 100 - passed);
    assert_non_null(strstr(captured, expected));
    for (int i = 0; i < 20; i++) {
        log_info_limited("place %d", i);
    }
    assert_non_null(strstr(captured, "place 7"));
}

static void what_a_test_provokes_is_no_warning(void **state)
{
    (void)state;
    forget();
    log_set_provoked(true);
    log_error("wanted %d", 7);
    log_info("told");
    log_set_provoked(false);
    log_warning("meant");
    assert_non_null(strstr(captured, "] test: (provoked by a test) wanted 7\n"));
    assert_non_null(strstr(captured, "] test: told\n"));
    assert_non_null(strstr(captured, "] test: warning: meant\033[0m\n"));
    assert_int_equal(flushes, 0); /* nothing urgent */
}

static void level_names_are_parsed(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < LOG_LEVEL_COUNT; i++) {
        enum log_level level = LOG_LEVEL_COUNT;
        assert_true(log_level_parse(log_level_name((enum log_level)i), &level));
        assert_int_equal(level, i);
    }
    enum log_level untouched = LOG_INFO;
    assert_false(log_level_parse("loud", &untouched));
    assert_int_equal(untouched, LOG_INFO);
}

static int add_sink(void **state)
{
    (void)state;
    console_add_sink(&sink);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_back_in_order),
        cmocka_unit_test(old_lines_drop_whole_and_are_counted),
        cmocka_unit_test(an_unfinished_line_is_waited_for_or_passed_over),
        cmocka_unit_test(a_stuck_writer_holds_nobody_up_for_ever),
        cmocka_unit_test(a_lapped_writer_keeps_its_slot),
        cmocka_unit_test(levels_decide_what_is_shown),
        cmocka_unit_test(lines_that_were_lost_are_counted),
        cmocka_unit_test(a_line_from_within_the_console_comes_after),
        cmocka_unit_test(long_lines_are_cut),
        cmocka_unit_test(time_is_ticks_until_the_clock_is_known),
        cmocka_unit_test(lines_of_a_cpu_that_is_ahead_have_the_common_time),
        cmocka_unit_test(flooding_places_are_limited),
        cmocka_unit_test(what_a_test_provokes_is_no_warning),
        cmocka_unit_test(level_names_are_parsed),
    };
    return cmocka_run_group_tests(tests, add_sink, NULL);
}
