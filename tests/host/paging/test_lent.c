/* Tables that belong to somebody else: seen by all, changed by nobody here. With 4 and with 5 levels. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "fixture.h"
#include "tests/host/support/host.h"

#define ROOM      0xffffc00000000000ULL /* lent: one PML4 entry */
#define ROOM_END  (ROOM + GIB(512))
#define NEIGHBOUR (ROOM + GIB(512))

static struct tables tables;
static phys_addr_t chain[3]; /* the lender's tables of levels 3, 2 and 1, all for the first page of ROOM */

static page_table_entry_t *lenders_entries(unsigned level)
{
    return frame_pointer(&tables.machine.pool, chain[PAGE_LEVEL_1G - level]);
}

/* The lender's page at ROOM shows physical address 2 MiB. */
static void lend(unsigned levels)
{
    tables_make(&tables, GIB(1), levels, PAGE_LEVEL_1G);
    for (unsigned i = 0; i < ARRAY_LENGTH(chain); i++) {
        chain[i] = frame_alloc_zeroed(&tables.machine.pool, OWNER_DESCRIPTORS);
        assert_true(chain[i].raw != FRAME_NONE.raw);
    }
    lenders_entries(PAGE_LEVEL_1G)[0] = page_entry_table(chain[1], false);
    lenders_entries(PAGE_LEVEL_2M)[0] = page_entry_table(chain[2], false);
    lenders_entries(PAGE_LEVEL_4K)[0] =
        page_entry_leaf(phys_addr(MIB(2)), PAGE_LEVEL_4K, PAGE_WRITE, CACHE_WRITE_BACK);
    assert_int_equal(tables_map(&tables, NEIGHBOUR, MIB(4), KIB(4), PAGE_WRITE, PAGE_LEVEL_4K),
                     PAGE_TABLE_OK);
    page_table_lend(&tables.kernel, virt_addr(ROOM), chain[0]);
    tables_check(&tables.kernel);
}

/* Page tables with lent parts are never destroyed: the whole machine goes. */
static void forget(void)
{
    mmu_model_remove(&tables.kernel);
    machine_destroy(&tables.machine);
}

static void expect_room(const struct page_table *table)
{
    assert_int_equal(mmu_model_walk(table, ROOM).target, MIB(2));
    assert_int_equal(page_table_translate(table, virt_addr(ROOM)).target.raw, MIB(2));
}

static void lent_tables_are_seen_and_kept(unsigned levels)
{
    lend(levels);
    expect_room(&tables.kernel);
    uint64_t before = tables.kernel.table_frames;
    assert_int_equal(tables_map(&tables, ROOM + KIB(4), 0, KIB(4), PAGE_WRITE, PAGE_LEVEL_4K),
                     PAGE_TABLE_OCCUPIED);
    assert_int_equal(tables_map(&tables, ROOM_END - KIB(4), 0, KIB(8), PAGE_WRITE, PAGE_LEVEL_4K),
                     PAGE_TABLE_OCCUPIED);
    assert_int_equal(tables_protect(&tables, ROOM, GIB(1024), PAGE_READ), PAGE_TABLE_OK);
    assert_true(page_table_translate(&tables.kernel, virt_addr(ROOM)).access & PAGE_WRITE);
    assert_int_equal(tables_unmap(&tables, ROOM - GIB(512), GIB(2048)), PAGE_TABLE_OK);
    expect_room(&tables.kernel);
    assert_false(page_table_translate(&tables.kernel, virt_addr(NEIGHBOUR)).mapped);
    assert_true(tables.kernel.table_frames < before);
    forget();
}

static void with_4_levels_they_are_kept(void **state)
{
    (void)state;
    lent_tables_are_seen_and_kept(4);
}

static void with_5_levels_they_are_kept(void **state)
{
    (void)state;
    lent_tables_are_seen_and_kept(5);
}

static void a_single_page_of_them_cannot_be_set(void **state)
{
    (void)state;
    lend(4);
    page_table_entry_t old;
    page_table_entry_t leaf = page_entry_leaf(phys_addr(0), PAGE_LEVEL_4K, PAGE_READ, CACHE_WRITE_BACK);
    tables_before(&tables);
    assert_int_equal(
        page_table_set(&tables.kernel, virt_addr(ROOM), leaf, PAGE_LEVEL_4K, &old, &tables.batch),
        PAGE_TABLE_OCCUPIED);
    tables_after(&tables);
    expect_room(&tables.kernel);
    forget();
}

/* What the lender adds later is there for all who share the half. */
static void sharers_see_what_the_lender_adds(void **state)
{
    (void)state;
    struct page_table space;
    lend(4);
    assert_int_equal(
        page_table_init(&space, &tables.machine.pool, &tables.physmap, 4, PAGE_LEVEL_1G, &tables.kernel),
        PAGE_TABLE_OK);
    lenders_entries(PAGE_LEVEL_4K)[7] =
        page_entry_leaf(phys_addr(MIB(6)), PAGE_LEVEL_4K, PAGE_WRITE, CACHE_WRITE_BACK);
    expect_room(&space);
    assert_int_equal(page_table_translate(&space, virt_addr(ROOM + 7 * KIB(4))).target.raw, MIB(6));
    tables_check(&tables.kernel);
    tables_check(&space);
    page_table_destroy(&space);
    forget();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_4_levels_they_are_kept),
        cmocka_unit_test(with_5_levels_they_are_kept),
        cmocka_unit_test(a_single_page_of_them_cannot_be_set),
        cmocka_unit_test(sharers_see_what_the_lender_adds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
