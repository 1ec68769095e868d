/* What the heap says of its mistakes and of pointers, in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reports.h"

static void reports_read_well(void **state)
{
    (void)state;
    char text[SLAB_REPORT_BYTES];
    char expected[SLAB_REPORT_BYTES];
    uint8_t *block = heap_alloc(&fixture.heap, 20);
    block[20] = 1;
    heap_free(&fixture.heap, block);
    snprintf(
        expected, sizeof expected,
        "heap: write past the end: %p in cache heap-24, object %p + 20; 1 bytes, expected 0xbb, found 0x1",
        (void *)block, (void *)block);
    slab_report_text(&fixture.report, NULL, text);
    fixture.reports = 0;
    block[20] = 0xbb;
    heap_free(&fixture.heap, block);
    text[strlen(expected)] = '\0'; /* the caller's address ends it */
    assert_string_equal(text, expected);
}

/* What a report without a pointer says. */
static void numbers_are_told(void **state)
{
    (void)state;
    char text[SLAB_REPORT_BYTES];
    static struct slab_cache left;
    assert_null(heap_alloc_array(&fixture.heap, SIZE_MAX / 2, 3));
    fixture.reports = 0;
    slab_report_text(&fixture.report, "the test", text);
    assert_string_equal(text, "heap: size overflow: 9223372036854775807 times 3 bytes; called from the test");
    make(&left, "left", 100, 0);
    assert_non_null(slab_cache_alloc(&left));
    assert_non_null(slab_cache_alloc(&left));
    assert_int_equal(slab_cache_destroy(&left), 2);
    slab_report_text(&fixture.report, NULL, text);
    assert_string_equal(text, "heap: cache destroyed with live objects: 2 of left");
    fixture.free_at_start -= 1; /* their slab stays owned */
    fixture.reports = 0;
    fixture.report = (struct slab_report){.fault = SLAB_LIVE_AT_DESTROY, .found = 7};
    slab_report_text(&fixture.report, NULL, text);
    assert_string_equal(text, "heap: cache destroyed with live objects: 7 of the large blocks");
}

/* The longest that can be is cut off, and stays inside. */
static void long_reports_are_cut(void **state)
{
    (void)state;
    char text[SLAB_REPORT_BYTES + 1];
    char caller[SLAB_REPORT_BYTES];
    memset(caller, 'x', sizeof caller - 1);
    caller[sizeof caller - 1] = '\0';
    text[SLAB_REPORT_BYTES] = 0x55;
    const struct slab_report report = {.fault = SLAB_WRONG_CACHE,
                                       .cache = &typed,
                                       .claimed = &another,
                                       .pointer = &report,
                                       .object = &report,
                                       .length = 1,
                                       .caller = &report};
    slab_report_text(&report, caller, text);
    assert_int_equal(strlen(text), SLAB_REPORT_BYTES - 1);
    assert_int_equal(text[SLAB_REPORT_BYTES], 0x55);
}

static void pointers_are_explained(void **state)
{
    (void)state;
    struct slab_facts facts;
    char *object = slab_cache_alloc(&typed);
    slab_look(&fixture.heap.slabs, object + 7, &facts);
    assert_int_equal(facts.place, SLAB_LIVE);
    assert_ptr_equal(facts.cache, &typed);
    assert_ptr_equal(facts.object, object);
    assert_int_equal(facts.offset, 7);
    assert_int_equal(facts.bytes, 100);
    slab_look(&fixture.heap.slabs, object - 1, &facts);
    assert_int_equal(facts.place, SLAB_BETWEEN);
    slab_look(&fixture.heap.slabs, &facts, &facts);
    assert_int_equal(facts.place, SLAB_NONE);
    slab_cache_free(&typed, object);
    slab_look(&fixture.heap.slabs, object, &facts);
    assert_true(facts.place == SLAB_CACHED || facts.place == SLAB_RESTING);
    slab_reap(&fixture.heap.slabs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TYPED_TEST(pointers_are_explained), TYPED_TEST(numbers_are_told),
        TYPED_TEST(long_reports_are_cut),   DEBUG_TEST(reports_read_well),
        DEBUG_TEST(pointers_are_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
