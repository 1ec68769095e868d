/* Page tables, promise by promise, under the model of the MMU and its TLB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ashlar/cpu_request.h>

#include "fixture.h"
#include "tests/host/support/host.h"

#define HIGH 0xffffd00000000000ULL

static struct tables tables;

static int setup(void **state)
{
    (void)state;
    tables_make(&tables, GIB(4), 4, PAGE_LEVEL_1G);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tables_destroy(&tables);
    return 0;
}

static void expect_maps(uint64_t address, uint64_t target, unsigned level)
{
    struct mmu_walk walk = mmu_model_walk(&tables.kernel, address);
    assert_int_equal(walk.result, MMU_OK);
    assert_int_equal(walk.target, target);
    assert_int_equal(walk.level, level);
    struct page_translation translation = page_table_translate(&tables.kernel, virt_addr(address));
    assert_true(translation.mapped);
    assert_int_equal(translation.target.raw, target);
    assert_int_equal(translation.level, level);
    assert_int_equal(!!(translation.access & PAGE_WRITE), walk.write);
    assert_int_equal(!!(translation.access & PAGE_EXECUTE), walk.execute);
    assert_int_equal(!!(translation.access & PAGE_USER), walk.user);
    assert_int_equal(!!(translation.access & PAGE_GLOBAL), walk.global);
    assert_int_equal(translation.cache, walk.pat);
}

static void expect_hole(uint64_t address)
{
    assert_int_equal(mmu_model_walk(&tables.kernel, address).result, MMU_NOT_PRESENT);
    assert_false(page_table_translate(&tables.kernel, virt_addr(address)).mapped);
}

static void expect_unmap(uint64_t base, uint64_t bytes)
{
    assert_int_equal(tables_unmap(&tables, base, bytes), PAGE_TABLE_OK);
}

static void the_largest_pages_that_fit_are_used(void **state)
{
    (void)state;
    uint64_t start = GIB(1) - MIB(2) - KIB(8);
    uint64_t bytes = GIB(1) + MIB(4) + KIB(8);
    assert_int_equal(tables_map(&tables, HIGH + start, start, bytes, PAGE_WRITE | PAGE_GLOBAL, PAGE_LEVEL_1G),
                     PAGE_TABLE_OK);
    expect_hole(HIGH + start - 1);
    expect_maps(HIGH + start + 5, start + 5, PAGE_LEVEL_4K);
    expect_maps(HIGH + GIB(1) - 1, GIB(1) - 1, PAGE_LEVEL_2M);
    expect_maps(HIGH + GIB(1), GIB(1), PAGE_LEVEL_1G);
    expect_maps(HIGH + GIB(2), GIB(2), PAGE_LEVEL_2M);
    expect_hole(HIGH + start + bytes);
    expect_unmap(HIGH + start, bytes);
    assert_int_equal(tables.kernel.table_frames, 2); /* the root, and what the upper half keeps */
}

static void a_large_page_is_split_where_it_is_cut(void **state)
{
    (void)state;
    assert_int_equal(tables_map(&tables, HIGH, GIB(1), GIB(1), PAGE_WRITE, PAGE_LEVEL_1G), PAGE_TABLE_OK);
    expect_unmap(HIGH + MIB(4) + KIB(4), KIB(8));
    expect_maps(HIGH + MIB(4), GIB(1) + MIB(4), PAGE_LEVEL_4K);
    expect_hole(HIGH + MIB(4) + KIB(4));
    expect_hole(HIGH + MIB(4) + KIB(8));
    expect_maps(HIGH + MIB(4) + KIB(12), GIB(1) + MIB(4) + KIB(12), PAGE_LEVEL_4K);
    expect_maps(HIGH + MIB(2), GIB(1) + MIB(2), PAGE_LEVEL_2M);
    assert_int_equal(tables.kernel.table_frames, 4);
    expect_unmap(HIGH, GIB(1));
}

static void protecting_splits_and_merging_undoes_it(void **state)
{
    (void)state;
    assert_int_equal(tables_map(&tables, HIGH, GIB(1), GIB(1), PAGE_WRITE, PAGE_LEVEL_1G), PAGE_TABLE_OK);
    assert_int_equal(tables_protect(&tables, HIGH + MIB(2) - KIB(4), KIB(8), PAGE_READ), PAGE_TABLE_OK);
    assert_false(mmu_model_walk(&tables.kernel, HIGH + MIB(2)).write);
    assert_false(mmu_model_walk(&tables.kernel, HIGH + MIB(2) - 1).write);
    assert_true(mmu_model_walk(&tables.kernel, HIGH + MIB(2) + KIB(4)).write);
    assert_int_equal(tables.kernel.table_frames, 5);
    assert_int_equal(tables_protect(&tables, HIGH + MIB(2) - KIB(4), KIB(8), PAGE_WRITE), PAGE_TABLE_OK);
    tables_before(&tables);
    assert_int_equal(page_table_merge(&tables.kernel, virt_addr(HIGH), GIB(1), PAGE_LEVEL_2M, &tables.batch),
                     2);
    tables_after(&tables);
    expect_maps(HIGH + MIB(2), GIB(1) + MIB(2), PAGE_LEVEL_2M);
    tables_before(&tables);
    assert_int_equal(page_table_merge(&tables.kernel, virt_addr(HIGH), GIB(1), PAGE_LEVEL_1G, &tables.batch),
                     1);
    tables_after(&tables);
    expect_maps(HIGH + MIB(2), GIB(1) + MIB(2), PAGE_LEVEL_1G);
    assert_int_equal(tables.kernel.table_frames, 2);
    expect_unmap(HIGH, GIB(1));
}

static void bad_ranges_have_each_their_error(void **state)
{
    (void)state;
    const struct {
        uint64_t base, target, bytes;
        unsigned access, cache, largest;
        enum page_table_error expected;
    } cases[] = {
        {HIGH, 0, 0, PAGE_READ, 0, 1, PAGE_TABLE_EMPTY},
        {HIGH + 1, 0, 4096, PAGE_READ, 0, 1, PAGE_TABLE_UNALIGNED},
        {HIGH, 1, 4096, PAGE_READ, 0, 1, PAGE_TABLE_UNALIGNED},
        {HIGH, 0, 4097, PAGE_READ, 0, 1, PAGE_TABLE_UNALIGNED},
        {0xfffffffffffff000, 0, 0x2000, PAGE_READ, 0, 1, PAGE_TABLE_WRAPS},
        {0x800000000000, 0, 4096, PAGE_READ, 0, 1, PAGE_TABLE_NON_CANONICAL},
        {0x7ffffffff000, 0, 0x2000, PAGE_READ, 0, 1, PAGE_TABLE_NON_CANONICAL},
        {0x7ffffffff000, 0, 0xffff800000001000, PAGE_READ, 0, 1, PAGE_TABLE_NON_CANONICAL},
        {HIGH, 1ULL << 52, 4096, PAGE_READ, 0, 1, PAGE_TABLE_BAD_PHYSICAL},
        {HIGH, (1ULL << 52) - 4096, 8192, PAGE_READ, 0, 1, PAGE_TABLE_BAD_PHYSICAL},
        {HIGH, 0, 4096, PAGE_WRITE | PAGE_EXECUTE, 0, 1, PAGE_TABLE_BAD_ACCESS},
        {HIGH, 0, 4096, 1 << 5, 0, 1, PAGE_TABLE_BAD_ACCESS},
        {HIGH, 0, 4096, PAGE_INACCESSIBLE | PAGE_WRITE, 0, 1, PAGE_TABLE_BAD_ACCESS},
        {HIGH, 0, 4096, PAGE_READ, 4, 1, PAGE_TABLE_BAD_ACCESS},
        {HIGH, 0, 4096, PAGE_READ, 8, 1, PAGE_TABLE_BAD_ACCESS},
        {HIGH, 0, 4096, PAGE_READ, 0, 0, PAGE_TABLE_BAD_ACCESS},
        {HIGH, 0, 4096, PAGE_READ, 0, 4, PAGE_TABLE_BAD_ACCESS},
        {HIGH, 0, 4096, PAGE_USER, 0, 1, PAGE_TABLE_WRONG_HALF},
        {0x1000, 0, 4096, PAGE_GLOBAL, 0, 1, PAGE_TABLE_WRONG_HALF},
    };
    for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_int_equal(page_table_map(&tables.kernel, virt_addr(cases[i].base), phys_addr(cases[i].target),
                                        cases[i].bytes, cases[i].access, (enum page_cache)cases[i].cache,
                                        (enum page_level)cases[i].largest),
                         cases[i].expected);
        tables_check(&tables.kernel);
    }
    assert_int_equal(tables.kernel.table_frames, 1);
}

static void what_is_mapped_is_not_mapped_again(void **state)
{
    (void)state;
    assert_int_equal(tables_map(&tables, HIGH + MIB(4), MIB(4), MIB(2), PAGE_WRITE, PAGE_LEVEL_2M),
                     PAGE_TABLE_OK);
    assert_int_equal(tables_map(&tables, HIGH + MIB(1), MIB(1), MIB(4), PAGE_WRITE, PAGE_LEVEL_2M),
                     PAGE_TABLE_OCCUPIED);
    expect_hole(HIGH + MIB(1));
    assert_int_equal(tables.kernel.table_frames, 3);
    assert_int_equal(tables_map(&tables, HIGH + KIB(8), KIB(8), KIB(4), PAGE_WRITE, PAGE_LEVEL_2M),
                     PAGE_TABLE_OK);
    assert_int_equal(tables_map(&tables, HIGH, MIB(8), KIB(12), PAGE_WRITE, PAGE_LEVEL_2M),
                     PAGE_TABLE_OCCUPIED);
    expect_hole(HIGH);
    expect_unmap(HIGH, MIB(8));
}

static void new_parts_of_the_kernel_appear_in_all_spaces(void **state)
{
    (void)state;
    struct page_table space;
    assert_int_equal(tables_map(&tables, HIGH, MIB(2), KIB(4), PAGE_WRITE, PAGE_LEVEL_4K), PAGE_TABLE_OK);
    assert_int_equal(
        page_table_init(&space, &tables.machine.pool, &tables.physmap, 4, PAGE_LEVEL_1G, &tables.kernel),
        PAGE_TABLE_OK);
    mmu_model_add(&space);
    assert_int_equal(mmu_model_walk(&space, HIGH).target, MIB(2));
    assert_int_equal(tables_map(&tables, HIGH + TIB(1), MIB(4), KIB(4), PAGE_WRITE, PAGE_LEVEL_4K),
                     PAGE_TABLE_OK);
    assert_int_equal(mmu_model_walk(&space, HIGH + TIB(1)).target, MIB(4));
    tables_check(&space);
    assert_int_equal(page_table_map(&space, virt_addr(HIGH + GIB(1)), phys_addr(0), KIB(4), PAGE_READ,
                                    CACHE_WRITE_BACK, PAGE_LEVEL_4K),
                     PAGE_TABLE_WRONG_HALF);
    expect_unmap(HIGH, TIB(2));
    assert_int_equal(mmu_model_walk(&space, HIGH).result, MMU_NOT_PRESENT);
    mmu_model_remove(&space);
    page_table_destroy(&space);
}

static void scattered_frames_appear_in_order(void **state)
{
    (void)state;
    phys_addr_t frames[700];
    for (unsigned i = 0; i < ARRAY_LENGTH(frames); i++) {
        frames[i] = phys_addr(MIB(64) + (i * 7919ULL % 4096) * KIB(4));
    }
    assert_int_equal(page_table_map_frames(&tables.kernel, virt_addr(HIGH + KIB(4)), frames,
                                           ARRAY_LENGTH(frames), PAGE_WRITE, CACHE_UNCACHED),
                     PAGE_TABLE_OK);
    for (unsigned i = 0; i < ARRAY_LENGTH(frames); i++) {
        expect_maps(HIGH + KIB(4) + i * KIB(4), frames[i].raw, PAGE_LEVEL_4K);
    }
    expect_unmap(HIGH, MIB(4));
}

/* ---- What operations cost in flushes ---- */

static struct mmu_counts counted; /* before the operation */

static void count(void)
{
    counted = mmu_model_counts();
}

static void expect_flushes(uint64_t pages, uint64_t spaces, uint64_t totals)
{
    struct mmu_counts now = mmu_model_counts();
    assert_int_equal(now.page_flushes - counted.page_flushes, pages);
    assert_int_equal(now.space_flushes - counted.space_flushes, spaces);
    assert_int_equal(now.total_flushes - counted.total_flushes, totals);
    count();
}

static void what_becomes_allowed_is_not_flushed(void **state)
{
    (void)state;
    count();
    assert_int_equal(tables_map(&tables, HIGH, MIB(1), KIB(64), PAGE_READ, PAGE_LEVEL_4K), PAGE_TABLE_OK);
    expect_flushes(0, 0, 0);
    assert_int_equal(tables_protect(&tables, HIGH, KIB(64), PAGE_WRITE), PAGE_TABLE_OK); /* wider */
    expect_flushes(0, 0, 0);
    assert_int_equal(tables_protect(&tables, HIGH, KIB(64), PAGE_WRITE), PAGE_TABLE_OK); /* the same */
    expect_flushes(0, 0, 0);
    assert_int_equal(tables_protect(&tables, HIGH, KIB(12), PAGE_READ), PAGE_TABLE_OK); /* narrower */
    expect_flushes(3, 0, 0);
    expect_unmap(HIGH + MIB(1), MIB(1)); /* nothing is there */
    expect_flushes(0, 0, 0);
    assert_int_equal(tables_map(&tables, HIGH, MIB(1), KIB(64), PAGE_READ, PAGE_LEVEL_4K),
                     PAGE_TABLE_OCCUPIED);
    expect_flushes(0, 0, 0);
    expect_unmap(HIGH, KIB(64));
}

static void pages_are_dropped_one_by_one_or_all(void **state)
{
    (void)state;
    const uint64_t most = TLB_FLUSH_PAGES;
    assert_int_equal(tables_map(&tables, HIGH, MIB(1), MIB(1), PAGE_WRITE, PAGE_LEVEL_4K), PAGE_TABLE_OK);
    count();
    expect_unmap(HIGH, KIB(4));
    expect_flushes(1, 0, 0);
    expect_unmap(HIGH, KIB(8)); /* one of them is gone already */
    expect_flushes(1, 0, 0);
    expect_unmap(HIGH + MIB(1) - most * KIB(4), most * KIB(4));
    expect_flushes(most, 0, 0);
    expect_unmap(HIGH, (most + 3) * KIB(4));
    expect_flushes(0, 0, 1);
    expect_unmap(HIGH, MIB(1)); /* the rest, and the tables */
    expect_flushes(0, 0, 1);
}

static void a_large_page_is_one_flush(void **state)
{
    (void)state;
    assert_int_equal(tables_map(&tables, HIGH, GIB(1), GIB(1) + MIB(4), PAGE_WRITE, PAGE_LEVEL_1G),
                     PAGE_TABLE_OK);
    count();
    expect_unmap(HIGH + GIB(1) + MIB(2), MIB(2));
    expect_flushes(1, 0, 0);
    assert_int_equal(tables_protect(&tables, HIGH, GIB(1), PAGE_READ), PAGE_TABLE_OK);
    expect_flushes(1, 0, 0);
    expect_unmap(HIGH + GIB(1) + KIB(4), KIB(4)); /* cut: the large page, and the small one */
    expect_flushes(2, 0, 0);
    expect_unmap(HIGH, GIB(2));
}

static void a_user_space_is_flushed_by_itself(void **state)
{
    (void)state;
    struct page_table space;
    struct tlb_batch batch;
    assert_int_equal(
        page_table_init(&space, &tables.machine.pool, &tables.physmap, 4, PAGE_LEVEL_1G, &tables.kernel),
        PAGE_TABLE_OK);
    mmu_model_add(&space);
    assert_int_equal(page_table_map(&space, virt_addr(MIB(2)), phys_addr(0), MIB(2), PAGE_USER,
                                    CACHE_WRITE_BACK, PAGE_LEVEL_4K),
                     PAGE_TABLE_OK);
    mmu_model_fill();
    count();
    tlb_batch_start(&batch, &space);
    page_table_unmap(&space, virt_addr(MIB(2)), KIB(4), &batch, NULL, NULL);
    page_table_unmap(&space, virt_addr(MIB(3)), KIB(8), &batch, NULL, NULL);
    expect_flushes(0, 0, 0); /* nothing before the end */
    tlb_batch_finish(&batch);
    expect_flushes(3, 0, 0);
    page_table_unmap(&space, virt_addr(MIB(2)), MIB(2), &batch, NULL, NULL);
    tlb_batch_finish(&batch);
    expect_flushes(0, 1, 0);
    tlb_batch_finish(&batch); /* nothing is left to do */
    expect_flushes(0, 0, 0);
    mmu_model_check();
    mmu_model_remove(&space);
    page_table_destroy(&space);
}

/* A large page is cut only where the change begins or ends within it, and changes something. */
static void large_pages_are_cut_no_more_than_needed(void **state)
{
    (void)state;
    tables_make(&tables, MIB(16), 4, PAGE_LEVEL_1G);
    const uint64_t base = 0xffffd00000000000;
    assert_int_equal(tables_map(&tables, base, GIB(1), GIB(1), PAGE_READ, PAGE_LEVEL_1G), PAGE_TABLE_OK);
    uint64_t before = tables.kernel.table_frames;
    assert_int_equal(tables_protect(&tables, base + KIB(4), KIB(4), PAGE_READ), PAGE_TABLE_OK);
    assert_int_equal(tables.kernel.table_frames, before); /* it was so already */
    assert_int_equal(tables_protect(&tables, base + MIB(2), MIB(4), PAGE_WRITE), PAGE_TABLE_OK);
    assert_int_equal(tables.kernel.table_frames, before + 1);
    assert_int_equal(mmu_model_walk(&tables.kernel, base).level, PAGE_LEVEL_2M);
    assert_false(mmu_model_walk(&tables.kernel, base + MIB(2) - 1).write);
    assert_true(mmu_model_walk(&tables.kernel, base + MIB(2)).write);
    assert_true(mmu_model_walk(&tables.kernel, base + MIB(6) - 1).write);
    assert_false(mmu_model_walk(&tables.kernel, base + MIB(6)).write);
    tables_destroy(&tables);
}

static void tables_in_use_are_not_destroyed(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    volatile bool panicked;
    struct page_table space;
    struct tlb_batch batch;
    tables_make(&tables, MIB(16), 4, PAGE_LEVEL_1G);
    assert_int_equal(
        page_table_init(&space, &tables.machine.pool, &tables.physmap, 4, PAGE_LEVEL_1G, &tables.kernel),
        PAGE_TABLE_OK);
    assert_int_equal(page_table_map(&space, virt_addr(MIB(2)), phys_addr(0), KIB(4), PAGE_READ,
                                    CACHE_WRITE_BACK, PAGE_LEVEL_4K),
                     PAGE_TABLE_OK);
    CATCH_PANIC(trap, panicked, page_table_destroy(&space));
    assert_true(panicked);
    assert_non_null(strstr(trap.message, "3 tables still in use"));
    tlb_batch_start(&batch, &space);
    assert_int_equal(page_table_unmap(&space, virt_addr(MIB(2)), KIB(4), &batch, NULL, NULL), PAGE_TABLE_OK);
    tlb_batch_finish(&batch);
    frame_free(&tables.machine.pool, space.root, 0); /* it left the sharers of the kernel's half already */
    tables_destroy(&tables);
}

#define MANY_CPUS 300

/* Such a space takes a frame for its set of CPUs, besides its root. The last test: the CPUs stay. */
static void a_space_of_many_cpus_has_its_set_in_a_frame(void **state)
{
    (void)state;
    static const struct cpu_request_calls calls = {NULL, NULL};
    static uint64_t mailboxes[1 << 16];
    static phys_addr_t held[1 << 12];
    struct page_table space;
    size_t count = 0;
    tables_make(&tables, MIB(16), 4, PAGE_LEVEL_1G);
    struct frame_pool *pool = &tables.machine.pool;
    assert_true(cpu_requests_bytes(MANY_CPUS) <= sizeof mailboxes);
    cpu_requests_start(mailboxes, MANY_CPUS, &calls);
    uint64_t free = frame_pool_free(pool);
    assert_int_equal(page_table_init(&space, pool, &tables.physmap, 4, PAGE_LEVEL_1G, &tables.kernel),
                     PAGE_TABLE_OK);
    assert_int_equal(frame_pool_free(pool), free - 2);
    assert_false(cpu_set_has(&space.loaded, MANY_CPUS - 1));
    page_table_destroy(&space);
    assert_int_equal(frame_pool_free(pool), free);
    while ((held[count] = frame_alloc(pool, 0, OWNER_TEST)).raw != FRAME_NONE.raw) {
        count++;
    }
    frame_free(pool, held[--count], 0); /* enough for the root alone */
    assert_int_equal(page_table_init(&space, pool, &tables.physmap, 4, PAGE_LEVEL_1G, &tables.kernel),
                     PAGE_TABLE_NO_MEMORY);
    assert_int_equal(frame_pool_free(pool), 1);
    while (count > 0) {
        frame_free(pool, held[--count], 0);
    }
    tables_destroy(&tables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_largest_pages_that_fit_are_used, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_page_is_split_where_it_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(protecting_splits_and_merging_undoes_it, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_ranges_have_each_their_error, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_mapped_is_not_mapped_again, setup, teardown),
        cmocka_unit_test_setup_teardown(new_parts_of_the_kernel_appear_in_all_spaces, setup, teardown),
        cmocka_unit_test_setup_teardown(scattered_frames_appear_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(what_becomes_allowed_is_not_flushed, setup, teardown),
        cmocka_unit_test_setup_teardown(pages_are_dropped_one_by_one_or_all, setup, teardown),
        cmocka_unit_test_setup_teardown(a_large_page_is_one_flush, setup, teardown),
        cmocka_unit_test_setup_teardown(a_user_space_is_flushed_by_itself, setup, teardown),
        cmocka_unit_test(large_pages_are_cut_no_more_than_needed),
        cmocka_unit_test(tables_in_use_are_not_destroyed),
        cmocka_unit_test(a_space_of_many_cpus_has_its_set_in_a_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
