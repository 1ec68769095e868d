/*
 * arch/x86_64/paging/tlb.c over a CPU with PCIDs and INVPCID, or without: whatever is mapped, unmapped,
 * loaded and destroyed in whatever order, no stale translation can ever be used.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "tests/host/paging/fixture.h"
#include "tests/host/support/host.h"
#include "tests/host/support/mmu_cpu.h"
#include "tests/host/support/random.h"

#define SPACES     5
#define STEPS      4000
#define KERNEL     (0xffffd00000000000ULL + MIB(2) - KIB(32)) /* pages around a border of tables */
#define USER       (MIB(2) - KIB(32))
#define PAGES      64
#define TARGETS    GIB(1) /* where pages lead to; nobody looks there */
#define LONG_RANGE 100    /* more pages than are dropped one by one */

static struct tables tables;
static struct page_table spaces[SPACES];

static void start(bool pcid, bool invpcid)
{
    tables_make(&tables, MIB(16), 4, PAGE_LEVEL_1G);
    mmu_cpu_start(&tables.kernel, pcid, invpcid);
}

static void make_space(struct page_table *space)
{
    assert_int_equal(
        page_table_init(space, &tables.machine.pool, &tables.physmap, 4, PAGE_LEVEL_1G, &tables.kernel),
        PAGE_TABLE_OK);
    space->space = tlb_space_alloc();
    mmu_cpu_know(space);
}

static void load(struct page_table *table)
{
    tlb_space_load(table->root, table->space); /* holds what can be used against the tables */
}

/* A batch on the tables, while the CPU reads ahead what it can. */
static void begin(struct tlb_batch *batch, struct page_table *table)
{
    mmu_model_fill();
    tlb_batch_start(batch, table);
}

static void end(struct tlb_batch *batch)
{
    tlb_batch_finish(batch);
    mmu_model_check();
}

static void unmap(struct page_table *table, uint64_t base, uint64_t bytes)
{
    struct tlb_batch batch;
    begin(&batch, table);
    assert_int_equal(page_table_unmap(table, virt_addr(base), bytes, &batch, NULL, NULL), PAGE_TABLE_OK);
    end(&batch);
}

static void destroy_space(struct page_table *space)
{
    if (mmu_cpu_loaded() == space) {
        load(&tables.kernel);
    }
    unmap(space, 0, GIB(1));
    mmu_cpu_forget(space);
    page_table_destroy(space);
    tlb_space_free(space->space);
}

static void stop(void)
{
    load(&tables.kernel);
    tables_destroy(&tables);
}

/* Maps the holes among some pages, all in one way. */
static void map(struct page_table *table, uint64_t base, uint64_t count, uint64_t random)
{
    unsigned access = random & 1 ? PAGE_WRITE : PAGE_READ;
    if (table == &tables.kernel) {
        access |= random & 2 ? PAGE_GLOBAL : PAGE_READ;
    }
    for (uint64_t i = 0; i < count; i++) {
        page_table_map(table, virt_addr(base + i * FRAME_BYTES),
                       phys_addr(TARGETS + random % MIB(4) * KIB(4)), FRAME_BYTES, access, CACHE_WRITE_BACK,
                       PAGE_LEVEL_4K);
    }
}

/* One random operation on the pages of a set of tables, loaded or not. */
static void change(struct page_table *table, uint64_t random)
{
    uint64_t room = table == &tables.kernel ? KERNEL : USER;
    uint64_t first = random >> 4 & (PAGES - 1);
    uint64_t count = random >> 10 & 1 ? 1 + (random >> 11) % 4 : 1 + (random >> 11) % LONG_RANGE;
    uint64_t base = room + first * FRAME_BYTES;
    struct tlb_batch batch;
    switch (random % 4) {
    case 0:
    case 1:
        map(table, base, count, random >> 20);
        break;
    case 2:
        unmap(table, base, count * FRAME_BYTES);
        break;
    default:
        begin(&batch, table);
        page_table_protect(table, virt_addr(base), count * FRAME_BYTES,
                           table == &tables.kernel && (random >> 20 & 1) ? PAGE_GLOBAL : PAGE_READ,
                           random >> 21 & 1 ? CACHE_WRITE_BACK : CACHE_UNCACHED, &batch);
        end(&batch);
    }
}

static void step(uint64_t random)
{
    struct page_table *space = &spaces[(random >> 8) % SPACES];
    uint64_t rest = random >> 16;
    switch (random % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
        mmu_model_fill();
        load(space);
        break;
    case 4:
        mmu_model_fill();
        load(&tables.kernel);
        break;
    case 5:
        destroy_space(space);
        make_space(space);
        break;
    case 6:
        if (rest % 8 == 0) {
            tlb_flush_everything();
        }
        break;
    case 7:
    case 8:
    case 9:
    case 10:
        change(&tables.kernel, rest);
        break;
    default:
        change(space, rest);
    }
}

static void run(bool pcid, bool invpcid)
{
    uint64_t random = 99;
    start(pcid, invpcid);
    for (unsigned i = 0; i < SPACES; i++) {
        make_space(&spaces[i]);
        assert_int_equal(spaces[i].space != TLB_SPACE_KERNEL, pcid);
    }
    for (unsigned i = 0; i < STEPS; i++) {
        step(random_next(&random));
    }
    for (unsigned i = 0; i < SPACES; i++) {
        destroy_space(&spaces[i]);
    }
    stop();
}

static void with_pcid_and_invpcid(void **state)
{
    (void)state;
    run(true, true);
}

static void with_pcid_alone(void **state)
{
    (void)state;
    run(true, false);
}

static void with_invpcid_alone(void **state)
{
    (void)state;
    run(false, true);
}

static void with_neither(void **state)
{
    (void)state;
    run(false, false);
}

/* What PCIDs are for: going back to a space finds what was cached of it. */
static void a_space_keeps_what_is_cached_of_it(void **state)
{
    (void)state;
    start(true, false);
    make_space(&spaces[0]);
    map(&spaces[0], USER, 1, 0);
    load(&spaces[0]);
    mmu_model_fill();
    uint64_t cached = mmu_model_cached();
    load(&tables.kernel);
    load(&spaces[0]);
    assert_int_equal(mmu_model_cached(), cached);
    load(&tables.kernel);
    unmap(&spaces[0], USER, FRAME_BYTES);
    uint64_t before = mmu_model_cached();
    load(&spaces[0]); /* drops now what it could not drop then */
    assert_true(mmu_model_cached() < before);
    load(&tables.kernel);
    destroy_space(&spaces[0]);
    stop();
}

/* Before CR4.PGE is set, and without INVPCID, loading CR3 again drops everything. */
static void all_is_dropped_without_global_pages(void **state)
{
    (void)state;
    start(false, false);
    mmu_cpu_without_global_pages();
    make_space(&spaces[0]);
    map(&spaces[0], USER, 1, 0);
    load(&spaces[0]);
    mmu_model_fill();
    assert_true(mmu_model_cached() > 0);
    tlb_flush_everything();
    assert_int_equal(mmu_model_cached(), 0);
    load(&tables.kernel);
    unmap(&spaces[0], USER, FRAME_BYTES);
    destroy_space(&spaces[0]);
    stop();
}

/* All numbers are given out: those without one are dropped each time. */
static void spaces_without_a_number_see_nothing_of_each_other(void **state)
{
    (void)state;
    static tlb_space_t numbers[4096];
    unsigned count = 0;
    start(true, true);
    do {
        numbers[count] = tlb_space_alloc();
    } while (numbers[count++] != TLB_SPACE_KERNEL);
    for (unsigned i = 0; i < 2; i++) {
        make_space(&spaces[i]);
        assert_int_equal(spaces[i].space, TLB_SPACE_KERNEL);
        map(&spaces[i], USER, 1, i);
    }
    for (unsigned i = 0; i < 6; i++) {
        load(&spaces[i % 2]);
        mmu_model_fill();
    }
    unmap(&spaces[0], USER, FRAME_BYTES);
    load(&spaces[0]);
    destroy_space(&spaces[0]);
    destroy_space(&spaces[1]);
    while (count-- > 0) {
        tlb_space_free(numbers[count]);
    }
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_pcid_and_invpcid),
        cmocka_unit_test(with_pcid_alone),
        cmocka_unit_test(with_invpcid_alone),
        cmocka_unit_test(with_neither),
        cmocka_unit_test(a_space_keeps_what_is_cached_of_it),
        cmocka_unit_test(all_is_dropped_without_global_pages),
        cmocka_unit_test(spaces_without_a_number_see_nothing_of_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
