/*
 * TLB work as data: what an operation on page tables leaves stale is collected in a batch and dropped once,
 * at its end. Frames that must not be reused before then travel in the same batch.
 *
 * A batch lies on its maker's stack. While it is open nothing it holds is freed and no address it names is
 * given out again; tlb_batch_finish() does the flush, on every CPU that may hold a translation, and then
 * frees. One batch belongs to one page table. Sources: SDM volume 3, 4.10.
 *
 * How CPUs tell each other is in mm/paging/shootdown.c; docs/paging.md has the picture.
 */
#pragma once

#include <ashlar/arch/page_table_entry.h>
#include <ashlar/frame.h>

struct page_table;

#define TLB_BATCH_RANGES 8  /* more ranges than that become one that covers them all */
#define TLB_BATCH_FRAMES 32 /* more shared frames than that are let go by a flush in between */
#define TLB_FLUSH_PAGES  32 /* beyond so many single pages it is cheaper to drop everything of the space */

/* Addresses whose translations are stale. */
struct tlb_range {
    virt_addr_t base;      /* first byte */
    uint64_t bytes;        /* length, a multiple of the page size */
    enum page_level level; /* smallest page size in it */
};

/* A block that others have references to, of which one is dropped once nobody can reach it through a stale
 * translation. */
struct tlb_frame {
    phys_addr_t block; /* first byte */
    unsigned order;    /* 2^order frames */
};

struct tlb_batch {
    struct page_table *table; /* whose translations */
    unsigned range_count;     /* entries used in ranges */
    unsigned frame_count;     /* entries used in frames */
    bool local;               /* one of the ranges was not mapped PAGE_GLOBAL, or a table waits */
    phys_addr_t tables;       /* freed tables, chained through their descriptors: while one waits, the
                                 paging-structure caches are stale as well */
    phys_addr_t blocks;       /* blocks that nobody else has, to be freed, chained in the same way */
    uint64_t pages;           /* single pages in all ranges: what invlpg would have to do */
    struct tlb_range ranges[TLB_BATCH_RANGES];
    struct tlb_frame frames[TLB_BATCH_FRAMES];
};

/* Opens an empty batch for `table`. What lies beyond the counts of entries stays as it is. */
static inline void tlb_batch_start(struct tlb_batch *batch, struct page_table *table)
{
    batch->table = table;
    batch->range_count = 0;
    batch->frame_count = 0;
    batch->local = false;
    batch->tables = (phys_addr_t){0};
    batch->blocks = (phys_addr_t){0};
    batch->pages = 0;
}

/* For the batch whose ranges are all in use: makes one range of them and of [base, base + bytes). */
void tlb_batch_join(struct tlb_batch *batch, virt_addr_t base, uint64_t bytes);

/* Notes that translations of [base, base + bytes), of pages at `level` or larger, are stale. global: they
 * were mapped PAGE_GLOBAL. Inline: unmapping calls it for every page, mostly to lengthen the last range. */
static inline void tlb_batch_add(struct tlb_batch *batch, virt_addr_t base, uint64_t bytes,
                                 enum page_level level, bool global)
{
    unsigned count = batch->range_count;
    if (!global) {
        batch->local = true;
    }
    batch->pages += bytes >> page_level_shift(level);
    if (count != 0) {
        struct tlb_range *previous = &batch->ranges[count - 1];
        if (previous->level == level && previous->base.raw + previous->bytes == base.raw) {
            previous->bytes += bytes;
            return;
        }
        if (count == TLB_BATCH_RANGES) {
            tlb_batch_join(batch, base, bytes);
            return;
        }
    }
    batch->ranges[count] = (struct tlb_range){base, bytes, level};
    batch->range_count = count + 1;
}

/*
 * Drops the caller's reference to a block once the flush is done. Of those that nobody else refers to any
 * number can wait, and their notes are the batch's from now on; of others TLB_BATCH_FRAMES, and then it
 * flushes at once.
 */
void tlb_batch_put(struct tlb_batch *batch, phys_addr_t block, unsigned order);

/* The same for a table of the batch's page table that has become empty, of which any number can wait. */
void tlb_batch_put_table(struct tlb_batch *batch, phys_addr_t table);

/* Whether finishing it would do nothing. */
static inline bool tlb_batch_is_empty(const struct tlb_batch *batch)
{
    return batch->range_count == 0 && batch->frame_count == 0 && batch->tables.raw == 0 &&
           batch->blocks.raw == 0;
}

/* Flushes what has been noted, on every CPU, frees what waits for it, and leaves the batch empty. */
void tlb_batch_finish(struct tlb_batch *batch);

/* ---- What a flush is made of ---- */

/*
 * Drops, here and on all other CPUs that have the tables loaded, what was cached of `ranges` of `table`, and
 * returns when all have done so. What is cached of tables that are not loaded is dropped when they are loaded
 * next. range_count 0: everything of the table. The kernel's tables are part of every space: of them it is
 * everything of all. only_global: all was mapped PAGE_GLOBAL, by tables that stay, so that no space has
 * copies. The entries have been written. Spinlocks may be held, and interrupts be off; not in a handler.
 */
void tlb_flush(struct page_table *table, const struct tlb_range *ranges, unsigned range_count,
               bool only_global);

/* Makes this CPU use `table`, and keeps what the TLB has of it if that is still true. Nothing else may load
 * tables on a CPU that user spaces are loaded on. */
void tlb_load(struct page_table *table);

/* How much memory, aligned to 8 bytes, CPUs 0 .. count - 1 take to remember what they have loaded. */
size_t tlb_cpus_bytes(unsigned count);

/* Lets them remember it in `memory`, which stays in use for good. Called once at start-up, when
 * cpu_requests_start() has been, and before any other CPU runs; until then there is the boot CPU alone. */
void tlb_cpus_start(void *memory, unsigned count);

/* To be called by each CPU but the first, the kernel's tables in its CR3, before it looks at any address that
 * may be unmapped meanwhile: it is online afterwards, and asked for its part of every flush. */
void tlb_cpu_enter(void);
