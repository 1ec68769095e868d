/*
 * Entries of pages that lie on disk: what each operation does with one. Nobody makes them but these tests,
 * and the owner of the tables says that there may be any (`swaps`).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "fixture.h"
#include "tests/host/support/host.h"

#define LOW   0x7f0000000000ULL
#define SLOT  0x12345678u
#define PAGES 4

static struct tables tables;

static int setup(void **state)
{
    (void)state;
    tables_make(&tables, MIB(64), 4, PAGE_LEVEL_2M);
    tables.kernel.swaps = true;
    assert_int_equal(tables_map(&tables, LOW, MIB(1), PAGES * FRAME_BYTES, PAGE_WRITE, PAGE_LEVEL_4K),
                     PAGE_TABLE_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tables_destroy(&tables);
    return 0;
}

static page_table_entry_t set(uint64_t page, page_table_entry_t entry)
{
    page_table_entry_t old;
    tables_before(&tables);
    assert_int_equal(page_table_set(&tables.kernel, virt_addr(LOW + page * FRAME_BYTES), entry, PAGE_LEVEL_4K,
                                    &old, &tables.batch),
                     PAGE_TABLE_OK);
    tables_after(&tables); /* what was present is flushed, or the model finds it */
    return old;
}

static page_table_entry_t entry_at(uint64_t page)
{
    return *page_table_slot(&tables.kernel, virt_addr(LOW + page * FRAME_BYTES));
}

static void expect_swapped(uint64_t page, uint32_t slot)
{
    assert_int_equal(page_entry_kind(entry_at(page), PAGE_LEVEL_4K), ENTRY_SWAPPED);
    assert_int_equal(page_entry_slot(entry_at(page)), slot);
}

/* Out, to another slot, and back in: who sets an entry gets the old one, and its slot. */
static void a_page_goes_out_and_comes_back(void **state)
{
    (void)state;
    uint64_t used = tables.kernel.table_frames;
    page_table_entry_t leaf = set(1, page_entry_swapped(SLOT));
    assert_int_equal(page_entry_leaf_address(leaf, PAGE_LEVEL_4K).raw, MIB(1) + FRAME_BYTES);
    expect_swapped(1, SLOT);
    assert_int_equal(page_entry_slot(set(1, page_entry_swapped(UINT32_MAX))), SLOT);
    assert_int_equal(page_entry_slot(set(1, leaf)), UINT32_MAX);
    assert_int_equal(set(1, leaf).raw & ~PAGE_ENTRY_SET_BY_CPU, leaf.raw & ~PAGE_ENTRY_SET_BY_CPU);
    assert_int_equal(set(100, page_entry_swapped(0)).raw, 0); /* a hole, for once */
    expect_swapped(100, 0);
    assert_int_equal(page_entry_slot(set(100, (page_table_entry_t){0})), 0);
    assert_int_equal(tables.kernel.table_frames, used);
}

/* For whoever only looks, the page is not mapped, and the entry says why. */
static void who_looks_finds_no_page(void **state)
{
    (void)state;
    set(1, page_entry_swapped(SLOT));
    virt_addr_t address = virt_addr(LOW + FRAME_BYTES + 5);
    struct page_translation found = page_table_translate(&tables.kernel, address);
    assert_false(found.mapped);
    assert_int_equal(page_entry_slot(found.leaf), SLOT);
    assert_int_equal(found.level, PAGE_LEVEL_4K);
    struct page_walk_step steps[PAGE_WALK_STEPS_MAX];
    unsigned count = page_table_walk(&tables.kernel, &tables.physmap, address, steps);
    assert_int_equal(count, 4);
    assert_int_equal(page_entry_slot(steps[3].entry), SLOT);
    struct page_runs walk;
    struct page_run run;
    page_runs_start(&walk, &tables.kernel, virt_addr(0), virt_addr(UINT64_MAX));
    assert_true(page_runs_next(&walk, &run));
    assert_int_equal(run.bytes, FRAME_BYTES);
    assert_true(page_runs_next(&walk, &run));
    assert_int_equal(run.base.raw, LOW + 2 * FRAME_BYTES);
    assert_false(page_runs_next(&walk, &run));
    set(1, (page_table_entry_t){0});
}

/* Nothing is mapped over it, whichever way. */
static void it_is_no_hole(void **state)
{
    (void)state;
    page_table_entry_t *entries;
    phys_addr_t frame = phys_addr(MIB(2));
    set(50, page_entry_swapped(SLOT));
    uint64_t base = LOW + 50 * FRAME_BYTES;
    assert_int_equal(tables_map(&tables, base, MIB(2), FRAME_BYTES, PAGE_WRITE, PAGE_LEVEL_4K),
                     PAGE_TABLE_OCCUPIED);
    assert_int_equal(tables_map(&tables, base - FRAME_BYTES, MIB(2), MIB(4), PAGE_WRITE, PAGE_LEVEL_4K),
                     PAGE_TABLE_OCCUPIED);
    assert_int_equal(
        page_table_map_frames(&tables.kernel, virt_addr(base), &frame, 1, PAGE_WRITE, CACHE_WRITE_BACK),
        PAGE_TABLE_OCCUPIED);
    assert_int_equal(page_table_hold(&tables.kernel, virt_addr(base), FRAME_BYTES, &entries),
                     PAGE_TABLE_OCCUPIED);
    expect_swapped(50, SLOT);
    set(50, (page_table_entry_t){0});
}

/* Protecting keeps the slot, merging finds no large page, and taking frames back finds none. */
static void it_keeps_its_slot(void **state)
{
    (void)state;
    phys_addr_t frames[PAGES];
    set(1, page_entry_swapped(SLOT));
    for (unsigned access = PAGE_READ; access <= PAGE_INACCESSIBLE; access += PAGE_INACCESSIBLE) {
        assert_int_equal(tables_protect(&tables, LOW, PAGES * FRAME_BYTES, access), PAGE_TABLE_OK);
        expect_swapped(1, SLOT);
    }
    assert_int_equal(tables_protect(&tables, LOW, PAGES * FRAME_BYTES, PAGE_WRITE), PAGE_TABLE_OK);
    tables_before(&tables);
    assert_int_equal(page_table_unmap_frames(&tables.kernel, virt_addr(LOW), PAGES, &tables.batch, frames),
                     PAGE_TABLE_NOT_MAPPED);
    tables_after(&tables);
    assert_int_equal(tables_map(&tables, LOW + MIB(2), MIB(2), MIB(2), PAGE_WRITE, PAGE_LEVEL_4K),
                     PAGE_TABLE_OK);
    page_table_entry_t leaf = set(512 + 7, page_entry_swapped(9));
    tables_before(&tables);
    assert_int_equal(page_table_merge(&tables.kernel, virt_addr(LOW), MIB(4), PAGE_LEVEL_2M, &tables.batch),
                     0);
    tables_after(&tables);
    expect_swapped(512 + 7, 9);
    assert_int_equal(page_entry_slot(set(512 + 7, leaf)), 9);
    assert_int_equal(page_entry_slot(set(1, (page_table_entry_t){0})), SLOT);
}

struct removed {
    unsigned leaves, slots; /* how many came */
    uint32_t slot;          /* of the last */
};

static void note_removed(void *context, virt_addr_t base, page_table_entry_t entry, enum page_level level)
{
    struct removed *removed = context;
    (void)base;
    assert_int_equal(level, PAGE_LEVEL_4K);
    bool swapped = page_entry_kind(entry, level) == ENTRY_SWAPPED;
    removed->slots += swapped;
    removed->leaves += !swapped;
    removed->slot = swapped ? page_entry_slot(entry) : removed->slot;
}

/* Unmapping hands the slots over, by the short way and by the long one, and the table goes with the last. */
static void unmapping_gives_the_slot_away(void **state)
{
    (void)state;
    struct removed removed = {0};
    set(1, page_entry_swapped(SLOT));
    tables_before(&tables);
    assert_int_equal(page_table_unmap(&tables.kernel, virt_addr(LOW + FRAME_BYTES), 2 * FRAME_BYTES,
                                      &tables.batch, note_removed, &removed),
                     PAGE_TABLE_OK);
    tables_after(&tables);
    assert_true(removed.leaves == 1 && removed.slots == 1 && removed.slot == SLOT);
    set(3, page_entry_swapped(77));
    tables_before(&tables);
    assert_int_equal(
        page_table_unmap(&tables.kernel, virt_addr(LOW), MIB(4), &tables.batch, note_removed, &removed),
        PAGE_TABLE_OK);
    tables_after(&tables);
    assert_true(removed.leaves == 2 && removed.slots == 2 && removed.slot == 77);
    assert_null(page_table_slot(&tables.kernel, virt_addr(LOW)));
}

static void allow(unsigned access)
{
    tables_before(&tables);
    page_table_allow(&tables.kernel, page_table_slot(&tables.kernel, virt_addr(LOW)), virt_addr(LOW), 5,
                     access, &tables.batch);
    tables_after(&tables); /* what has lost a right is flushed, or the model finds it */
}

/* By their slots, too, leaves get another access, hidden or not; and nothing else changes. */
static void many_slots_get_one_access(void **state)
{
    (void)state;
    const unsigned steps[] = {PAGE_READ,  PAGE_EXECUTE,      PAGE_INACCESSIBLE, PAGE_WRITE,
                              PAGE_WRITE, PAGE_INACCESSIBLE, PAGE_READ};
    const phys_addr_t frame = phys_addr(16 * FRAME_BYTES);
    page_table_entry_t leaf = page_entry_leaf(frame, PAGE_LEVEL_4K, PAGE_WRITE, CACHE_UNCACHED);
    set(0, page_entry_with_used(leaf, true, true));
    set(1, page_entry_swapped(SLOT));
    set(2, (page_table_entry_t){0});
    set(3, page_entry_leaf(frame, PAGE_LEVEL_4K, PAGE_INACCESSIBLE, CACHE_WRITE_BACK));
    set(4, page_entry_leaf(frame, PAGE_LEVEL_4K, PAGE_READ, CACHE_WRITE_BACK));
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        allow(steps[i]);
        for (unsigned page = 0; page < 5; page += page == 0 ? 3 : 1) {
            assert_int_equal(page_entry_access(entry_at(page)), steps[i]);
            assert_int_equal(page_entry_leaf_address(entry_at(page), PAGE_LEVEL_4K).raw, frame.raw);
        }
        assert_true(page_entry_dirty(entry_at(0)));
        assert_int_equal(page_entry_cache(entry_at(0), PAGE_LEVEL_4K), CACHE_UNCACHED);
        expect_swapped(1, SLOT);
        assert_true(page_entry_is_hole(entry_at(2)));
    }
    set(1, (page_table_entry_t){0}); /* its slot is nobody's to unmap */
}

/* Who takes no slots must not unmap any: it would be lost. */
static void a_slot_is_never_lost(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    bool panicked;
    set(1, page_entry_swapped(SLOT));
    tables_before(&tables);
    CATCH_PANIC(trap, panicked,
                page_table_unmap(&tables.kernel, virt_addr(LOW), MIB(2), &tables.batch, NULL, NULL));
    assert_true(panicked);
    assert_non_null(strstr(trap.message, "ENTRY_SWAPPED"));
}

/* After a panic the tables are good for nothing. */
static int abandon(void **state)
{
    (void)state;
    machine_destroy(&tables.machine);
    return 0;
}

/* Where the owner has no slots there are none, and only 4 KiB pages have them. */
static void without_swap_there_is_none(void **state)
{
    (void)state;
    page_table_entry_t old;
    tlb_batch_start(&tables.batch, &tables.kernel);
    page_table_entry_t more = page_entry_swapped(SLOT);
    more.raw |= PAGE_ENTRY_DIRTY;
    assert_int_equal(page_table_set(&tables.kernel, virt_addr(LOW), more, PAGE_LEVEL_4K, &old, &tables.batch),
                     PAGE_TABLE_BAD_ACCESS);
    assert_int_equal(page_table_set(&tables.kernel, virt_addr(LOW + MIB(2)), page_entry_swapped(SLOT),
                                    PAGE_LEVEL_2M, &old, &tables.batch),
                     PAGE_TABLE_BAD_ACCESS);
    tables.kernel.swaps = false;
    assert_int_equal(page_table_set(&tables.kernel, virt_addr(LOW), page_entry_swapped(SLOT), PAGE_LEVEL_4K,
                                    &old, &tables.batch),
                     PAGE_TABLE_BAD_ACCESS);
    assert_int_equal(page_entry_kind(entry_at(0), PAGE_LEVEL_4K), ENTRY_LEAF);
    assert_true(tlb_batch_is_empty(&tables.batch));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_page_goes_out_and_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(who_looks_finds_no_page, setup, teardown),
        cmocka_unit_test_setup_teardown(it_is_no_hole, setup, teardown),
        cmocka_unit_test_setup_teardown(it_keeps_its_slot, setup, teardown),
        cmocka_unit_test_setup_teardown(unmapping_gives_the_slot_away, setup, teardown),
        cmocka_unit_test_setup_teardown(many_slots_get_one_access, setup, teardown),
        cmocka_unit_test_setup_teardown(without_swap_there_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(a_slot_is_never_lost, setup, abandon),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
