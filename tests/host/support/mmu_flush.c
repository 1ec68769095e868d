/*
 * The model in place of mm/paging/shootdown.c: it plays all CPUs at once, any of which may use every space
 * that was added, and what a flush drops is gone from all. Flushes may come from several threads.
 */
#include <ashlar/lock.h>

#include "mmu_internal.h"

/* Under it the frame pool is asked; a flush never comes from under a lock of the slabs. */
static struct spinlock lock = SPINLOCK_INITIALIZER(LOCK_SLAB_RECORDS);

/* At the flush, the frame that a stale entry leads to must not be free yet. */
static void expect_frame_kept(const struct cached *entry)
{
    if (entry->owned && !mmu_frame_is_allocated(entry->target) && mmu_cached_is_stale(entry)) {
        mmu_model_fail(entry->table ? "a table was freed before the flush"
                                    : "a page was freed before the flush",
                       entry->base, entry->target);
    }
}

/*
 * What is dropped at a flush another CPU could use up to now. If the tables have something else in its place
 * already, that CPU and this one see two frames at one address: clear, flush, set is the only order.
 */
static void expect_not_replaced(const struct cached *entry)
{
    if (mmu_cached_is_replaced(entry)) {
        mmu_model_fail(entry->table ? "a table was replaced before the flush"
                                    : "a page was replaced before the flush",
                       entry->base, entry->target);
    }
}

struct flush {
    bool all, global_only;
    tlb_space_t space;
    uint64_t base, page_bytes, count; /* count 0: the whole space */
};

static bool flush_covers(const struct cached *entry, const struct flush *flush)
{
    bool in_space = entry->space == flush->space || flush->space == TLB_SPACE_KERNEL;
    if (flush->all) {
        return true;
    }
    if (entry->table) {
        return in_space && !flush->global_only;
    }
    if (flush->count == 0) {
        return in_space && !entry->global;
    }
    if (!(entry->global || (in_space && !flush->global_only))) {
        return false;
    }
    /* The page of the entry contains one of the addresses. */
    uint64_t end = entry->base + SPAN(entry->level) - 1;
    for (uint64_t i = 0; i < flush->count; i++) {
        uint64_t address = flush->base + i * flush->page_bytes;
        if (address >= entry->base && address <= end) {
            return true;
        }
    }
    return false;
}

static bool flush_one(const struct cached *entry, const void *context)
{
    bool drop = flush_covers(entry, context);
    if (drop) {
        expect_frame_kept(entry);
        expect_not_replaced(entry);
    }
    return drop;
}

/* Adds `flushes` to one of the model's counts. */
static void flush_cache(const struct flush *flush, uint64_t *count, uint64_t flushes)
{
    if (mmu.at_flush) {
        mmu.at_flush();
    }
    spinlock_acquire(&lock);
    *count += flushes;
    mmu_cache_drop(flush_one, flush);
    if (mmu.fill_after_flush) {
        mmu_model_fill();
    }
    spinlock_release(&lock);
}

/* One range after the other: what each drops is looked at. */
void tlb_flush(struct page_table *table, const struct tlb_range *ranges, unsigned range_count,
               bool only_global)
{
    tlb_space_t space = table->kernel ? table->space : TLB_SPACE_KERNEL;
    if (range_count == 0 && table->kernel) {
        flush_cache(&(struct flush){.space = space}, &mmu.counts.space_flushes, 1);
    } else if (range_count == 0) {
        flush_cache(&(struct flush){.all = true}, &mmu.counts.total_flushes, 1);
    }
    for (unsigned i = 0; i < range_count; i++) {
        uint64_t count = ranges[i].bytes >> page_level_shift(ranges[i].level);
        flush_cache(&(struct flush){.global_only = only_global,
                                    .space = space,
                                    .base = ranges[i].base.raw,
                                    .page_bytes = page_level_bytes(ranges[i].level),
                                    .count = count},
                    &mmu.counts.page_flushes, count);
    }
}

/* For slots that one CPU alone uses. */
void tlb_drop_pages(virt_addr_t base, uint64_t page_bytes, uint64_t count)
{
    flush_cache(
        &(struct flush){
            .space = TLB_SPACE_KERNEL, .base = base.raw, .page_bytes = page_bytes, .count = count},
        &mmu.counts.page_flushes, count);
}
