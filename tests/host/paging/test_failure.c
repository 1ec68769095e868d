/* Out of memory at every frame of every operation: nothing has changed, and the books balance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"

#define MEMORY MIB(16)
#define HIGH   0xffffd00000000000ULL

static struct tables tables;
static phys_addr_t hoard[MEMORY / FRAME_BYTES];
static uint64_t hoarded;

/* ---- What there is ---- */

struct picture {
    uint64_t leaves;
    uint64_t hash;
    uint64_t table_frames;
    uint64_t table_bytes; /* by the ledger */
};

static void draw_leaf(void *context, virt_addr_t base, page_table_entry_t entry, enum page_level level)
{
    struct picture *picture = context;
    picture->leaves++;
    picture->hash = (picture->hash ^ base.raw ^ entry.raw << 1 ^ level) * 0x9e3779b97f4a7c15ULL;
}

static struct picture draw(void)
{
    struct picture picture = {.table_frames = tables.kernel.table_frames};
    struct frame_ledger ledger;
    uint64_t half = 1ULL << (tables.kernel.levels * 9 + 11);
    page_table_each(&tables.kernel, virt_addr(0 - half), half, draw_leaf, &picture);
    frame_pool_ledger(&tables.machine.pool, &ledger);
    assert_int_equal(ledger.difference, 0);
    picture.table_bytes = ledger.owner_bytes[OWNER_PAGE_TABLES];
    return picture;
}

/* ---- Operations, each on tables that prepare() made ---- */

static enum page_table_error map_small(void)
{
    return tables_map(&tables, HIGH + TIB(1) - KIB(8), GIB(1), KIB(16), PAGE_WRITE, PAGE_LEVEL_4K);
}

static enum page_table_error map_mixed(void)
{
    return tables_map(&tables, HIGH + TIB(2) - MIB(3), GIB(1) - MIB(3), GIB(1) + MIB(6), PAGE_WRITE,
                      PAGE_LEVEL_1G);
}

static enum page_table_error map_frames(void)
{
    static phys_addr_t frames[1500];
    for (unsigned i = 0; i < ARRAY_LENGTH(frames); i++) {
        frames[i] = phys_addr(GIB(2) + i * KIB(8));
    }
    tables_before(&tables);
    enum page_table_error error = page_table_map_frames(&tables.kernel, virt_addr(HIGH + TIB(3)), frames,
                                                        ARRAY_LENGTH(frames), PAGE_READ, CACHE_WRITE_BACK);
    tables_after(&tables);
    return error;
}

static enum page_table_error unmap_inside(void)
{
    return tables_unmap(&tables, HIGH + MIB(5) + KIB(4), KIB(8));
}

static enum page_table_error unmap_across(void)
{
    return tables_unmap(&tables, HIGH + GIB(1) - KIB(4), KIB(8));
}

static enum page_table_error protect_inside(void)
{
    return tables_protect(&tables, HIGH + MIB(3), GIB(1), PAGE_READ);
}

static enum page_table_error set_new(void)
{
    page_table_entry_t old;
    tables_before(&tables);
    enum page_table_error error =
        page_table_set(&tables.kernel, virt_addr(HIGH + TIB(5)),
                       page_entry_leaf(phys_addr(GIB(1)), PAGE_LEVEL_4K, PAGE_WRITE, CACHE_WRITE_BACK),
                       PAGE_LEVEL_4K, &old, &tables.batch);
    tables_after(&tables);
    return error;
}

static enum page_table_error hold(void)
{
    page_table_entry_t *entries;
    return page_table_hold(&tables.kernel, virt_addr(0xffffffffc0000000), KIB(16), &entries);
}

typedef enum page_table_error operation(void);

static void prepare(unsigned levels)
{
    tables_make(&tables, MEMORY, levels, PAGE_LEVEL_1G);
    assert_int_equal(tables_map(&tables, HIGH, GIB(4), GIB(2), PAGE_WRITE, PAGE_LEVEL_1G), PAGE_TABLE_OK);
}

/* Lets the operation have 0, 1, 2, ... frames until it is content; returns how many times it was not. */
static unsigned try_with_few(operation *operation)
{
    for (unsigned frames = 0;; frames++) {
        mmu_model_fill(); /* sets the accessed bits, which would differ otherwise */
        struct picture before = draw();
        hoarded = frame_alloc_batch(&tables.machine.pool, ARRAY_LENGTH(hoard), hoard, OWNER_TEST);
        for (unsigned i = 0; i < frames; i++) {
            frame_free(&tables.machine.pool, hoard[--hoarded], 0);
        }
        enum page_table_error error = operation();
        frame_free_batch(&tables.machine.pool, hoarded, hoard);
        if (error == PAGE_TABLE_OK) {
            return frames;
        }
        assert_int_equal(error, PAGE_TABLE_NO_MEMORY);
        struct picture after = draw();
        assert_memory_equal(&before, &after, sizeof before);
    }
}

static void every_operation_fails_whole(void **state)
{
    (void)state;
    static const struct {
        operation *operation;
        unsigned failures; /* tables it needs */
    } cases[] = {
        {map_small, 6},    {map_mixed, 6},      {map_frames, 5}, {unmap_inside, 2},
        {unmap_across, 4}, {protect_inside, 4}, {set_new, 3},    {hold, 3},
    };
    for (unsigned levels = 4; levels <= 5; levels++) {
        for (unsigned i = 0; i < ARRAY_LENGTH(cases); i++) {
            prepare(levels);
            assert_int_equal(try_with_few(cases[i].operation), cases[i].failures);
            if (cases[i].operation == hold) {
                page_table_entry_t *entries = frame_pointer(
                    &tables.machine.pool,
                    phys_addr(mmu_model_walk(&tables.kernel, 0xffffffffc0000000).tables[PAGE_LEVEL_4K]));
                for (unsigned slot = 0; slot < 4; slot++) { /* so that they can be unmapped */
                    entries[slot] = page_entry_leaf(phys_addr(0), PAGE_LEVEL_4K, 0, CACHE_WRITE_BACK);
                }
            }
            tables_destroy(&tables);
        }
    }
}

static void a_space_needs_one_frame(void **state)
{
    (void)state;
    struct page_table space;
    prepare(4);
    hoarded = frame_alloc_batch(&tables.machine.pool, ARRAY_LENGTH(hoard), hoard, OWNER_TEST);
    assert_int_equal(
        page_table_init(&space, &tables.machine.pool, &tables.physmap, 4, PAGE_LEVEL_1G, &tables.kernel),
        PAGE_TABLE_NO_MEMORY);
    assert_null(tables.kernel.next_sharer);
    frame_free_batch(&tables.machine.pool, hoarded, hoard);
    tables_destroy(&tables);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_operation_fails_whole),
        cmocka_unit_test(a_space_needs_one_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
