#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

void tables_make(struct tables *tables, uint64_t bytes, unsigned levels, enum page_level largest)
{
    tables_make_for(tables, 1, bytes, levels, largest);
}

void tables_make_for(struct tables *tables, unsigned cpus, uint64_t bytes, unsigned levels,
                     enum page_level largest)
{
    machine_make(&tables->machine, bytes);
    machine_range(&tables->machine, 0, bytes, MEMORY_USABLE);
    if (machine_start(&tables->machine, cpus, NULL) != FRAME_OK) {
        abort();
    }
    mmu_model_start(tables->machine.memory, bytes, &tables->machine.pool);
    tables->physmap =
        (struct page_table_access){.path = PAGE_TABLE_PHYSMAP, .offset = (uintptr_t)tables->machine.memory};
    if (page_table_init(&tables->kernel, &tables->machine.pool, &tables->physmap, levels, largest, NULL) !=
        PAGE_TABLE_OK) {
        abort();
    }
    mmu_model_add(&tables->kernel);
}

void tables_check(struct page_table *table)
{
    struct page_table_problem problem;
    if (!page_table_check(table, &problem)) {
        fprintf(stderr, "page_table_check: %s at %#" PRIx64 ": %#" PRIx64 ", expected %#" PRIx64 "\n",
                problem.what, problem.address.raw, problem.found, problem.expected);
        abort();
    }
}

void tables_before(struct tables *tables)
{
    mmu_model_fill();
    tlb_batch_start(&tables->batch, &tables->kernel);
}

void tables_after(struct tables *tables)
{
    tlb_batch_finish(&tables->batch);
    mmu_model_check();
    tables_check(&tables->kernel);
}

enum page_table_error tables_map(struct tables *tables, uint64_t base, uint64_t target, uint64_t bytes,
                                 unsigned access, enum page_level largest)
{
    tables_before(tables);
    enum page_table_error error = page_table_map(&tables->kernel, virt_addr(base), phys_addr(target), bytes,
                                                 access, CACHE_WRITE_BACK, largest);
    tables_after(tables);
    return error;
}

enum page_table_error tables_unmap(struct tables *tables, uint64_t base, uint64_t bytes)
{
    tables_before(tables);
    enum page_table_error error =
        page_table_unmap(&tables->kernel, virt_addr(base), bytes, &tables->batch, NULL, NULL);
    tables_after(tables);
    return error;
}

enum page_table_error tables_protect(struct tables *tables, uint64_t base, uint64_t bytes, unsigned access)
{
    tables_before(tables);
    enum page_table_error error =
        page_table_protect(&tables->kernel, virt_addr(base), bytes, access, CACHE_WRITE_BACK, &tables->batch);
    tables_after(tables);
    return error;
}

/* Unmaps all, a half at a time. */
static void tables_empty(struct tables *tables)
{
    uint64_t half = 1ULL << (page_level_shift(tables->kernel.levels + 1) - 1);
    if (tables_unmap(tables, 0, half) != PAGE_TABLE_OK ||
        tables_unmap(tables, 0 - half, half) != PAGE_TABLE_OK) {
        abort();
    }
}

void tables_destroy(struct tables *tables)
{
    struct frame_problem problem;
    struct frame_ledger ledger;
    tables_empty(tables);
    mmu_model_remove(&tables->kernel);
    page_table_destroy(&tables->kernel);
    frame_pool_ledger(&tables->machine.pool, &ledger);
    if (!frame_pool_check(&tables->machine.pool, &problem) || ledger.owner_bytes[OWNER_PAGE_TABLES] != 0) {
        fprintf(stderr, "page tables left behind: %" PRIu64 " bytes\n",
                ledger.owner_bytes[OWNER_PAGE_TABLES]);
        abort();
    }
    machine_destroy(&tables->machine);
}
