/* What is always true of page tables and seen in constant time; asserted by their operations. */
#pragma once

#include <ashlar/assert.h>
#include <ashlar/page_table.h>
#include <ashlar/validate.h>

#include "internal.h"

/* A set of tables that was made. Reads what never changes: from any context, with or without the lock. */
static inline bool page_table_is_valid(const struct page_table *table)
{
    return (table->levels == PAGE_LEVEL_PML4 || table->levels == PAGE_LEVEL_PML5) && table->root.raw != 0 &&
           is_aligned(table->root.raw, FRAME_BYTES) && table->access != NULL && table->frames != NULL &&
           table->kernel != table;
}

/* A batch that was started: its counts fit its room, and nothing is stale in no page. */
static inline bool tlb_batch_is_valid(const struct tlb_batch *batch)
{
    return batch->table != NULL && batch->range_count <= TLB_BATCH_RANGES &&
           batch->frame_count <= TLB_BATCH_FRAMES && (batch->pages == 0 || batch->range_count != 0);
}

/* page_table_check(), but that tables out of reach are not looked at: the operation says so itself. */
static inline bool page_table_check_reachable(struct page_table *table, struct page_table_problem *problem)
{
    return !table_reachable(table) || page_table_check(table, problem);
}
