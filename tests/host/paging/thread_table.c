/*
 * Several CPUs (threads) change the kernel's page tables at once, under the thread sanitizer. Their pages lie
 * side by side, so they share tables of all levels, which come and go; and each makes and destroys spaces of
 * its own while others add entries to the root that all spaces share.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include <ashlar/page_table.h>

#include "tests/host/frame/fixture.h"
#include "tests/host/support/random.h"
#include "tests/host/support/threads.h"

#define OPERATIONS 20000
#define BASE       (0xffffd00000000000ULL + GIB(1) - MIB(2)) /* around a border of tables of two levels */
#define GROUPS     128                                       /* of pages, dealt out to the threads in turn */
#define GROUP      8                                         /* pages */
#define TARGETS    GIB(1)                                    /* where pages lead to; nobody looks there */
#define ROOTS      128                                       /* entries of the root that are made meanwhile */
#define BYTES      MIB(16)

static struct machine machine;
static struct page_table_access physmap;
static struct page_table kernel;
static unsigned cpus;
static _Atomic(uint64_t) flushes;

/* ---- The TLB of all: nothing is cached, so there is nothing to drop ---- */

void tlb_flush(struct page_table *table, const struct tlb_range *ranges, unsigned range_count,
               bool only_global)
{
    (void)table;
    (void)ranges;
    (void)range_count;
    (void)only_global;
    flushes++;
}

/* ---- One thread's pages ---- */

/* What a thread knows of its own. */
struct pages {
    unsigned cpu;
    uint64_t targets[GROUPS * GROUP]; /* by page; 0 where nothing is mapped */
};

static uint64_t address_of(uint64_t page)
{
    return BASE + page * FRAME_BYTES;
}

/* A page at the start of one of the thread's groups. */
static uint64_t own_group(const struct pages *pages, uint64_t random)
{
    uint64_t turn = random % (GROUPS / cpus);
    return (turn * cpus + pages->cpu) * GROUP;
}

static void must(bool holds, const char *what, uint64_t page)
{
    if (!holds) {
        panic("%s: page %" PRIu64, what, page);
    }
}

static void map_some(struct pages *pages, uint64_t random)
{
    uint64_t page = own_group(pages, random);
    uint64_t count = 1 + (random >> 20) % GROUP;
    uint64_t target = TARGETS + (random >> 24) % 4096 * FRAME_BYTES;
    bool free = true;
    for (uint64_t i = 0; i < count; i++) {
        free &= pages->targets[page + i] == 0;
    }
    enum page_table_error error =
        page_table_map(&kernel, virt_addr(address_of(page)), phys_addr(target), count * FRAME_BYTES,
                       PAGE_WRITE | PAGE_GLOBAL, CACHE_WRITE_BACK, PAGE_LEVEL_4K);
    must(error == (free ? PAGE_TABLE_OK : PAGE_TABLE_OCCUPIED), "mapping", page);
    for (uint64_t i = 0; free && i < count; i++) {
        pages->targets[page + i] = target + i * FRAME_BYTES;
    }
}

static void unmap_some(struct pages *pages, uint64_t random)
{
    struct tlb_batch batch;
    uint64_t page = own_group(pages, random);
    uint64_t count = 1 + (random >> 20) % GROUP;
    tlb_batch_start(&batch, &kernel);
    enum page_table_error error =
        page_table_unmap(&kernel, virt_addr(address_of(page)), count * FRAME_BYTES, &batch, NULL, NULL);
    tlb_batch_finish(&batch);
    must(error == PAGE_TABLE_OK, "unmapping", page);
    memset(&pages->targets[page], 0, count * sizeof pages->targets[0]);
}

static void protect_some(const struct pages *pages, uint64_t random)
{
    struct tlb_batch batch;
    uint64_t page = own_group(pages, random);
    tlb_batch_start(&batch, &kernel);
    enum page_table_error error = page_table_protect(
        &kernel, virt_addr(address_of(page)), GROUP * FRAME_BYTES,
        (random >> 20 & 1 ? PAGE_WRITE : PAGE_READ) | PAGE_GLOBAL, CACHE_WRITE_BACK, &batch);
    tlb_batch_finish(&batch);
    must(error == PAGE_TABLE_OK, "protecting", page);
}

/* Without a lock, while others change their pages in the same tables; a table with pages of ours stays. */
static void look_at_some(const struct pages *pages, uint64_t random)
{
    uint64_t page = own_group(pages, random);
    for (uint64_t i = page; i < page + GROUP; i++) {
        if (pages->targets[i] != 0) {
            struct page_translation found = page_table_translate(&kernel, virt_addr(address_of(i)));
            must(found.mapped && found.target.raw == pages->targets[i], "translating", i);
        }
    }
}

static void look_at_all(const struct pages *pages)
{
    struct page_runs walk;
    struct page_run run;
    struct page_table_problem problem;
    page_runs_start(&walk, &kernel, virt_addr(BASE), virt_addr(UINT64_MAX));
    while (page_runs_next(&walk, &run)) {
        must(run.target.raw >= TARGETS, "a page leads elsewhere", run.base.raw);
    }
    must(page_table_check(&kernel, &problem), "the tables are not sound", pages->cpu);
}

/* A space of the thread's own, for a moment; meanwhile the kernel's half grows. */
static void make_space(const struct pages *pages, unsigned levels, uint64_t random)
{
    struct page_table space;
    struct tlb_batch batch;
    virt_addr_t far =
        virt_addr(0xffff800000000000ULL + (random >> 8) % ROOTS * page_level_bytes(PAGE_LEVEL_PML4));
    enum page_table_error error =
        page_table_init(&space, &machine.pool, &physmap, levels, PAGE_LEVEL_1G, &kernel);
    must(error == PAGE_TABLE_OK, "making a space", pages->cpu);
    virt_addr_t mine = virt_add(far, pages->cpu * FRAME_BYTES);
    error = page_table_map(&kernel, mine, phys_addr(TARGETS), FRAME_BYTES, PAGE_GLOBAL, CACHE_WRITE_BACK,
                           PAGE_LEVEL_4K);
    must(error == PAGE_TABLE_OK, "mapping far away", pages->cpu);
    must(page_table_translate(&space, mine).mapped, "a space lacks a part of the kernel's", pages->cpu);
    tlb_batch_start(&batch, &kernel);
    page_table_unmap(&kernel, mine, FRAME_BYTES, &batch, NULL, NULL);
    tlb_batch_finish(&batch);
    page_table_destroy(&space);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    struct pages *pages = calloc(1, sizeof *pages);
    host_cpu = worker->cpu;
    pages->cpu = worker->cpu;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        uint64_t random = random_next(&worker->random);
        switch (random % 16) {
        case 0:
            protect_some(pages, random >> 4);
            break;
        case 1:
            make_space(pages, kernel.levels, random >> 4);
            break;
        case 2:
        case 3:
        case 4:
        case 5:
            map_some(pages, random >> 4);
            break;
        case 6:
        case 7:
        case 8:
        case 9:
            unmap_some(pages, random >> 4);
            break;
        default:
            look_at_some(pages, random >> 4);
        }
        if (i % 500 == worker->cpu) {
            look_at_all(pages);
        }
    }
    for (uint64_t turn = 0; turn < GROUPS / cpus; turn++) {
        unmap_some(pages, turn | (GROUP - 1) << 20);
    }
    free(pages);
    return NULL;
}

static void run(unsigned threads, unsigned levels)
{
    host_cpu = 0;
    cpus = threads;
    machine_make(&machine, BYTES);
    machine_range(&machine, 0, BYTES, MEMORY_USABLE);
    assert_int_equal(machine_start(&machine, threads, NULL), FRAME_OK);
    physmap = (struct page_table_access){.path = PAGE_TABLE_PHYSMAP, .offset = (uintptr_t)machine.memory};
    assert_int_equal(page_table_init(&kernel, &machine.pool, &physmap, levels, PAGE_LEVEL_1G, NULL),
                     PAGE_TABLE_OK);
    threads_run(threads, work);
    struct frame_ledger ledger;
    page_table_destroy(&kernel); /* which panics when a page or a space is left */
    frame_pool_ledger(&machine.pool, &ledger);
    assert_int_equal(ledger.owner_bytes[OWNER_PAGE_TABLES], 0);
    machine_destroy(&machine);
}

static void two_cpus_share_page_tables(void **state)
{
    (void)state;
    run(2, 4);
}

static void four_cpus_share_page_tables(void **state)
{
    (void)state;
    run(4, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_cpus_share_page_tables),
        cmocka_unit_test(four_cpus_share_page_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
