/*
 * How long the lock of the kernel's page tables is held while spaces come and go: no longer the more there
 * are.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "tests/host/support/counted.h"

#define HOLD_MAX 500 /* branches of the longest hold allowed */
#define SPACES   5000

static struct tables tables;
static struct page_table spaces[SPACES];

static void make(unsigned i)
{
    assert_int_equal(
        page_table_init(&spaces[i], &tables.machine.pool, &tables.physmap, 4, PAGE_LEVEL_2M, &tables.kernel),
        PAGE_TABLE_OK);
}

static void no_hold_grows_with_the_spaces(void **state)
{
    (void)state;
    tables_make(&tables, MIB(64), 4, PAGE_LEVEL_2M);
    count_begin();
    for (unsigned i = 0; i < SPACES; i++) {
        make(i);
    }
    count_end("making", "5,000 spaces", HOLD_MAX);
    count_begin();
    for (unsigned i = 0; i < SPACES; i++) { /* the oldest is the last in the list; then one amid others */
        page_table_destroy(&spaces[i % 2 ? SPACES - i : i]);
    }
    count_end("destroying", "5,000 spaces", HOLD_MAX);
    tables_destroy(&tables); /* none is in the list any more */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_hold_grows_with_the_spaces)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
