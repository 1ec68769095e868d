/*
 * Every rule of page_table_check(), broken on purpose: the right one is named, and mending it makes all well.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "fixture.h"
#include "tests/host/support/host.h"

#define HIGH 0xffffd00000000000ULL
#define LOW  0x7f0000000000ULL

static struct tables tables;

static page_table_entry_t *entry_of(struct page_table *table, uint64_t address, unsigned level)
{
    struct page_walk_step steps[PAGE_WALK_STEPS_MAX];
    unsigned count = page_table_walk(table, table->access, virt_addr(address), steps);
    assert_in_range(table->levels - level, 0, count - 1);
    const struct page_walk_step *step = &steps[table->levels - level];
    return (page_table_entry_t *)frame_pointer(table->frames, step->table) + step->index;
}

static void expect_sound(struct page_table *table)
{
    struct page_table_problem problem;
    assert_true(page_table_check(table, &problem));
}

/* Puts `wrong` in place of the word at `place`, expects `what`, and puts it back. */
static void expect_of(struct page_table *table, uint64_t *place, uint64_t wrong, const char *what)
{
    struct page_table_problem problem;
    uint64_t right = *place;
    *place = wrong;
    assert_false(page_table_check(table, &problem));
    assert_string_equal(problem.what, what);
    *place = right;
    expect_sound(table);
}

static void expect(uint64_t *place, uint64_t wrong, const char *what)
{
    expect_of(&tables.kernel, place, wrong, what);
}

static void start(unsigned levels)
{
    tables_make(&tables, MIB(16), levels, PAGE_LEVEL_2M);
    tables.kernel.physical_end = 1ULL << 40;
    assert_int_equal(tables_map(&tables, HIGH, MIB(1), KIB(8), PAGE_WRITE | PAGE_GLOBAL, PAGE_LEVEL_4K),
                     PAGE_TABLE_OK);
    assert_int_equal(tables_map(&tables, HIGH + MIB(2), MIB(2), MIB(2), PAGE_READ, PAGE_LEVEL_2M),
                     PAGE_TABLE_OK);
    assert_int_equal(tables_map(&tables, LOW, MIB(1), KIB(4), PAGE_READ | PAGE_USER, PAGE_LEVEL_4K),
                     PAGE_TABLE_OK);
    expect_sound(&tables.kernel);
}

static void leaves(unsigned levels)
{
    start(levels);
    uint64_t *leaf = &entry_of(&tables.kernel, HIGH, PAGE_LEVEL_4K)->raw;
    uint64_t *large = &entry_of(&tables.kernel, HIGH + MIB(2), PAGE_LEVEL_2M)->raw;
    uint64_t *user = &entry_of(&tables.kernel, LOW, PAGE_LEVEL_4K)->raw;
    expect(leaf, *leaf & ~PAGE_ENTRY_NO_EXECUTE, "a page is writable and executable");
    expect(leaf, *leaf | PAGE_ENTRY_USER, "a page has the other half's access");
    expect(user, *user | PAGE_ENTRY_GLOBAL, "a page has the other half's access");
    expect(large, *large | KIB(8), "reserved bits are set");
    expect(leaf, *leaf | 1ULL << 40, "a page lies beyond the physical addresses");
    expect(leaf + 5, PAGE_ENTRY_WRITE, "an absent entry holds bits");
    expect(large + 1, PAGE_ENTRY_GLOBAL, "an absent entry holds bits");
    expect(large + 1, page_entry_swapped(1).raw, "an absent entry holds bits");
    expect(leaf + 5, page_entry_held().raw | PAGE_ENTRY_WRITE, "an absent entry holds bits");
    expect(leaf + 5, page_entry_held().raw, "a use count is wrong");
    expect(leaf + 5, page_entry_swapped(1).raw, "a page is swapped where none can be");
    tables.kernel.swaps = true;
    expect(leaf + 5, page_entry_swapped(1).raw, "a use count is wrong");
    expect(leaf + 5, page_entry_swapped(1).raw | PAGE_ENTRY_DIRTY, "an absent entry holds bits");
    tables.kernel.swaps = false;
    expect(leaf, 0, "a use count is wrong");
    expect(leaf + 5, *leaf, "a use count is wrong");
    struct page_table_problem problem;
    tables.kernel.largest_level = PAGE_LEVEL_4K;
    assert_false(page_table_check(&tables.kernel, &problem));
    assert_string_equal(problem.what, "a page is larger than the CPU has");
    tables.kernel.largest_level = PAGE_LEVEL_2M;
    tables_destroy(&tables);
}

static void tables_themselves(unsigned levels)
{
    start(levels);
    uint64_t *above = &entry_of(&tables.kernel, HIGH, PAGE_LEVEL_2M)->raw;
    uint64_t *below = &entry_of(&tables.kernel, LOW, PAGE_LEVEL_2M)->raw;
    struct frame_pool *pool = &tables.machine.pool;
    struct page_table_problem problem;
    phys_addr_t table = page_entry_table_address((page_table_entry_t){*above});
    expect(above, *above & ~PAGE_ENTRY_WRITE, "a table entry restricts what leaves allow");
    expect(above, *above | PAGE_ENTRY_NO_EXECUTE, "a table entry restricts what leaves allow");
    expect(above, *above | PAGE_ENTRY_USER, "a table entry has the other half's user bit");
    uint64_t *highest = &entry_of(&tables.kernel, HIGH, PAGE_LEVEL_PML4)->raw;
    expect(highest, *highest | PAGE_ENTRY_LARGE, "reserved bits are set");
    expect(below, *below & ~PAGE_ENTRY_USER, "a table entry has the other half's user bit");
    phys_addr_t other = frame_alloc_zeroed(pool, OWNER_TEST);
    expect(above, page_entry_table(other, false).raw, "a table's frame has another owner");
    frame_free(pool, other, 0);
    expect(above, page_entry_table(other, false).raw, "a table's frame is not allocated");
    frame_get(pool, table);
    assert_false(page_table_check(&tables.kernel, &problem));
    assert_string_equal(problem.what, "a table's frame is shared");
    frame_put(pool, table);
    other = frame_alloc_zeroed(pool, OWNER_PAGE_TABLES);
    frame_note_clear(frame_descriptor(pool, other));
    expect(above, page_entry_table(other, false).raw, "an empty table is linked");
    frame_free(pool, other, 0);
    expect(&tables.kernel.table_frames, tables.kernel.table_frames + 1, "the count of tables is wrong");
    expect(&tables.kernel.pml4[0].raw, tables.kernel.pml4[0].raw ^ FRAME_BYTES,
           "the way past the root is remembered wrong");
    expect(&tables.kernel.pml4[1].raw, 0, "the way past the root is remembered wrong");
    tables_destroy(&tables);
}

static void roots(unsigned levels)
{
    struct page_table space;
    start(levels);
    page_table_make_recursive(&tables.kernel, 510);
    assert_int_equal(
        page_table_init(&space, &tables.machine.pool, &tables.physmap, levels, PAGE_LEVEL_2M, &tables.kernel),
        PAGE_TABLE_OK);
    page_table_entry_t *kernels = frame_pointer(space.frames, tables.kernel.root);
    page_table_entry_t *spaces = frame_pointer(space.frames, space.root);
    expect(&kernels[510].raw, kernels[510].raw + FRAME_BYTES, "the recursive entry does not name the root");
    expect_of(&space, &spaces[510].raw, kernels[510].raw, "a space shares the recursive entry");
    unsigned index = page_table_index(virt_addr(HIGH), levels);
    expect_of(&space, &spaces[index].raw, kernels[index].raw ^ FRAME_BYTES,
              "a shared entry differs from the kernel's");
    expect_of(&space, &space.pml4[1].raw, 0, "the way past the root is remembered wrong");
    page_table_destroy(&space);
    page_table_end_recursive(&tables.kernel);
    tables_destroy(&tables);
}

static void leaves_are_checked(void **state)
{
    (void)state;
    leaves(4);
    leaves(5);
}

static void tables_are_checked(void **state)
{
    (void)state;
    tables_themselves(4);
    tables_themselves(5);
}

static void roots_are_checked(void **state)
{
    (void)state;
    roots(4);
    roots(5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves_are_checked),
        cmocka_unit_test(tables_are_checked),
        cmocka_unit_test(roots_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
