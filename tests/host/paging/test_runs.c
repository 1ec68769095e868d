/* What is mapped, run by run, and copying it to other tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "fixture.h"
#include "tests/host/support/host.h"

#define HIGH 0xffffd00000000000ULL
#define TOP  ((uint64_t)0 - MIB(2))

static struct tables tables;

static int setup(void **state)
{
    (void)state;
    tables_make(&tables, MIB(16), 4, PAGE_LEVEL_1G);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tables_destroy(&tables);
    return 0;
}

static void map(uint64_t base, uint64_t target, uint64_t bytes, unsigned access, enum page_level largest)
{
    assert_int_equal(tables_map(&tables, base, target, bytes, access, largest), PAGE_TABLE_OK);
}

static void expect_run(struct page_runs *walk, uint64_t base, uint64_t target, uint64_t bytes,
                       enum page_level level)
{
    struct page_run run;
    assert_true(page_runs_next(walk, &run));
    assert_int_equal(run.base.raw, base);
    assert_int_equal(run.target.raw, target);
    assert_int_equal(run.bytes, bytes);
    assert_int_equal(run.level, level);
}

static void expect_end(struct page_runs *walk)
{
    struct page_run run;
    assert_false(page_runs_next(walk, &run));
    assert_false(page_runs_next(walk, &run));
}

static void neighbours_that_are_alike_are_one(void **state)
{
    struct page_runs walk;
    (void)state;
    map(KIB(64), MIB(1), KIB(8), PAGE_WRITE, PAGE_LEVEL_4K);
    map(KIB(72), MIB(1) + KIB(8), KIB(4), PAGE_WRITE, PAGE_LEVEL_4K); /* goes on */
    map(KIB(76), MIB(1) + KIB(12), KIB(4), PAGE_READ, PAGE_LEVEL_4K); /* other access */
    map(KIB(80), MIB(4), KIB(4), PAGE_READ, PAGE_LEVEL_4K);           /* elsewhere */
    map(KIB(88), MIB(4) + KIB(8), KIB(4), PAGE_READ, PAGE_LEVEL_4K);  /* behind a hole */
    map(MIB(2), MIB(2), MIB(4), PAGE_WRITE, PAGE_LEVEL_2M);
    map(MIB(6), MIB(6), MIB(1), PAGE_WRITE, PAGE_LEVEL_2M);        /* goes on in smaller pages */
    map(HIGH - MIB(4), GIB(1), MIB(8), PAGE_WRITE, PAGE_LEVEL_2M); /* across entries of all levels */
    page_runs_start(&walk, &tables.kernel, virt_addr(0), virt_addr(UINT64_MAX));
    expect_run(&walk, KIB(64), MIB(1), KIB(12), PAGE_LEVEL_4K);
    expect_run(&walk, KIB(76), MIB(1) + KIB(12), KIB(4), PAGE_LEVEL_4K);
    expect_run(&walk, KIB(80), MIB(4), KIB(4), PAGE_LEVEL_4K);
    expect_run(&walk, KIB(88), MIB(4) + KIB(8), KIB(4), PAGE_LEVEL_4K);
    expect_run(&walk, MIB(2), MIB(2), MIB(4), PAGE_LEVEL_2M);
    expect_run(&walk, MIB(6), MIB(6), MIB(1), PAGE_LEVEL_4K);
    expect_run(&walk, HIGH - MIB(4), GIB(1), MIB(8), PAGE_LEVEL_2M);
    expect_end(&walk);
}

static void a_walk_begins_and_ends_anywhere(void **state)
{
    struct page_runs walk;
    (void)state;
    map(MIB(2), MIB(2), MIB(2), PAGE_WRITE, PAGE_LEVEL_2M);
    map(TOP, GIB(1), MIB(2), PAGE_WRITE, PAGE_LEVEL_4K); /* up to the last byte of all */
    page_runs_start(&walk, &tables.kernel, virt_addr(MIB(3) + 5), virt_addr(MIB(3) + 5));
    expect_run(&walk, MIB(2), MIB(2), MIB(2), PAGE_LEVEL_2M); /* it lies in there */
    expect_end(&walk);
    page_runs_start(&walk, &tables.kernel, virt_addr(MIB(4)), virt_addr(TOP - 1));
    expect_end(&walk);
    page_runs_start(&walk, &tables.kernel, virt_addr(1ULL << 47), virt_addr(UINT64_MAX)); /* from the gap */
    expect_run(&walk, TOP, GIB(1), MIB(2), PAGE_LEVEL_4K);
    expect_end(&walk);
    page_runs_start(&walk, &tables.kernel, virt_addr(UINT64_MAX), virt_addr(UINT64_MAX));
    expect_run(&walk, TOP + MIB(2) - KIB(4), GIB(1) + MIB(2) - KIB(4), KIB(4), PAGE_LEVEL_4K);
    expect_end(&walk);
    page_runs_start(&walk, &tables.kernel, virt_addr(MIB(3)), virt_addr(MIB(2)));
    expect_end(&walk);
}

/* A set of tables to copy from, with pages of all sizes. */
static void make_source(struct page_table *source)
{
    assert_int_equal(page_table_init(source, &tables.machine.pool, &tables.physmap, 4, PAGE_LEVEL_1G, NULL),
                     PAGE_TABLE_OK);
    assert_int_equal(page_table_map(source, virt_addr(GIB(1)), phys_addr(GIB(1)), GIB(1) + MIB(2) + KIB(8),
                                    PAGE_EXECUTE, CACHE_WRITE_BACK, PAGE_LEVEL_1G),
                     PAGE_TABLE_OK);
    assert_int_equal(page_table_map(source, virt_addr(GIB(8)), phys_addr(GIB(8)), KIB(4), PAGE_WRITE,
                                    CACHE_UNCACHED, PAGE_LEVEL_1G),
                     PAGE_TABLE_OK);
}

static void drop(struct page_table *table)
{
    struct tlb_batch batch;
    tlb_batch_start(&batch, table);
    assert_int_equal(page_table_unmap(table, virt_addr(0), 1ULL << 47, &batch, NULL, NULL), PAGE_TABLE_OK);
    tlb_batch_finish(&batch);
    page_table_destroy(table);
}

static void expect_same(struct page_table *a, struct page_table *b)
{
    struct page_runs walk_a, walk_b;
    struct page_run run_a, run_b;
    page_runs_start(&walk_a, a, virt_addr(0), virt_addr((1ULL << 47) - 1));
    page_runs_start(&walk_b, b, virt_addr(0), virt_addr((1ULL << 47) - 1));
    while (page_runs_next(&walk_a, &run_a)) {
        assert_true(page_runs_next(&walk_b, &run_b));
        assert_memory_equal(&run_a, &run_b, sizeof run_a);
    }
    assert_false(page_runs_next(&walk_b, &run_b));
}

/* With n frames left for tables, for n = 0, 1, ...: a copy that fails leaves nothing, and its maker can take
 * the tables apart: they are in no list of sharers any more when the kernel's half grows. */
static void a_copy_is_whole_or_leaves_nothing(void **state)
{
    struct page_table source;
    struct frame_pool *pool = &tables.machine.pool;
    static phys_addr_t hoard[MIB(16) / KIB(4)];
    enum page_table_error error = PAGE_TABLE_NO_MEMORY;
    unsigned failures = 0;
    (void)state;
    make_source(&source);
    for (uint64_t left = 1; error != PAGE_TABLE_OK; left++) {
        struct page_table copy;
        uint64_t hoarded = frame_alloc_batch(pool, ARRAY_LENGTH(hoard), hoard, OWNER_TEST);
        for (uint64_t i = 0; i < left; i++) {
            frame_free(pool, hoard[--hoarded], 0);
        }
        assert_int_equal(page_table_init(&copy, pool, &tables.physmap, 4, PAGE_LEVEL_1G, &tables.kernel),
                         PAGE_TABLE_OK);
        error = page_table_copy(&copy, &source, virt_addr(0), virt_addr((1ULL << 47) - 1));
        frame_free_batch(pool, hoarded, hoard);
        if (error != PAGE_TABLE_OK) {
            assert_int_equal(error, PAGE_TABLE_NO_MEMORY);
            assert_int_equal(copy.table_frames, 1);
            page_table_destroy(&copy);
            failures++;
        } else {
            expect_same(&copy, &source);
            tables_check(&copy);
            drop(&copy);
        }
        map(HIGH + left * GIB(512), GIB(1), KIB(4), PAGE_WRITE, PAGE_LEVEL_4K); /* a new entry of the root */
    }
    assert_true(failures >= 5);
    drop(&source);
}

static void what_is_there_already_refuses_a_copy(void **state)
{
    struct page_table source;
    (void)state;
    make_source(&source);
    map(GIB(8), MIB(1), KIB(4), PAGE_READ, PAGE_LEVEL_4K);
    assert_int_equal(page_table_copy(&tables.kernel, &source, virt_addr(0), virt_addr((1ULL << 47) - 1)),
                     PAGE_TABLE_OCCUPIED);
    assert_int_equal(mmu_model_walk(&tables.kernel, GIB(1)).result, MMU_NOT_PRESENT);
    assert_int_equal(mmu_model_walk(&tables.kernel, GIB(8)).target, MIB(1));
    tables_check(&tables.kernel);
    drop(&source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(neighbours_that_are_alike_are_one, setup, teardown),
        cmocka_unit_test_setup_teardown(a_walk_begins_and_ends_anywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(a_copy_is_whole_or_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_there_already_refuses_a_copy, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
