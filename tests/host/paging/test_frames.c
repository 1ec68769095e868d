/* Unmapping frames as they were mapped: in order, all or none, and known to the TLB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "fixture.h"
#include "tests/host/support/host.h"

#define HIGH  0xffffd00000000000ULL
#define COUNT 700

static struct tables tables;
static phys_addr_t given[COUNT];

static int setup(void **state)
{
    (void)state;
    tables_make(&tables, GIB(1), 4, PAGE_LEVEL_1G);
    for (unsigned i = 0; i < COUNT; i++) {
        given[i] = phys_addr(MIB(64) + (i * 7919ULL % 4096) * KIB(4));
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tables_destroy(&tables);
    return 0;
}

static void map(uint64_t base, uint64_t count, unsigned access)
{
    assert_int_equal(
        page_table_map_frames(&tables.kernel, virt_addr(base), given, count, access, CACHE_WRITE_BACK),
        PAGE_TABLE_OK);
}

static enum page_table_error take(uint64_t base, uint64_t count, phys_addr_t *frames)
{
    tables_before(&tables);
    enum page_table_error error =
        page_table_unmap_frames(&tables.kernel, virt_addr(base), count, &tables.batch, frames);
    tables_after(&tables);
    return error;
}

/* Maps `count` pages at `base` and takes them again. */
static void expect_round(uint64_t base, uint64_t count, unsigned access)
{
    phys_addr_t frames[COUNT];
    map(base, count, access);
    assert_int_equal(take(base, count, frames), PAGE_TABLE_OK);
    assert_memory_equal(frames, given, count * sizeof *frames);
    for (uint64_t i = 0; i < count; i++) {
        assert_int_equal(mmu_model_walk(&tables.kernel, base + i * KIB(4)).result, MMU_NOT_PRESENT);
    }
}

static void frames_come_back_in_order(void **state)
{
    (void)state;
    const uint64_t counts[] = {1, 2, 16, 512, COUNT};
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        expect_round(HIGH + KIB(8), counts[i],
                     PAGE_WRITE | PAGE_GLOBAL); /* their tables become empty, and go */
        expect_round(KIB(8), counts[i], PAGE_WRITE | PAGE_USER);
    }
    map(HIGH, 1, PAGE_WRITE | PAGE_GLOBAL); /* keeps the table */
    for (size_t i = 0; i < ARRAY_LENGTH(counts); i++) {
        expect_round(HIGH + KIB(8), counts[i] < 500 ? counts[i] : 500, PAGE_WRITE | PAGE_GLOBAL);
        expect_round(HIGH + KIB(8), counts[i] < 500 ? counts[i] : 500, PAGE_WRITE);
    }
}

static void a_hole_or_a_larger_page_refuses_all(void **state)
{
    (void)state;
    phys_addr_t frames[COUNT];
    map(HIGH, 4, PAGE_WRITE);
    map(HIGH + KIB(20), 1, PAGE_WRITE);
    assert_int_equal(take(HIGH, 6, frames), PAGE_TABLE_NOT_MAPPED);
    assert_int_equal(take(HIGH + KIB(16), 1, frames), PAGE_TABLE_NOT_MAPPED);
    assert_int_equal(mmu_model_walk(&tables.kernel, HIGH).target, given[0].raw);
    assert_int_equal(mmu_model_walk(&tables.kernel, HIGH + KIB(12)).target, given[3].raw);
    assert_int_equal(tables_map(&tables, HIGH + MIB(2), MIB(2), MIB(2), PAGE_WRITE, PAGE_LEVEL_2M),
                     PAGE_TABLE_OK);
    assert_int_equal(take(HIGH + MIB(2), 1, frames), PAGE_TABLE_NOT_MAPPED);
    assert_int_equal(mmu_model_walk(&tables.kernel, HIGH + MIB(2)).level, PAGE_LEVEL_2M);
}

static void a_hole_in_a_later_table_refuses_all(void **state)
{
    (void)state;
    phys_addr_t frames[COUNT];
    const uint64_t base = HIGH + KIB(8);
    map(base, COUNT, PAGE_WRITE);
    for (uint64_t hole = COUNT - 1; hole >= 510; hole -= 63) { /* the second table begins at page 510 */
        assert_int_equal(tables_unmap(&tables, base + hole * KIB(4), KIB(4)), PAGE_TABLE_OK);
        assert_int_equal(take(base, COUNT, frames), PAGE_TABLE_NOT_MAPPED);
        assert_int_equal(mmu_model_walk(&tables.kernel, base).target, given[0].raw);
    }
    assert_int_equal(tables_unmap(&tables, base + 510 * KIB(4), MIB(2)), PAGE_TABLE_OK); /* no table at all */
    assert_int_equal(take(base, COUNT, frames), PAGE_TABLE_NOT_MAPPED);
    assert_int_equal(take(base, 510, frames), PAGE_TABLE_OK);
    assert_memory_equal(frames, given, 510 * sizeof *frames);
}

static void bad_ranges_have_each_their_error(void **state)
{
    (void)state;
    phys_addr_t frames[1];
    assert_int_equal(take(HIGH, 0, frames), PAGE_TABLE_EMPTY);
    assert_int_equal(take(HIGH + 8, 1, frames), PAGE_TABLE_UNALIGNED);
    assert_int_equal(take(HIGH, UINT64_MAX, frames), PAGE_TABLE_WRAPS);
    assert_int_equal(take(0xfffffffffffff000ULL, 2, frames), PAGE_TABLE_WRAPS);
    assert_int_equal(take(1ULL << 47, 1, frames), PAGE_TABLE_NON_CANONICAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(frames_come_back_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hole_or_a_larger_page_refuses_all, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hole_in_a_later_table_refuses_all, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_ranges_have_each_their_error, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
