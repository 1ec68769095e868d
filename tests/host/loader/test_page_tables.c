/* The loader's page-table builder: what it maps is what a walk finds, with the largest pages that fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "loader/portable/page_tables.h"

#define TEST_FRAMES 4096

/* Frames are host memory; physical addresses are host addresses. */
struct test_memory {
    uint8_t *frames; /* TEST_FRAMES frames */
    size_t taken;    /* frames given out */
    size_t limit;    /* frames there are */
};

static bool take_frame(void *context, phys_addr_t *frame)
{
    struct test_memory *memory = context;
    if (memory->taken == memory->limit) {
        return false;
    }
    *frame = phys_addr((uintptr_t)memory->frames + memory->taken++ * FRAME_BYTES);
    memset((void *)(uintptr_t)frame->raw, 0, FRAME_BYTES);
    return true;
}

static struct page_table_builder builder_make(struct test_memory *memory, unsigned levels, unsigned largest)
{
    memory->frames = aligned_alloc(FRAME_BYTES, TEST_FRAMES * FRAME_BYTES);
    memory->taken = 0;
    memory->limit = TEST_FRAMES;
    struct page_table_builder builder = {
        .levels = levels, .largest_level = largest, .take_frame = take_frame, .context = memory};
    assert_int_equal(page_tables_init(&builder), PAGE_TABLES_OK);
    return builder;
}

/* Translates like the CPU; returns false when nothing is mapped. */
static bool translate(const struct page_table_builder *builder, uint64_t virtual, uint64_t *physical,
                      unsigned *level, page_table_entry_t *leaf)
{
    const struct page_walk walk = page_tables_walk(builder->root, builder->levels, 0, virt_addr(virtual));
    *leaf = walk.steps[walk.step_count - 1].entry;
    *level = walk.steps[walk.step_count - 1].level;
    *physical = walk.target.raw;
    return walk.end == WALK_MAPPED;
}

static void expect_maps(const struct page_table_builder *builder, uint64_t virtual, uint64_t expected,
                        unsigned level)
{
    uint64_t physical = 0;
    unsigned found_level;
    page_table_entry_t leaf;
    assert_true(translate(builder, virtual, &physical, &found_level, &leaf));
    assert_int_equal(physical, expected);
    assert_int_equal(found_level, level);
}

static void expect_unmapped(const struct page_table_builder *builder, uint64_t virtual)
{
    uint64_t physical;
    unsigned level;
    page_table_entry_t leaf;
    assert_false(translate(builder, virtual, &physical, &level, &leaf));
}

static void largest_pages_are_used_where_they_fit(void **state)
{
    (void)state;
    for (unsigned levels = 4; levels <= 5; levels++) {
        struct test_memory memory;
        struct page_table_builder builder = builder_make(&memory, levels, PAGE_LEVEL_1G);
        uint64_t base = 0xffff800000000000;
        uint64_t start = MIB(2) - KIB(8);
        uint64_t bytes = GIB(3) - start + KIB(4);
        assert_int_equal(page_tables_map(&builder, virt_addr(base + start), phys_addr(start), bytes,
                                         PAGE_WRITE, CACHE_WRITE_BACK),
                         PAGE_TABLES_OK);
        expect_unmapped(&builder, base + start - 1);
        expect_maps(&builder, base + start + 5, start + 5, PAGE_LEVEL_4K);
        expect_maps(&builder, base + MIB(2), MIB(2), PAGE_LEVEL_2M);
        expect_maps(&builder, base + GIB(1) - 1, GIB(1) - 1, PAGE_LEVEL_2M);
        expect_maps(&builder, base + GIB(1), GIB(1), PAGE_LEVEL_1G);
        expect_maps(&builder, base + GIB(3) - 1, GIB(3) - 1, PAGE_LEVEL_1G);
        expect_maps(&builder, base + GIB(3) + KIB(4) - 1, GIB(3) + KIB(4) - 1, PAGE_LEVEL_4K);
        expect_unmapped(&builder, base + GIB(3) + KIB(4));
        assert_int_equal(builder.table_frames, memory.taken);
        free(memory.frames);
    }
}

static void without_gigabyte_pages_2_mib_ones_serve(void **state)
{
    (void)state;
    struct test_memory memory;
    struct page_table_builder builder = builder_make(&memory, 4, PAGE_LEVEL_2M);
    assert_int_equal(page_tables_map(&builder, virt_addr(0xffff800000000000), phys_addr(0), GIB(4),
                                     PAGE_WRITE, CACHE_WRITE_BACK),
                     PAGE_TABLES_OK);
    expect_maps(&builder, 0xffff800000000000 + GIB(3) + 77, GIB(3) + 77, PAGE_LEVEL_2M);
    free(memory.frames);
}

static void misaligned_targets_get_small_pages(void **state)
{
    (void)state;
    struct test_memory memory;
    struct page_table_builder builder = builder_make(&memory, 4, PAGE_LEVEL_1G);
    assert_int_equal(page_tables_map(&builder, virt_addr(0xffffffff80000000), phys_addr(KIB(4)), MIB(4),
                                     PAGE_EXECUTE, CACHE_WRITE_BACK),
                     PAGE_TABLES_OK);
    expect_maps(&builder, 0xffffffff80000000 + MIB(2), MIB(2) + KIB(4), PAGE_LEVEL_4K);
    free(memory.frames);
}

static void access_and_cache_reach_the_leaf(void **state)
{
    (void)state;
    struct test_memory memory;
    struct page_table_builder builder = builder_make(&memory, 4, PAGE_LEVEL_1G);
    uint64_t physical;
    unsigned level;
    page_table_entry_t leaf;
    const unsigned accesses[] = {PAGE_READ, PAGE_WRITE, PAGE_EXECUTE, PAGE_WRITE | PAGE_GLOBAL};
    for (unsigned i = 0; i < ARRAY_LENGTH(accesses); i++) {
        uint64_t at = 0x1000000 * (uint64_t)(i + 1);
        assert_int_equal(page_tables_map(&builder, virt_addr(at), phys_addr(MIB(2)), MIB(2), accesses[i],
                                         CACHE_WRITE_COMBINING),
                         PAGE_TABLES_OK);
        assert_true(translate(&builder, at, &physical, &level, &leaf));
        assert_int_equal(page_entry_access(leaf), accesses[i]);
        assert_int_equal(page_entry_cache(leaf, level), CACHE_WRITE_COMBINING);
    }
    free(memory.frames);
}

static void conflicts_and_bad_ranges_are_refused(void **state)
{
    (void)state;
    struct test_memory memory;
    struct page_table_builder builder = builder_make(&memory, 4, PAGE_LEVEL_1G);
    const struct {
        uint64_t virtual, physical, bytes;
        unsigned access;
        enum page_tables_result expected;
    } cases[] = {
        {GIB(1), GIB(1), GIB(1), PAGE_WRITE, PAGE_TABLES_OK},
        {GIB(1), GIB(1), GIB(1), PAGE_WRITE, PAGE_TABLES_OK}, /* the same again */
        {GIB(1), GIB(2), GIB(1), PAGE_WRITE, PAGE_TABLES_CONFLICT},
        {GIB(1) + MIB(2), 0, MIB(2), PAGE_WRITE, PAGE_TABLES_CONFLICT}, /* inside a larger page */
        {0x1000, 0x1000, 0, PAGE_READ, PAGE_TABLES_BAD_RANGE},
        {0x1001, 0x1000, 0x1000, PAGE_READ, PAGE_TABLES_BAD_RANGE},
        {0x1000, 0x1800, 0x1000, PAGE_READ, PAGE_TABLES_BAD_RANGE},
        {0x1000, 0x1000, 0x1001, PAGE_READ, PAGE_TABLES_BAD_RANGE},
        {0x800000000000, 0, 0x1000, PAGE_READ, PAGE_TABLES_BAD_RANGE},          /* not canonical */
        {0x7ffffffff000, 0, 0x2000, PAGE_READ, PAGE_TABLES_BAD_RANGE},          /* runs out of the half */
        {0xfffffffffffff000, 0, 0x2000, PAGE_READ, PAGE_TABLES_BAD_RANGE},      /* wraps */
        {0x1000, 0xfffffffffffff000, 0x2000, PAGE_READ, PAGE_TABLES_BAD_RANGE}, /* wraps physically */
        {0x1000, 1ULL << 52, 0x1000, PAGE_READ, PAGE_TABLES_BAD_RANGE},         /* beyond 52 bits */
        {0x1000, 0x1000, 0x1000, PAGE_USER, PAGE_TABLES_BAD_RANGE},
    };
    for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
        assert_int_equal(page_tables_map(&builder, virt_addr(cases[i].virtual), phys_addr(cases[i].physical),
                                         cases[i].bytes, cases[i].access, CACHE_WRITE_BACK),
                         cases[i].expected);
    }
    free(memory.frames);
}

static void running_out_of_frames_is_an_error_at_every_frame(void **state)
{
    (void)state;
    for (size_t limit = 1;; limit++) {
        struct test_memory memory;
        struct page_table_builder builder = builder_make(&memory, 5, PAGE_LEVEL_2M);
        memory.limit = limit;
        enum page_tables_result result = page_tables_map(&builder, virt_addr(KIB(4)), phys_addr(KIB(4)),
                                                         GIB(2), PAGE_WRITE, CACHE_WRITE_BACK);
        free(memory.frames);
        if (result == PAGE_TABLES_OK) {
            assert_in_range(limit, 7, 9);
            return;
        }
        assert_int_equal(result, PAGE_TABLES_NO_MEMORY);
    }
}

/* Random disjoint mappings against a list of what was asked for. */
static void random_mappings_translate_as_asked(void **state)
{
    (void)state;
    srand(7);
    for (unsigned round = 0; round < 50; round++) {
        struct test_memory memory;
        struct page_table_builder builder = builder_make(&memory, 4 + round % 2, PAGE_LEVEL_4K + round % 3);
        uint64_t at = round % 2 ? 0xffff800000000000 : 0;
        for (unsigned i = 0; i < 40; i++) {
            at += ((uint64_t)rand() % 1024) * KIB(4);
            uint64_t bytes = ((uint64_t)rand() % 700 + 1) * KIB(4);
            uint64_t physical = at + (rand() % 2 ? 0 : ((uint64_t)rand() % 512) * KIB(4));
            physical &= 0xffffffffff000;
            assert_int_equal(page_tables_map(&builder, virt_addr(at), phys_addr(physical), bytes, PAGE_WRITE,
                                             CACHE_WRITE_BACK),
                             PAGE_TABLES_OK);
            for (uint64_t offset = 0; offset < bytes; offset += KIB(4)) {
                uint64_t found = 0;
                unsigned level;
                page_table_entry_t leaf;
                assert_true(translate(&builder, at + offset, &found, &level, &leaf));
                assert_int_equal(found, physical + offset);
            }
            at += bytes;
            expect_unmapped(&builder, at);
        }
        free(memory.frames);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(largest_pages_are_used_where_they_fit),
        cmocka_unit_test(without_gigabyte_pages_2_mib_ones_serve),
        cmocka_unit_test(misaligned_targets_get_small_pages),
        cmocka_unit_test(access_and_cache_reach_the_leaf),
        cmocka_unit_test(conflicts_and_bad_ranges_are_refused),
        cmocka_unit_test(running_out_of_frames_is_an_error_at_every_frame),
        cmocka_unit_test(random_mappings_translate_as_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
