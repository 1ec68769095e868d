/* Damage of page tables that the operation which meets it notices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "mm/paging/valid.h"
#include "tests/host/support/damage.h"

#define WHERE 0xffffd00000000000ULL

static struct tables tables;

static int start(void **state)
{
    (void)state;
    tables_make(&tables, MIB(16), 4, PAGE_LEVEL_1G);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    validate_at_random(0);
    tables_destroy(&tables);
    return 0;
}

static enum page_table_error map(void)
{
    return page_table_map(&tables.kernel, virt_addr(WHERE), phys_addr(0), MIB(2), PAGE_WRITE,
                          CACHE_WRITE_BACK, PAGE_LEVEL_4K);
}

static void tables_that_are_none(void **state)
{
    (void)state;
    struct page_table *table = &tables.kernel;
    EXPECT_DAMAGE_SEEN(table->levels, 3, map(), "page_table_is_valid");
    EXPECT_DAMAGE_SEEN(table->root, phys_addr(4), map(), "page_table_is_valid");
    EXPECT_DAMAGE_SEEN(table->access, NULL, map(), "page_table_is_valid");
    EXPECT_DAMAGE_SEEN(table->kernel, table, map(), "page_table_is_valid");
}

static void a_batch_beyond_its_room(void **state)
{
    (void)state;
    struct tlb_batch batch;
    tlb_batch_start(&batch, &tables.kernel);
    assert_true(tlb_batch_is_valid(&batch));
    EXPECT_DAMAGE_SEEN(batch.range_count, TLB_BATCH_RANGES + 1, tlb_batch_finish(&batch),
                       "tlb_batch_is_valid");
    EXPECT_DAMAGE_SEEN(batch.frame_count, TLB_BATCH_FRAMES + 1, tlb_batch_finish(&batch),
                       "tlb_batch_is_valid");
    EXPECT_DAMAGE_SEEN(batch.pages, 1, tlb_batch_finish(&batch), "tlb_batch_is_valid");
}

/* What no constant-time look can see, the whole validator does, if its turn comes. */
static void damage_that_only_the_validator_sees(void **state)
{
    (void)state;
    validate_at_random(1);
    EXPECT_DAMAGE_SEEN(tables.kernel.table_frames, tables.kernel.table_frames + 1, map(), "page_table_check");
    validate_end(); /* of the one that ended in a panic */
    tables_before(&tables);
    assert_int_equal(map(), PAGE_TABLE_OK);
    tables_after(&tables);
    assert_int_equal(tables_unmap(&tables, WHERE, MIB(2)), PAGE_TABLE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tables_that_are_none, start, stop),
        cmocka_unit_test_setup_teardown(a_batch_beyond_its_room, start, stop),
        cmocka_unit_test_setup_teardown(damage_that_only_the_validator_sees, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
