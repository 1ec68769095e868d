/*
 * Five ways to the same tables. Each but the direct one goes through the model of the MMU: the address at
 * which a table is said to appear is translated by the tables themselves, TLB included.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "tests/host/support/host.h"
#include <ashlar/validate.h>

#define MEMORY        MIB(16)
#define OFFSET_WINDOW 0x100000000000ULL
#define SLOTS         0xffffffffc0000000ULL
#define HIGH          0xffffd00000000000ULL
#define RECURSIVE     510

static struct tables tables;
static struct page_table_temporary temporary;
static struct page_table_recursive recursive;
static unsigned opened, most_opened;

static void *through_mmu(void *context, virt_addr_t address)
{
    (void)context;
    return mmu_model_pointer(&tables.kernel, address.raw, MMU_WRITE);
}

static page_table_entry_t *window_open(const struct page_table_access *access, phys_addr_t table,
                                       virt_addr_t address, unsigned level)
{
    (void)address;
    (void)level;
    opened++;
    most_opened = opened > most_opened ? opened : most_opened;
    return through_mmu(NULL, virt_addr(table.raw + access->offset));
}

static void window_close(const struct page_table_access *access, page_table_entry_t *entries)
{
    (void)access;
    (void)entries;
    opened--;
}

static const struct page_table_access identity = {
    .path = PAGE_TABLE_IDENTITY, .open = window_open, .close = window_close};
static const struct page_table_access offset = {
    .path = PAGE_TABLE_OFFSET, .offset = OFFSET_WINDOW, .open = window_open, .close = window_close};

static const struct page_table_access *ways[PAGE_TABLE_PATH_COUNT];

static void make(unsigned levels)
{
    page_table_entry_t *slots;
    tables_make(&tables, MEMORY, levels, PAGE_LEVEL_1G);
    assert_int_equal(tables_map(&tables, 0, 0, MEMORY, PAGE_WRITE, PAGE_LEVEL_2M), PAGE_TABLE_OK);
    assert_int_equal(tables_map(&tables, OFFSET_WINDOW, 0, MEMORY, PAGE_WRITE, PAGE_LEVEL_2M), PAGE_TABLE_OK);
    assert_int_equal(page_table_hold(&tables.kernel, virt_addr(SLOTS), 2 * FRAME_BYTES, &slots),
                     PAGE_TABLE_OK);
    page_table_temporary_init(&temporary, 0, virt_addr(SLOTS), slots, through_mmu, NULL);
    page_table_recursive_init(&recursive, &tables.kernel, through_mmu, NULL);
    page_table_make_recursive(&tables.kernel, RECURSIVE);
    tables_check(&tables.kernel);
    ways[PAGE_TABLE_PHYSMAP] = &tables.physmap;
    ways[PAGE_TABLE_IDENTITY] = &identity;
    ways[PAGE_TABLE_OFFSET] = &offset;
    ways[PAGE_TABLE_TEMPORARY] = &temporary.access;
    ways[PAGE_TABLE_RECURSIVE] = &recursive.access;
}

static void destroy(void)
{
    tables.kernel.access = &tables.physmap;
    page_table_end_recursive(&tables.kernel);
    temporary.slots[0] = temporary.slots[1] =
        page_entry_leaf(phys_addr(0), PAGE_LEVEL_4K, 0, CACHE_WRITE_BACK);
    tables_destroy(&tables);
}

static enum page_table_error hold(uint64_t base, uint64_t bytes, page_table_entry_t **entries)
{
    mmu_model_fill_between(true);
    enum page_table_error error = page_table_hold(&tables.kernel, virt_addr(base), bytes, entries);
    mmu_model_fill_between(false);
    mmu_model_check();
    tables_check(&tables.kernel);
    return error;
}

/* Whoever switches the entries of held pages relies on it that nothing of them is cached. */
static void held_pages_are_at_no_time_there(void **state)
{
    (void)state;
    page_table_entry_t *slots;
    page_table_entry_t *more;
    for (unsigned levels = 4; levels <= 5; levels++) {
        tables_make(&tables, MEMORY, levels, PAGE_LEVEL_1G);
        assert_int_equal(hold(SLOTS, MIB(1), &slots), PAGE_TABLE_OK); /* its table is missing */
        assert_int_equal(hold(SLOTS + MIB(1), MIB(1) - KIB(8), &more), PAGE_TABLE_OK);
        assert_ptr_equal(more, slots + MIB(1) / FRAME_BYTES);
        assert_int_equal(tables_map(&tables, SLOTS + MIB(2) - KIB(4), 0, KIB(4), PAGE_WRITE, PAGE_LEVEL_4K),
                         PAGE_TABLE_OK);
        assert_int_equal(hold(SLOTS + MIB(2) - KIB(8), KIB(8), &more), PAGE_TABLE_OCCUPIED);
        assert_int_equal(tables_map(&tables, HIGH, 0, MIB(2), PAGE_WRITE, PAGE_LEVEL_2M), PAGE_TABLE_OK);
        assert_int_equal(hold(HIGH, KIB(4), &more), PAGE_TABLE_OCCUPIED);
        for (unsigned i = 0; i < (MIB(2) - KIB(8)) / FRAME_BYTES; i++) {
            assert_int_equal(slots[i].raw, page_entry_held().raw);
            slots[i] = page_entry_leaf(phys_addr(0), PAGE_LEVEL_4K, PAGE_READ, CACHE_WRITE_BACK);
        }
        tables_destroy(&tables);
    }
}

/* Walks to an address by every way; all must see the same. */
static void expect_same(uint64_t address)
{
    struct page_walk_step expected[PAGE_WALK_STEPS_MAX];
    unsigned count = page_table_walk(&tables.kernel, ways[0], virt_addr(address), expected);
    struct mmu_walk walk = mmu_model_walk(&tables.kernel, address);
    assert_int_equal(count, tables.kernel.levels - walk.level + 1);
    for (unsigned way = 1; way < PAGE_TABLE_PATH_COUNT; way++) {
        struct page_walk_step steps[PAGE_WALK_STEPS_MAX];
        assert_int_equal(page_table_walk(&tables.kernel, ways[way], virt_addr(address), steps), count);
        for (unsigned i = 0; i < count; i++) {
            assert_int_equal(steps[i].level, expected[i].level);
            assert_int_equal(steps[i].index, expected[i].index);
            assert_int_equal(steps[i].table.raw, expected[i].table.raw);
            assert_int_equal(steps[i].entry.raw | PAGE_ENTRY_SET_BY_CPU,
                             expected[i].entry.raw | PAGE_ENTRY_SET_BY_CPU);
            assert_int_equal(expected[i].table.raw, walk.tables[steps[i].level]);
        }
    }
}

static void all_ways_see_the_same_tables(void **state)
{
    (void)state;
    for (unsigned levels = 4; levels <= 5; levels++) {
        make(levels);
        assert_int_equal(
            tables_map(&tables, HIGH, GIB(1), GIB(1) + MIB(2) + KIB(4), PAGE_EXECUTE, PAGE_LEVEL_1G),
            PAGE_TABLE_OK);
        const uint64_t addresses[] = {0,
                                      KIB(4),
                                      MEMORY,
                                      HIGH,
                                      HIGH + GIB(1),
                                      HIGH + GIB(1) + MIB(2),
                                      HIGH + GIB(2),
                                      0 - FRAME_BYTES,
                                      OFFSET_WINDOW + KIB(20),
                                      0x7ffffffff000};
        for (unsigned i = 0; i < ARRAY_LENGTH(addresses); i++) {
            expect_same(addresses[i]);
        }
        destroy();
    }
}

static void a_non_canonical_address_has_no_steps(void **state)
{
    (void)state;
    struct page_walk_step steps[PAGE_WALK_STEPS_MAX];
    make(4);
    assert_int_equal(page_table_walk(&tables.kernel, ways[0], virt_addr(1ULL << 47), steps), 0);
    destroy();
}

/* Everything that changes tables, by the way `access`. */
static void work_through(const struct page_table_access *access)
{
    tables.kernel.access = access;
    assert_int_equal(tables_map(&tables, HIGH + KIB(4), GIB(1) + KIB(4), MIB(6), PAGE_WRITE, PAGE_LEVEL_2M),
                     PAGE_TABLE_OK);
    assert_int_equal(mmu_model_walk(&tables.kernel, HIGH + MIB(2)).level, PAGE_LEVEL_2M);
    assert_int_equal(tables_protect(&tables, HIGH + MIB(3), KIB(8), PAGE_READ), PAGE_TABLE_OK);
    assert_false(mmu_model_walk(&tables.kernel, HIGH + MIB(3)).write);
    assert_true(mmu_model_walk(&tables.kernel, HIGH + MIB(3) + KIB(8)).write);
    assert_int_equal(tables_unmap(&tables, HIGH + MIB(4), KIB(4)), PAGE_TABLE_OK);
    assert_int_equal(mmu_model_walk(&tables.kernel, HIGH + MIB(4)).result, MMU_NOT_PRESENT);
    page_table_entry_t old;
    tables_before(&tables);
    assert_int_equal(
        page_table_set(&tables.kernel, virt_addr(HIGH + MIB(4)),
                       page_entry_leaf(phys_addr(GIB(1) + MIB(4)), 1, PAGE_WRITE, CACHE_WRITE_BACK),
                       PAGE_LEVEL_4K, &old, &tables.batch),
        PAGE_TABLE_OK);
    tables_after(&tables);
    assert_int_equal(tables_protect(&tables, HIGH + MIB(2), MIB(2), PAGE_WRITE), PAGE_TABLE_OK);
    tables_before(&tables);
    assert_int_equal(page_table_merge(&tables.kernel, virt_addr(HIGH), MIB(8), PAGE_LEVEL_1G, &tables.batch),
                     2);
    tables_after(&tables);
    assert_int_equal(tables_unmap(&tables, HIGH, MIB(8)), PAGE_TABLE_OK);
}

static void all_ways_change_tables(void **state)
{
    (void)state;
    for (unsigned levels = 4; levels <= 5; levels++) {
        for (unsigned way = 0; way < PAGE_TABLE_PATH_COUNT; way++) {
            make(levels);
            most_opened = 0;
            work_through(ways[way]);
            assert_int_equal(opened, 0);
            assert_in_range(most_opened, 0, PAGE_TABLE_SLOTS);
            destroy();
        }
    }
}

/*
 * A table that took another's place must be seen through the recursive room although the old one is cached.
 */
static void the_recursive_room_shows_a_table_that_is_new(void **state)
{
    (void)state;
    make(4);
    for (unsigned i = 0; i < 4; i++) {
        tables.kernel.access = &recursive.access;
        assert_int_equal(tables_map(&tables, HIGH, MIB(2) * (i + 1), KIB(4), PAGE_WRITE, PAGE_LEVEL_4K),
                         PAGE_TABLE_OK);
        expect_same(HIGH);
        assert_int_equal(tables_unmap(&tables, HIGH, KIB(4)), PAGE_TABLE_OK);
        phys_addr_t taken = frame_alloc(&tables.machine.pool, 0, OWNER_TEST); /* the next one is another */
        assert_int_equal(tables_map(&tables, HIGH, MIB(3), KIB(4), PAGE_WRITE, PAGE_LEVEL_4K), PAGE_TABLE_OK);
        expect_same(HIGH);
        assert_int_equal(tables_unmap(&tables, HIGH, KIB(4)), PAGE_TABLE_OK);
        frame_free(&tables.machine.pool, taken, 0);
    }
    destroy();
}

static void tables_out_of_reach_are_an_error(void **state)
{
    (void)state;
    make(4);
    page_table_end_recursive(&tables.kernel);
    tables.kernel.access = &recursive.access;
    struct page_walk_step steps[PAGE_WALK_STEPS_MAX];
    validate_at_random(1);
    assert_int_equal(page_table_map(&tables.kernel, virt_addr(HIGH), phys_addr(0), KIB(4), PAGE_READ,
                                    CACHE_WRITE_BACK, PAGE_LEVEL_4K),
                     PAGE_TABLE_UNREACHABLE);
    tlb_batch_start(&tables.batch, &tables.kernel);
    assert_int_equal(page_table_unmap(&tables.kernel, virt_addr(0), KIB(4), &tables.batch, NULL, NULL),
                     PAGE_TABLE_UNREACHABLE);
    validate_at_random(0);
    assert_int_equal(page_table_walk(&tables.kernel, &recursive.access, virt_addr(HIGH), steps), 0);
    phys_addr_t frames[2];
    page_table_entry_t *entries;
    page_table_entry_t old;
    page_table_entry_t leaf = page_entry_leaf(phys_addr(0), PAGE_LEVEL_4K, PAGE_READ, CACHE_WRITE_BACK);
    assert_int_equal(page_table_unmap_frames(&tables.kernel, virt_addr(0), 2, &tables.batch, frames),
                     PAGE_TABLE_UNREACHABLE);
    assert_int_equal(
        page_table_protect(&tables.kernel, virt_addr(0), KIB(4), PAGE_READ, CACHE_WRITE_BACK, &tables.batch),
        PAGE_TABLE_UNREACHABLE);
    assert_int_equal(page_table_set(&tables.kernel, virt_addr(0), leaf, PAGE_LEVEL_4K, &old, &tables.batch),
                     PAGE_TABLE_UNREACHABLE);
    assert_int_equal(page_table_split(&tables.kernel, virt_addr(KIB(4)), &tables.batch),
                     PAGE_TABLE_UNREACHABLE);
    assert_int_equal(page_table_each(&tables.kernel, virt_addr(0), KIB(4), NULL, NULL),
                     PAGE_TABLE_UNREACHABLE);
    assert_int_equal(page_table_hold(&tables.kernel, virt_addr(HIGH), KIB(4), &entries),
                     PAGE_TABLE_UNREACHABLE);
    assert_null(page_table_slot(&tables.kernel, virt_addr(0)));
    assert_true(tlb_batch_is_empty(&tables.batch));
    tables.kernel.access = &tables.physmap;
    page_table_make_recursive(&tables.kernel, RECURSIVE);
    destroy();
}

static void nothing_is_mapped_over_the_recursive_room_or_held_pages(void **state)
{
    (void)state;
    make(4);
    assert_int_equal(tables_map(&tables, 0xffffff0000000000, 0, KIB(4), PAGE_WRITE, PAGE_LEVEL_4K),
                     PAGE_TABLE_OCCUPIED);
    assert_int_equal(tables_map(&tables, 0xfffffeffffffe000, 0, KIB(12), PAGE_WRITE, PAGE_LEVEL_4K),
                     PAGE_TABLE_OCCUPIED);
    assert_int_equal(tables_map(&tables, SLOTS - KIB(4), 0, KIB(8), PAGE_WRITE, PAGE_LEVEL_4K),
                     PAGE_TABLE_OCCUPIED);
    page_table_entry_t *slots;
    assert_int_equal(page_table_hold(&tables.kernel, virt_addr(SLOTS), KIB(4), &slots), PAGE_TABLE_OCCUPIED);
    assert_int_equal(page_table_hold(&tables.kernel, virt_addr(HIGH + MIB(2) - KIB(4)), KIB(8), &slots),
                     PAGE_TABLE_UNALIGNED);
    /* Unmapping around them leaves both. */
    assert_int_equal(tables_unmap(&tables, 0 - TIB(2), TIB(2)), PAGE_TABLE_OK);
    assert_int_equal(temporary.slots[0].raw, page_entry_held().raw);
    expect_same(SLOTS + 2 * FRAME_BYTES); /* a slot itself looks different while it is looked through */
    destroy();
}

/* Slots need not be those of CPU 0 and the following: each group of CPUs has its own. */
static void slots_begin_with_the_first_cpu_of_their_group(void **state)
{
    (void)state;
    enum { FIRST_CPU = 256 };
    static struct page_table_temporary group;
    struct page_walk_step steps[PAGE_WALK_STEPS_MAX];
    page_table_entry_t *slots;
    make(4);
    assert_int_equal(page_table_hold(&tables.kernel, virt_addr(SLOTS + MIB(2)), 4 * FRAME_BYTES, &slots),
                     PAGE_TABLE_OK);
    page_table_temporary_init(&group, FIRST_CPU, virt_addr(SLOTS + MIB(2)), slots, through_mmu, NULL);
    for (unsigned cpu = FIRST_CPU; cpu < FIRST_CPU + 2; cpu++) {
        struct host_cpu left = host_play(cpu);
        page_table_entry_t *root = group.access.open(&group.access, tables.kernel.root, virt_addr(0), 4);
        assert_ptr_equal(root, through_mmu(NULL, virt_addr(SLOTS + MIB(2) + (cpu - FIRST_CPU) * KIB(8))));
        group.access.close(&group.access, root);
        assert_true(page_table_walk(&tables.kernel, &group.access, virt_addr(SLOTS), steps) >= 2);
        host_play_end(left);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(slots[i].raw, page_entry_held().raw);
        slots[i] = page_entry_leaf(phys_addr(0), PAGE_LEVEL_4K, 0, CACHE_WRITE_BACK);
    }
    destroy();
}

/* A CPU has two slots, so two tables may be open at once; what is in none of them cannot be closed. */
static void two_tables_are_open_at_once(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    volatile bool panicked;
    make(4);
    const struct page_table_access *access = &temporary.access;
    struct page_walk_step steps[PAGE_WALK_STEPS_MAX];
    assert_true(page_table_walk(&tables.kernel, &tables.physmap, virt_addr(SLOTS), steps) >= 2);
    page_table_entry_t *root = access->open(access, steps[0].table, virt_addr(0), 4);
    page_table_entry_t *below = access->open(access, steps[1].table, virt_addr(0), 3);
    assert_ptr_equal(root, frame_pointer(&tables.machine.pool, steps[0].table));
    assert_ptr_equal(below, frame_pointer(&tables.machine.pool, steps[1].table));
    access->close(access, root);
    assert_ptr_equal(access->open(access, steps[0].table, virt_addr(0), 4), root);
    access->close(access, below);
    access->close(access, root);
    CATCH_PANIC(trap, panicked, access->close(access, root));
    assert_true(panicked);
    assert_non_null(strstr(trap.message, "in no slot"));
    destroy();
}

static void ways_have_names_of_their_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PAGE_TABLE_PATH_COUNT; i++) {
        for (unsigned other = 0; other < i; other++) {
            assert_string_not_equal(page_table_path_name((enum page_table_path)i),
                                    page_table_path_name((enum page_table_path)other));
        }
    }
    volatile unsigned none = PAGE_TABLE_PATH_COUNT;
    assert_string_equal(page_table_path_name((enum page_table_path)none), "unknown path");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(held_pages_are_at_no_time_there),
        cmocka_unit_test(all_ways_see_the_same_tables),
        cmocka_unit_test(slots_begin_with_the_first_cpu_of_their_group),
        cmocka_unit_test(a_non_canonical_address_has_no_steps),
        cmocka_unit_test(all_ways_change_tables),
        cmocka_unit_test(the_recursive_room_shows_a_table_that_is_new),
        cmocka_unit_test(tables_out_of_reach_are_an_error),
        cmocka_unit_test(two_tables_are_open_at_once),
        cmocka_unit_test(ways_have_names_of_their_own),
        cmocka_unit_test(nothing_is_mapped_over_the_recursive_room_or_held_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
