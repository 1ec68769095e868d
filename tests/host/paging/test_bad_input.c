/* What no operation on page tables takes: the same bad ranges and leaves for each, and nothing changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

#define HIGH   0xffffd00000000000ULL
#define LOW    0x400000ULL
#define MEMORY MIB(16)

static struct tables tables;
static struct page_table space; /* shares the kernel's half */
static struct tlb_batch batch;
static phys_addr_t frames[PAGE_TABLE_ENTRIES];

/* ---- The operations ---- */

typedef enum page_table_error operation(struct page_table *table, uint64_t base, uint64_t bytes);

static enum page_table_error map(struct page_table *table, uint64_t base, uint64_t bytes)
{
    return page_table_map(table, virt_addr(base), phys_addr(0), bytes, PAGE_READ, CACHE_WRITE_BACK,
                          PAGE_LEVEL_1G);
}

static enum page_table_error map_frames(struct page_table *table, uint64_t base, uint64_t bytes)
{
    return page_table_map_frames(table, virt_addr(base), frames, bytes >> FRAME_SHIFT, PAGE_READ,
                                 CACHE_WRITE_BACK);
}

static enum page_table_error unmap(struct page_table *table, uint64_t base, uint64_t bytes)
{
    return page_table_unmap(table, virt_addr(base), bytes, &batch, NULL, NULL);
}

static enum page_table_error unmap_frames(struct page_table *table, uint64_t base, uint64_t bytes)
{
    return page_table_unmap_frames(table, virt_addr(base), bytes >> FRAME_SHIFT, &batch, frames);
}

static enum page_table_error protect(struct page_table *table, uint64_t base, uint64_t bytes)
{
    return page_table_protect(table, virt_addr(base), bytes, PAGE_READ, CACHE_WRITE_BACK, &batch);
}

/* The range can only be the page that the call is about. */
static enum page_table_error set(struct page_table *table, uint64_t base, uint64_t bytes)
{
    page_table_entry_t old;
    enum page_level level = bytes == FRAME_BYTES ? PAGE_LEVEL_4K : PAGE_LEVEL_2M;
    return page_table_set(table, virt_addr(base),
                          page_entry_leaf(phys_addr(0), level, PAGE_READ, CACHE_WRITE_BACK), level, &old,
                          &batch);
}

static enum page_table_error split(struct page_table *table, uint64_t base, uint64_t bytes)
{
    (void)bytes;
    return page_table_split(table, virt_addr(base), &batch);
}

/* Counts leaves that are as start() made them. */
static void see(void *context, virt_addr_t base, page_table_entry_t entry, enum page_level level)
{
    uint64_t *seen = context;
    bool as_made = level == PAGE_LEVEL_4K && page_entry_access(entry) == PAGE_READ;
    *seen += as_made && page_entry_leaf_address(entry, level).raw == base.raw % MIB(2);
}

static enum page_table_error each(struct page_table *table, uint64_t base, uint64_t bytes)
{
    uint64_t seen = 0;
    enum page_table_error error = page_table_each(table, virt_addr(base), bytes, see, &seen);
    assert_int_equal(seen, error == PAGE_TABLE_OK ? bytes >> FRAME_SHIFT : 0);
    return error;
}

static enum page_table_error hold(struct page_table *table, uint64_t base, uint64_t bytes)
{
    page_table_entry_t *entries;
    return page_table_hold(table, virt_addr(base), bytes, &entries);
}

/* What can be said in a call: lengths from `least` to `most` bytes, multiples of `unit`. */
static const struct {
    const char *name;
    operation *operate;
    uint64_t unit, least, most;
    bool changes; /* and so leaves the shared half alone */
} operations[] = {
    {"map", map, 1, 0, UINT64_MAX, true},
    {"map_frames", map_frames, FRAME_BYTES, 0, UINT64_MAX, true},
    {"unmap", unmap, 1, 0, UINT64_MAX, true},
    {"unmap_frames", unmap_frames, FRAME_BYTES, 0, UINT64_MAX, true},
    {"protect", protect, 1, 0, UINT64_MAX, true},
    {"set, 4 KiB", set, FRAME_BYTES, FRAME_BYTES, FRAME_BYTES, true},
    {"set, 2 MiB", set, MIB(2), MIB(2), MIB(2), true},
    {"split", split, FRAME_BYTES, FRAME_BYTES, FRAME_BYTES, true},
    {"each", each, 1, 0, UINT64_MAX, false},
    {"hold", hold, 1, 0, UINT64_MAX, true},
};

/* ---- Ranges ---- */

/* Each half has a table full of pages, which could be one large page. */
static void start(unsigned levels)
{
    tables_make(&tables, MEMORY, levels, PAGE_LEVEL_1G);
    assert_int_equal(
        page_table_init(&space, &tables.machine.pool, &tables.physmap, levels, PAGE_LEVEL_1G, &tables.kernel),
        PAGE_TABLE_OK);
    assert_int_equal(tables_map(&tables, LOW, 0, MIB(2), PAGE_READ, PAGE_LEVEL_4K), PAGE_TABLE_OK);
    assert_int_equal(tables_map(&tables, HIGH, 0, MIB(2), PAGE_READ, PAGE_LEVEL_4K), PAGE_TABLE_OK);
    assert_int_equal(page_table_map(&space, virt_addr(LOW), phys_addr(0), MIB(2), PAGE_READ, CACHE_WRITE_BACK,
                                    PAGE_LEVEL_4K),
                     PAGE_TABLE_OK);
}

/* All is as it was. */
static void stop(void)
{
    unsigned below = tables.kernel.levels - 1;
    assert_int_equal(tables.kernel.table_frames, 1 + 2 * below);
    assert_int_equal(space.table_frames, 1 + below);
    assert_int_equal(each(&tables.kernel, LOW, MIB(2)), PAGE_TABLE_OK);
    assert_int_equal(each(&space, LOW, MIB(2)), PAGE_TABLE_OK);
    assert_int_equal(each(&space, HIGH, MIB(2)), PAGE_TABLE_OK);
    tables_check(&space);
    tlb_batch_start(&batch, &space);
    assert_int_equal(unmap(&space, LOW, MIB(2)), PAGE_TABLE_OK);
    tlb_batch_finish(&batch);
    page_table_destroy(&space);
    tables_destroy(&tables);
}

static void expect_refused(struct page_table *table, uint64_t base, uint64_t bytes,
                           enum page_table_error expected)
{
    for (unsigned i = 0; i < ARRAY_LENGTH(operations); i++) {
        if (bytes % operations[i].unit != 0 || bytes < operations[i].least || bytes > operations[i].most) {
            continue;
        }
        tlb_batch_start(&batch, table);
        enum page_table_error error = operations[i].operate(table, base, bytes);
        if (error != expected) {
            fail_msg("%s of %#" PRIx64 " bytes at %#" PRIx64 ": %s, not %s", operations[i].name, bytes, base,
                     page_table_error_name(error), page_table_error_name(expected));
        }
        assert_int_equal(page_table_merge(table, virt_addr(base), bytes, PAGE_LEVEL_1G, &batch), 0);
        assert_true(tlb_batch_is_empty(&batch));
    }
}

static void ranges_that_cannot_be(void **state)
{
    (void)state;
    for (unsigned levels = 4; levels <= 5; levels++) {
        const uint64_t half = 1ULL << (page_level_shift(levels + 1) - 1);
        const struct {
            uint64_t base, bytes;
            enum page_table_error expected;
        } cases[] = {
            {LOW, 0, PAGE_TABLE_EMPTY},
            {half, 0, PAGE_TABLE_EMPTY},
            {LOW + 1, FRAME_BYTES, PAGE_TABLE_UNALIGNED},
            {LOW + 1, MIB(2), PAGE_TABLE_UNALIGNED},
            {LOW, 1, PAGE_TABLE_UNALIGNED},
            {LOW, FRAME_BYTES + 1, PAGE_TABLE_UNALIGNED},
            {LOW, 0 - 1ULL, PAGE_TABLE_UNALIGNED},
            {0 - FRAME_BYTES, 2 * FRAME_BYTES, PAGE_TABLE_WRAPS},
            {LOW, 0 - FRAME_BYTES, PAGE_TABLE_WRAPS},
            {0 - half, 0 - FRAME_BYTES, PAGE_TABLE_WRAPS},
            {half, FRAME_BYTES, PAGE_TABLE_NON_CANONICAL},
            {half, MIB(2), PAGE_TABLE_NON_CANONICAL},
            {half - FRAME_BYTES, 2 * FRAME_BYTES, PAGE_TABLE_NON_CANONICAL},
            {0 - half - FRAME_BYTES, FRAME_BYTES, PAGE_TABLE_NON_CANONICAL},
            {0 - half - MIB(2), MIB(2), PAGE_TABLE_NON_CANONICAL},
            {0 - half - FRAME_BYTES, 2 * FRAME_BYTES, PAGE_TABLE_NON_CANONICAL},
            {1ULL << 63, FRAME_BYTES, PAGE_TABLE_NON_CANONICAL},
            {half - FRAME_BYTES, 0 - 2 * half + 2 * FRAME_BYTES, PAGE_TABLE_NON_CANONICAL}, /* ends well */
            {0, 0 - FRAME_BYTES, PAGE_TABLE_NON_CANONICAL},
        };
        start(levels);
        for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
            expect_refused(&tables.kernel, cases[i].base, cases[i].bytes, cases[i].expected);
            expect_refused(&space, cases[i].base, cases[i].bytes, cases[i].expected);
        }
        stop();
    }
}

static void the_shared_half_is_only_looked_at(void **state)
{
    (void)state;
    static const uint64_t lengths[] = {FRAME_BYTES, KIB(8), MIB(2)};
    start(4);
    for (unsigned i = 0; i < ARRAY_LENGTH(operations); i++) {
        for (unsigned j = 0; j < ARRAY_LENGTH(lengths); j++) {
            if (lengths[j] % operations[i].unit == 0 && lengths[j] <= operations[i].most) {
                tlb_batch_start(&batch, &space);
                assert_int_equal(operations[i].operate(&space, HIGH, lengths[j]),
                                 operations[i].changes ? PAGE_TABLE_WRONG_HALF : PAGE_TABLE_OK);
            }
        }
    }
    assert_int_equal(page_table_merge(&space, virt_addr(HIGH), GIB(1), PAGE_LEVEL_1G, &batch), 0);
    assert_true(tlb_batch_is_empty(&batch));
    stop();
}

/* ---- Leaves ---- */

/* The leaf by all that make one. */
static void expect_no_leaf(uint64_t base, unsigned access, unsigned cache, enum page_table_error expected)
{
    page_table_entry_t old;
    enum page_cache kind = (enum page_cache)cache;
    assert_int_equal(page_table_map(&tables.kernel, virt_addr(base), phys_addr(0), FRAME_BYTES, access, kind,
                                    PAGE_LEVEL_4K),
                     expected);
    assert_int_equal(page_table_map_frames(&tables.kernel, virt_addr(base), frames, 1, access, kind),
                     expected);
    assert_int_equal(page_table_protect(&tables.kernel, virt_addr(base), FRAME_BYTES, access, kind, &batch),
                     expected);
    if (page_cache_exists(cache) && (access & ~(unsigned)PAGE_ACCESS_ALL) == 0) { /* it can be written down */
        page_table_entry_t leaf = page_entry_leaf(phys_addr(0), PAGE_LEVEL_4K, access, kind);
        assert_int_equal(page_table_set(&tables.kernel, virt_addr(base), leaf, PAGE_LEVEL_4K, &old, &batch),
                         expected);
    }
}

static void leaves_that_cannot_be(void **state)
{
    (void)state;
    static const unsigned both = PAGE_WRITE | PAGE_EXECUTE;
    start(4);
    tlb_batch_start(&batch, &tables.kernel);
    for (unsigned more = 0; more < 2; more++) {
        expect_no_leaf(LOW, both | (more ? PAGE_USER : 0), CACHE_WRITE_BACK, PAGE_TABLE_BAD_ACCESS);
        expect_no_leaf(HIGH, both | (more ? PAGE_GLOBAL : 0), CACHE_WRITE_BACK, PAGE_TABLE_BAD_ACCESS);
        expect_no_leaf(LOW, PAGE_GLOBAL | (more ? PAGE_WRITE : 0), CACHE_WRITE_BACK, PAGE_TABLE_WRONG_HALF);
        expect_no_leaf(HIGH, PAGE_USER | (more ? PAGE_WRITE : 0), CACHE_WRITE_BACK, PAGE_TABLE_WRONG_HALF);
        expect_no_leaf(HIGH, PAGE_INACCESSIBLE | (more ? PAGE_USER : PAGE_WRITE), CACHE_WRITE_BACK,
                       PAGE_TABLE_BAD_ACCESS);
    }
    for (unsigned bit = 5; bit < 32; bit++) {
        expect_no_leaf(HIGH, PAGE_WRITE | 1U << bit, CACHE_WRITE_BACK, PAGE_TABLE_BAD_ACCESS);
    }
    for (unsigned cache = 0; cache < 300; cache++) {
        if (!page_cache_exists(cache)) {
            expect_no_leaf(HIGH, PAGE_WRITE, cache, PAGE_TABLE_BAD_ACCESS);
        }
    }
    assert_true(tlb_batch_is_empty(&batch));
    stop();
}

/* What can be said in a leaf that is set, and in no other way. */
static void leaves_that_cannot_be_set(void **state)
{
    (void)state;
    const uint64_t plain = PAGE_ENTRY_PRESENT | PAGE_ENTRY_NO_EXECUTE;
    const struct {
        uint64_t base, raw;
        unsigned level;
        enum page_table_error expected;
    } cases[] = {
        {HIGH, plain, 0, PAGE_TABLE_BAD_ACCESS},
        {HIGH, plain | PAGE_ENTRY_LARGE, PAGE_LEVEL_1G, PAGE_TABLE_BAD_ACCESS},
        {HIGH, plain, PAGE_LEVEL_PML4, PAGE_TABLE_BAD_ACCESS},
        {HIGH, plain, PAGE_LEVEL_2M, PAGE_TABLE_BAD_ACCESS}, /* names a table */
        {HIGH, plain | PAGE_ENTRY_LARGE | 1ULL << 13, PAGE_LEVEL_2M, PAGE_TABLE_BAD_ACCESS},
        {HIGH, PAGE_ENTRY_DIRTY, PAGE_LEVEL_4K, PAGE_TABLE_BAD_ACCESS},
        {HIGH, page_entry_held().raw, PAGE_LEVEL_4K, PAGE_TABLE_BAD_ACCESS},
        {HIGH, plain | 1ULL << 46, PAGE_LEVEL_4K, PAGE_TABLE_BAD_PHYSICAL},
        {HIGH, plain | PAGE_ENTRY_LARGE | 1ULL << 46, PAGE_LEVEL_2M, PAGE_TABLE_BAD_PHYSICAL},
        {HIGH + KIB(4), plain | PAGE_ENTRY_LARGE, PAGE_LEVEL_2M, PAGE_TABLE_UNALIGNED},
        {HIGH + KIB(4), 0, PAGE_LEVEL_2M, PAGE_TABLE_UNALIGNED},
    };
    start(4);
    tables.kernel.physical_end = 1ULL << 46;
    tlb_batch_start(&batch, &tables.kernel);
    for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
        page_table_entry_t old;
        assert_int_equal(page_table_set(&tables.kernel, virt_addr(cases[i].base),
                                        (page_table_entry_t){cases[i].raw}, (enum page_level)cases[i].level,
                                        &old, &batch),
                         cases[i].expected);
    }
    assert_true(tlb_batch_is_empty(&batch));
    stop();
}

static enum page_table_error map_with(uint64_t count, phys_addr_t wrong)
{
    phys_addr_t kept = frames[1];
    frames[1] = wrong;
    enum page_table_error error = page_table_map_frames(&tables.kernel, virt_addr(HIGH + MIB(2)), frames,
                                                        count, PAGE_READ, CACHE_WRITE_BACK);
    frames[1] = kept;
    return error;
}

/* Frames that cannot be, and more than fit into all addresses. */
static void frames_that_cannot_be_mapped(void **state)
{
    (void)state;
    start(4);
    tables.kernel.physical_end = 1ULL << 40;
    assert_int_equal(map_with(2, phys_addr(FRAME_BYTES + 8)), PAGE_TABLE_UNALIGNED);
    assert_int_equal(map_with(2, phys_addr(1ULL << 40)), PAGE_TABLE_BAD_PHYSICAL);
    assert_int_equal(map_with((UINT64_MAX >> FRAME_SHIFT) + 1, phys_addr(0)), PAGE_TABLE_WRAPS);
    stop();
}

static void errors_have_names_of_their_own(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PAGE_TABLE_ERROR_COUNT; i++) {
        for (unsigned other = 0; other < i; other++) {
            assert_string_not_equal(page_table_error_name((enum page_table_error)i),
                                    page_table_error_name((enum page_table_error)other));
        }
    }
    volatile unsigned none = PAGE_TABLE_ERROR_COUNT;
    assert_string_equal(page_table_error_name((enum page_table_error)none), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_that_cannot_be),        cmocka_unit_test(the_shared_half_is_only_looked_at),
        cmocka_unit_test(leaves_that_cannot_be),        cmocka_unit_test(leaves_that_cannot_be_set),
        cmocka_unit_test(frames_that_cannot_be_mapped), cmocka_unit_test(errors_have_names_of_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
