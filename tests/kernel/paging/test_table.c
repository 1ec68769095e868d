/* Page tables on the machine: the format, the five ways, 4 and 5 levels, sizes, and the CPU's own opinion. */
#include <ashlar/boot.h>
#include <ashlar/layout.h>
#include <ashlar/memory.h>
#include <ashlar/page_table_view.h>
#include <ashlar/processor.h>
#include <ashlar/sealed.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <ashlar/trap.h>
#include <ashlar/vm_kernel.h>
#include <stdatomic.h>

#include "tests/kernel/space/tests.h"

#define ROOM 0xffffef0000000000ULL /* above the arena: nobody else's */

/* ---- The format ---- */

static bool leaf_is_itself(unsigned level, unsigned access, enum page_cache cache, uint64_t address)
{
    page_table_entry_t leaf = page_entry_leaf(phys_addr(address), level, access, cache);
    page_table_entry_t keyed = page_entry_with_key(page_entry_with_software(leaf, 0x2a5), 11);
    return page_entry_kind(leaf, level) == ENTRY_LEAF && page_entry_access(leaf) == access &&
           page_entry_cache(leaf, level) == cache && page_entry_leaf_address(leaf, level).raw == address &&
           page_entry_reserved(leaf, level, PAGE_PHYSICAL_BITS_MAX) == 0 && page_entry_key(keyed) == 11 &&
           page_entry_software(keyed) == 0x2a5 && page_entry_cache(keyed, level) == cache &&
           page_entry_leaf_address(keyed, level).raw == address && page_entry_access(keyed) == access;
}

KERNEL_TEST(pt_entries_say_what_they_were_made_of)
{
    static const enum page_cache caches[] = {CACHE_WRITE_BACK, CACHE_WRITE_COMBINING, CACHE_UNCACHED_WEAK,
                                             CACHE_UNCACHED,   CACHE_WRITE_PROTECTED, CACHE_WRITE_THROUGH};
    for (unsigned level = PAGE_LEVEL_4K; level <= PAGE_LEVEL_1G; level++) {
        uint64_t highest = PAGE_PHYSICAL_END - page_level_bytes(level);
        for (unsigned access = 0; access <= PAGE_ACCESS_ALL; access++) {
            for (unsigned i = 0; i < ARRAY_LENGTH(caches); i++) {
                EXPECT(leaf_is_itself(level, access, caches[i], 0));
                EXPECT(leaf_is_itself(level, access, caches[i], highest));
            }
        }
    }
}

KERNEL_TEST(pt_parts_make_the_whole)
{
    for (unsigned level = PAGE_LEVEL_2M; level <= PAGE_LEVEL_1G; level++) {
        page_table_entry_t whole = page_entry_leaf(phys_addr(GIB(5)), level, PAGE_WRITE, CACHE_WRITE_THROUGH);
        for (unsigned i = 0; i < PAGE_TABLE_ENTRIES; i++) {
            page_table_entry_t part = page_entry_part(whole, level, i);
            EXPECT_EQUAL(page_entry_leaf_address(part, level - 1).raw,
                         GIB(5) + i * page_level_bytes(level - 1));
            EXPECT_EQUAL(page_entry_cache(part, level - 1), CACHE_WRITE_THROUGH);
            EXPECT_EQUAL(page_entry_access(part), PAGE_WRITE);
        }
        EXPECT_EQUAL(page_entry_whole(page_entry_part(whole, level, 0), level).raw, whole.raw);
    }
}

/* ---- Tables of a test's own, of either depth, walked in software ---- */

static bool tables_are_sound(struct page_table *table)
{
    struct page_table_problem problem;
    return page_table_check(table, &problem);
}

static void drop_tables(struct page_table *table)
{
    struct tlb_batch batch;
    uint64_t half = 1ULL << (page_level_shift(table->levels + 1) - 1);
    tlb_batch_start(&batch, table);
    page_table_unmap(table, virt_addr(0), half, &batch, NULL, NULL);
    page_table_unmap(table, virt_addr(0 - half), half, &batch, NULL, NULL);
    tlb_batch_finish(&batch);
    page_table_destroy(table);
}

static void expect_sizes(struct page_table *table)
{
    static const uint64_t bases[] = {0xffffd00000000000, 0x7f0000000000};
    for (unsigned i = 0; i < ARRAY_LENGTH(bases); i++) {
        virt_addr_t base = virt_addr(bases[i]);
        EXPECT_EQUAL(page_table_map(table, base, phys_addr(GIB(1)), GIB(1) + MIB(2) + KIB(4), PAGE_WRITE,
                                    CACHE_WRITE_BACK, PAGE_LEVEL_1G),
                     PAGE_TABLE_OK);
        EXPECT_EQUAL(page_table_translate(table, base).level, table->largest_level);
        EXPECT_EQUAL(page_table_translate(table, virt_add(base, GIB(1))).level, PAGE_LEVEL_2M);
        struct page_translation last = page_table_translate(table, virt_add(base, GIB(1) + MIB(2) + 5));
        EXPECT_EQUAL(last.level, PAGE_LEVEL_4K);
        EXPECT_EQUAL(last.target.raw, GIB(2) + MIB(2) + 5);
    }
    EXPECT(tables_are_sound(table));
}

KERNEL_TEST(pt_tables_of_both_depths_and_all_sizes)
{
    for (unsigned levels = 4; levels <= 5; levels++) {
        for (enum page_level largest = PAGE_LEVEL_2M; largest <= PAGE_LEVEL_1G; largest++) {
            struct page_table table;
            EXPECT_EQUAL(
                page_table_init(&table, kernel_frames(), kernel_page_table()->access, levels, largest, NULL),
                PAGE_TABLE_OK);
            expect_sizes(&table);
            drop_tables(&table);
        }
    }
}

/* ---- The kernel's tables, by five ways ---- */

static unsigned walk_by(enum page_table_path path, virt_addr_t address,
                        struct page_walk_step steps[PAGE_WALK_STEPS_MAX])
{
    struct page_table_view view;
    if (page_table_view_open(&view, path) != PAGE_TABLE_OK) {
        return 0;
    }
    unsigned count = page_table_walk(kernel_page_table(), view.access, address, steps);
    page_table_view_close(&view);
    return count;
}

/* The root's recursive entry apart, which only some of the ways need. */
static void expect_all_ways_alike(virt_addr_t address)
{
    struct page_walk_step expected[PAGE_WALK_STEPS_MAX] = {0};
    unsigned count = walk_by(PAGE_TABLE_PHYSMAP, address, expected);
    EXPECT(count > 0);
    for (unsigned path = PAGE_TABLE_PHYSMAP + 1; path < PAGE_TABLE_PATH_COUNT; path++) {
        struct page_walk_step steps[PAGE_WALK_STEPS_MAX] = {0};
        EXPECT_EQUAL(walk_by((enum page_table_path)path, address, steps), count);
        for (unsigned i = 0; i < count; i++) {
            EXPECT_EQUAL(steps[i].table.raw, expected[i].table.raw);
            EXPECT_EQUAL(steps[i].entry.raw | PAGE_ENTRY_SET_BY_CPU,
                         expected[i].entry.raw | PAGE_ENTRY_SET_BY_CPU);
        }
    }
}

KERNEL_TEST(pt_five_ways_see_the_same_tables)
{
    static int here;
    expect_all_ways_alike(virt_of(&here));
    expect_all_ways_alike(virt_of((const void *)(uintptr_t)pt_five_ways_see_the_same_tables));
    expect_all_ways_alike(virt_of(physmap_pointer(phys_addr(MIB(2)))));
    expect_all_ways_alike(virt_addr(DESCRIPTORS_BASE));
    expect_all_ways_alike(virt_addr(ROOM));
    EXPECT(tables_are_sound(kernel_page_table()));
}

KERNEL_TEST(pt_views_return_what_they_took)
{
    struct page_walk_step steps[PAGE_WALK_STEPS_MAX];
    walk_by(PAGE_TABLE_TEMPORARY, virt_addr(ROOM), steps); /* makes the slots' table */
    uint64_t tables = kernel_page_table()->table_frames;
    struct frame_ledger before, after;
    memory_ledger(&before);
    for (unsigned path = 0; path < PAGE_TABLE_PATH_COUNT; path++) {
        EXPECT(walk_by((enum page_table_path)path, virt_addr(ROOM), steps) > 0);
    }
    memory_ledger(&after);
    EXPECT_EQUAL(after.owner_bytes[OWNER_PAGE_TABLES], before.owner_bytes[OWNER_PAGE_TABLES]);
    EXPECT_EQUAL(kernel_page_table()->table_frames, tables);
    EXPECT_EQUAL(kernel_page_table()->recursive_slot, 0);
}

/* Somebody's program may be looked at from within: its space is there again when the view is closed. */
KERNEL_TEST(pt_views_load_the_user_space_again)
{
    static struct vm_space user;
    struct vm_request request = {.source = VM_ZERO,
                                 .bytes = FRAME_BYTES,
                                 .access = VM_READ | VM_WRITE,
                                 .fixed = true,
                                 .address = virt_addr(MIB(4))};
    volatile uint64_t *word = virt_pointer(request.address);
    virt_addr_t address;
    uint64_t rounds = 0;
    EXPECT(tests_space_create(&user, "looking") == VM_OK && vm_space_map(&user, &request, &address) == VM_OK);
    space_load(&user);
    for (unsigned path = 0; path < PAGE_TABLE_PATH_COUNT; path++) {
        struct page_walk_step steps[PAGE_WALK_STEPS_MAX];
        walk_by((enum page_table_path)path, virt_of(&user), steps);
        user_access_begin();
        rounds = ++*word;
        user_access_end();
    }
    struct page_table_view view;
    EXPECT_EQUAL(page_table_view_open(&view, PAGE_TABLE_PHYSMAP), PAGE_TABLE_OK);
    EXPECT_EQUAL(atomic_load(&user.loaded), 1); /* still, so that nobody destroys it */
    page_table_view_close(&view);
    EXPECT_EQUAL(atomic_load(&user.loaded), 1);
    EXPECT(space_load(NULL) == &user);
    EXPECT_EQUAL(rounds, PAGE_TABLE_PATH_COUNT);
    tests_space_destroy(&user);
}

static _Atomic(unsigned) saw_the_same; /* CPUs */

/* One that is moved in between would look through another one's slots. */
static void look_through_own_slots(void *context, unsigned cpu)
{
    struct page_walk_step usual[PAGE_WALK_STEPS_MAX] = {0};
    struct page_walk_step temporary[PAGE_WALK_STEPS_MAX] = {0};
    virt_addr_t address = virt_of(context);
    (void)cpu;
    unsigned count = walk_by(PAGE_TABLE_PHYSMAP, address, usual);
    bool same = count > 0 && walk_by(PAGE_TABLE_TEMPORARY, address, temporary) == count;
    for (unsigned i = 0; same && i < count; i++) {
        same = temporary[i].table.raw == usual[i].table.raw;
    }
    atomic_fetch_add(&saw_the_same, same);
}

KERNEL_TEST(pt_temporary_slots_are_there_for_every_cpu)
{
    static int here;
    atomic_store(&saw_the_same, 0);
    EXPECT(processors_run(look_through_own_slots, &here));
    EXPECT_EQUAL(atomic_load(&saw_the_same), processors_online());
}

/* What no address may write, a window's may not either. */
KERNEL_TEST(pt_windows_write_neither_code_nor_what_is_sealed)
{
    const struct boot_kernel *kernel = &boot_info()->kernel;
    for (unsigned path = PAGE_TABLE_IDENTITY; path <= PAGE_TABLE_OFFSET; path++) {
        struct page_table_view view;
        EXPECT_EQUAL(page_table_view_open(&view, (enum page_table_path)path), PAGE_TABLE_OK);
        for (uint32_t i = 0; i < kernel->segment_count; i++) {
            const struct boot_segment *segment = &kernel->segments[i];
            virt_addr_t alias = virt_addr(view.access->offset + segment->physical_base.raw);
            struct page_translation seen = page_table_translate(&view.space, alias);
            EXPECT(seen.mapped && !(seen.access & PAGE_EXECUTE));
            EXPECT_EQUAL(!(seen.access & PAGE_WRITE), !segment_is_writable(segment));
        }
        page_table_view_close(&view);
    }
}

/* Maps a page by one of the ways, writes through it, and reads the frame through the physmap. */
static void expect_mapping_works(const struct page_table_access *access, phys_addr_t frame)
{
    struct page_table *table = kernel_page_table();
    const struct page_table_access *usual = table->access;
    volatile uint64_t *page = virt_pointer(virt_addr(ROOM));
    volatile uint64_t *alias = physmap_pointer(frame);
    struct tlb_batch batch;
    uint64_t value = 0;
    table->access = access;
    enum page_table_error error = page_table_map(table, virt_addr(ROOM), frame, FRAME_BYTES,
                                                 PAGE_WRITE | PAGE_GLOBAL, CACHE_WRITE_BACK, PAGE_LEVEL_4K);
    table->access = usual;
    EXPECT_EQUAL(error, PAGE_TABLE_OK);
    *page = 0xa51a;
    EXPECT_EQUAL(*alias, 0xa51a);
    *alias = 0;
    tlb_batch_start(&batch, table);
    EXPECT_EQUAL(
        page_table_protect(table, virt_addr(ROOM), FRAME_BYTES, PAGE_GLOBAL, CACHE_WRITE_BACK, &batch),
        PAGE_TABLE_OK);
    tlb_batch_finish(&batch);
    EXPECT(memory_try_read(&value, virt_addr(ROOM), sizeof value));
    EXPECT(!memory_try_write(virt_addr(ROOM), &value, sizeof value));
    table->access = access;
    error = page_table_unmap(table, virt_addr(ROOM), FRAME_BYTES, &batch, NULL, NULL);
    tlb_batch_finish(&batch);
    table->access = usual;
    EXPECT_EQUAL(error, PAGE_TABLE_OK);
    EXPECT(!memory_try_read(&value, virt_addr(ROOM), sizeof value));
}

KERNEL_TEST(pt_five_ways_change_the_tables_in_force)
{
    for (unsigned path = 0; path < PAGE_TABLE_PATH_COUNT; path++) {
        struct page_table_view view;
        phys_addr_t frame = frame_alloc(kernel_frames(), 0, OWNER_TEST);
        EXPECT(frame.raw != 0);
        EXPECT_EQUAL(page_table_view_open(&view, (enum page_table_path)path), PAGE_TABLE_OK);
        expect_mapping_works(view.access, frame);
        page_table_view_close(&view);
        frame_free(kernel_frames(), frame, 0);
    }
    EXPECT(tables_are_sound(kernel_page_table()));
}

KERNEL_TEST(pt_large_pages_work_where_the_cpu_has_them)
{
    struct page_table *table = kernel_page_table();
    phys_addr_t block = frame_alloc(kernel_frames(), FRAME_ORDER_2M, OWNER_TEST);
    struct tlb_batch batch;
    if (block.raw == 0) {
        kernel_test_skip("no free 2 MiB");
        return;
    }
    volatile uint64_t *page = virt_pointer(virt_addr(ROOM));
    volatile uint64_t *alias = physmap_pointer(block);
    EXPECT_EQUAL(page_table_map(table, virt_addr(ROOM), block, MIB(2), PAGE_WRITE | PAGE_GLOBAL,
                                CACHE_WRITE_BACK, PAGE_LEVEL_2M),
                 PAGE_TABLE_OK);
    EXPECT_EQUAL(page_table_translate(table, virt_addr(ROOM)).level, PAGE_LEVEL_2M);
    page[MIB(1) / 8] = 77;
    EXPECT_EQUAL(alias[MIB(1) / 8], 77);
    tlb_batch_start(&batch, table);
    EXPECT_EQUAL(page_table_unmap(table, virt_addr(ROOM + KIB(8)), KIB(4), &batch, NULL, NULL),
                 PAGE_TABLE_OK);
    tlb_batch_finish(&batch);
    EXPECT_EQUAL(page_table_translate(table, virt_addr(ROOM)).level, PAGE_LEVEL_4K);
    page[MIB(1) / 8] = 78;
    EXPECT_EQUAL(alias[MIB(1) / 8], 78);
    uint64_t value;
    EXPECT(!memory_try_read(&value, virt_addr(ROOM + KIB(8)), sizeof value));
    EXPECT_EQUAL(page_table_unmap(table, virt_addr(ROOM), MIB(2), &batch, NULL, NULL), PAGE_TABLE_OK);
    tlb_batch_finish(&batch);
    frame_free(kernel_frames(), block, FRAME_ORDER_2M);
    EXPECT(tables_are_sound(table));
}
