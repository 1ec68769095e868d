/*
 * arch/x86_64/paging/tlb.c and mm/paging/shootdown.c over CPUs with PCIDs and INVPCID, or without: whatever
 * is mapped, unmapped, loaded and destroyed on whatever CPU in whatever order, no stale translation can ever
 * be used on any. One operation is done after the other, and who is interrupted answers at once; what happens
 * when they meet is explored by test_shootdown.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include <ashlar/cpu_request.h>

#include "tests/host/paging/fixture.h"
#include "tests/host/support/host.h"
#include "tests/host/support/mmu_cpu.h"
#include "tests/host/support/random.h"

#define SPACES     8 /* more than a CPU has numbers for */
#define CPUS       3
#define MANY       1200 /* pages, of three tables */
#define STEPS      4000
#define KERNEL     (0xffffd00000000000ULL + MIB(2) - KIB(32)) /* pages around a border of tables */
#define USER       (MIB(2) - KIB(32))
#define PAGES      64
#define TARGETS    GIB(1) /* where pages lead to; nobody looks there */
#define LONG_RANGE 100    /* more pages than are dropped one by one */

static struct tables tables;
static struct page_table spaces[SPACES];

static void start(unsigned cpus, bool pcid, bool invpcid)
{
    tables_make_for(&tables, cpus, MIB(16), 4, PAGE_LEVEL_1G);
    mmu_cpu_start(&tables.kernel, cpus, pcid, invpcid);
}

static void make_space(struct page_table *space)
{
    assert_int_equal(
        page_table_init(space, &tables.machine.pool, &tables.physmap, 4, PAGE_LEVEL_1G, &tables.kernel),
        PAGE_TABLE_OK);
    mmu_cpu_know(space);
}

static void load(struct page_table *table)
{
    tlb_load(table); /* holds what can be used against the tables */
}

/* A batch on the tables, while the CPUs read ahead what they can. */
static void begin(struct tlb_batch *batch, struct page_table *table)
{
    mmu_cpu_fill_all();
    tlb_batch_start(batch, table);
}

static void end(struct tlb_batch *batch)
{
    tlb_batch_finish(batch);
    mmu_cpu_check_all();
}

static void unmap(struct page_table *table, uint64_t base, uint64_t bytes)
{
    struct tlb_batch batch;
    begin(&batch, table);
    assert_int_equal(page_table_unmap(table, virt_addr(base), bytes, &batch, NULL, NULL), PAGE_TABLE_OK);
    end(&batch);
}

/* No CPU has it loaded any more. */
static void leave_space(const struct page_table *space, unsigned cpus)
{
    for (unsigned cpu = cpus; cpu-- > 0;) {
        mmu_cpu_play(cpu);
        if (mmu_cpu_loaded() == space) {
            load(&tables.kernel);
        }
    }
}

static void destroy_space(struct page_table *space)
{
    leave_space(space, cpus_present());
    unmap(space, 0, GIB(1));
    mmu_cpu_forget(space);
    page_table_destroy(space);
}

static void stop(void)
{
    leave_space(NULL, cpus_present());
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
            tlb_flush(&tables.kernel, NULL, 0, false);
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

static void run_on(unsigned cpus, bool pcid, bool invpcid)
{
    uint64_t random = 99;
    start(cpus, pcid, invpcid);
    for (unsigned i = 0; i < SPACES; i++) {
        make_space(&spaces[i]);
    }
    for (unsigned i = 0; i < STEPS; i++) {
        mmu_cpu_play((unsigned)(random_next(&random) % cpus));
        step(random_next(&random));
    }
    assert_true((mmu_cpu_interrupts() > 0) == (cpus > 1));
    for (unsigned i = 0; i < SPACES; i++) {
        destroy_space(&spaces[i]);
    }
    stop();
}

static void run(bool pcid, bool invpcid)
{
    run_on(1, pcid, invpcid);
    run_on(CPUS, pcid, invpcid);
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
    start(1, true, false);
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
    start(1, false, false);
    mmu_cpu_without_global_pages();
    make_space(&spaces[0]);
    map(&spaces[0], USER, 1, 0);
    load(&spaces[0]);
    mmu_model_fill();
    assert_true(mmu_model_cached() > 0);
    tlb_flush(&tables.kernel, NULL, 0, false);
    assert_int_equal(mmu_model_cached(), 0);
    load(&tables.kernel);
    unmap(&spaces[0], USER, FRAME_BYTES);
    destroy_space(&spaces[0]);
    stop();
}

/* Who has not got a space loaded is not interrupted for it; for the kernel's tables all are. */
static void only_those_are_interrupted_who_need_be(void **state)
{
    (void)state;
    start(CPUS, true, true);
    make_space(&spaces[0]);
    map(&spaces[0], USER, 3, 0);
    map(&tables.kernel, KERNEL, 1, 2);
    load(&spaces[0]);
    unmap(&spaces[0], USER, FRAME_BYTES);
    assert_int_equal(mmu_cpu_interrupts(), 0);
    mmu_cpu_play(1);
    load(&spaces[0]);
    unmap(&spaces[0], USER + FRAME_BYTES, FRAME_BYTES);
    assert_int_equal(mmu_cpu_interrupts(), 1);
    mmu_cpu_play(0);
    load(&tables.kernel);
    mmu_cpu_play(1);
    unmap(&spaces[0], USER + 2 * FRAME_BYTES, FRAME_BYTES);
    assert_int_equal(mmu_cpu_interrupts(), 1);
    unmap(&tables.kernel, KERNEL, FRAME_BYTES);
    assert_int_equal(mmu_cpu_interrupts(), 1 + CPUS - 1);
    destroy_space(&spaces[0]);
    stop();
}

static void put(void *batch, virt_addr_t base, page_table_entry_t entry, enum page_level level)
{
    (void)base;
    tlb_batch_put(batch, page_entry_leaf_address(entry, level), 0);
}

/* However many frames and tables wait for it. */
static void one_batch_is_one_round(void **state)
{
    (void)state;
    struct tlb_batch batch;
    start(CPUS, true, true);
    make_space(&spaces[0]);
    for (uint64_t i = 0; i < MANY; i++) {
        phys_addr_t frame = frame_alloc(&tables.machine.pool, 0, OWNER_TEST);
        assert_int_equal(page_table_map(&spaces[0], virt_addr(MIB(2) + i * FRAME_BYTES), frame, FRAME_BYTES,
                                        PAGE_WRITE | PAGE_USER, CACHE_WRITE_BACK, PAGE_LEVEL_4K),
                         PAGE_TABLE_OK);
    }
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        mmu_cpu_play(cpu);
        load(&spaces[0]);
    }
    begin(&batch, &spaces[0]);
    assert_int_equal(page_table_unmap(&spaces[0], virt_addr(MIB(2)), MANY * FRAME_BYTES, &batch, put, &batch),
                     PAGE_TABLE_OK);
    assert_int_equal(mmu_cpu_interrupts(), 0);
    end(&batch);
    assert_int_equal(mmu_cpu_interrupts(), CPUS - 1);
    destroy_space(&spaces[0]);
    stop(); /* no frame is missing */
}

/* A CPU that misses a flush of a space that it has not loaded drops all of it when it loads it, and just
 * then. */
static void who_missed_a_flush_drops_all_at_the_next_load(void **state)
{
    (void)state;
    start(2, true, false);
    make_space(&spaces[0]);
    map(&spaces[0], USER, 2, 0);
    mmu_cpu_play(1);
    load(&spaces[0]);
    mmu_model_fill();
    load(&tables.kernel);
    mmu_cpu_play(0);
    load(&spaces[0]);
    unmap(&spaces[0], USER, FRAME_BYTES);
    assert_int_equal(mmu_cpu_interrupts(), 0);
    mmu_cpu_play(1);
    uint64_t before = mmu_model_cached();
    load(&spaces[0]);
    assert_true(mmu_model_cached() < before);
    mmu_model_fill();
    before = mmu_model_cached();
    load(&tables.kernel);
    load(&spaces[0]);
    assert_int_equal(mmu_model_cached(), before);
    destroy_space(&spaces[0]);
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
        cmocka_unit_test(only_those_are_interrupted_who_need_be),
        cmocka_unit_test(one_batch_is_one_round),
        cmocka_unit_test(who_missed_a_flush_drops_all_at_the_next_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
