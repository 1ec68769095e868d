/* Mapping in one set of tables what another one maps. */
#include "internal.h"
#include "valid.h"

static enum page_table_error copy_run(struct page_table *table, const struct page_run *run)
{
    return page_table_map(table, run->base, run->target, run->bytes, run->access, run->cache, run->level);
}

/* Takes out what has been copied, up to `end`: the same runs again, so no page is cut. */
static void take_back(struct page_table *table, struct page_runs walk, uint64_t end)
{
    struct tlb_batch batch;
    struct page_run run;
    tlb_batch_start(&batch, table);
    while (page_runs_next(&walk, &run) && run.base.raw != end) {
        enum page_table_error error = page_table_unmap(table, run.base, run.bytes, &batch, NULL, NULL);
        ASSERT(error == PAGE_TABLE_OK);
    }
    tlb_batch_finish(&batch);
}

enum page_table_error page_table_copy(struct page_table *table, struct page_table *from, virt_addr_t first,
                                      virt_addr_t last)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    struct page_runs walk;
    struct page_run run;
    enum page_table_error error = PAGE_TABLE_OK;
    page_runs_start(&walk, from, first, last);
    const struct page_runs start = walk;
    while (error == PAGE_TABLE_OK && page_runs_next(&walk, &run)) {
        error = copy_run(table, &run);
    }
    if (error != PAGE_TABLE_OK) {
        take_back(table, start, run.base.raw);
    }
    return error;
}
