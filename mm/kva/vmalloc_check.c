/*
 * Seeing inside vmalloc: statistics, and the validator. The blocks are found by walking the arena's ranges.
 */
#include "vmalloc_internal.h"

/* Fills *facts with the instance's next range at or behind *at; false at the end. */
static bool next_range(struct vmalloc *vmalloc, virt_addr_t *at, struct kva_facts *facts)
{
    while (kva_next(vmalloc->arena, at, facts)) {
        if (facts->state == KVA_TAKEN && facts->object == vmalloc) {
            return true;
        }
    }
    return false;
}

static void count_large(void *context, virt_addr_t base, page_table_entry_t entry, enum page_level level)
{
    (void)base;
    (void)entry;
    *(uint64_t *)context += level == PAGE_LEVEL_2M;
}

void vmalloc_statistics(struct vmalloc *vmalloc, struct vmalloc_statistics *statistics)
{
    virt_addr_t at = virt_addr(0);
    struct kva_facts facts;
    *statistics = (struct vmalloc_statistics){.blocks = 0};
    while (next_range(vmalloc, &at, &facts)) {
        if (facts.purpose != &vmalloc_purpose_retired) {
            statistics->blocks++;
            statistics->bytes += facts.bytes;
            page_table_each(vmalloc->table, facts.base, facts.bytes, count_large, &statistics->large_pages);
        }
    }
    spinlock_acquire(&vmalloc->lock);
    statistics->retired_ranges = vmalloc->retired_ranges;
    statistics->retired_bytes = vmalloc->retired_pages << FRAME_SHIFT;
    statistics->flushes = vmalloc->flushes;
    spinlock_release(&vmalloc->lock);
}

/* ---- The validator ---- */

/* The check of one block. */
struct inspection {
    struct vmalloc *vmalloc;         /* whose */
    const struct kva_range *range;   /* the block */
    uint64_t mapped;                 /* bytes found so far */
    struct vmalloc_problem *problem; /* what was wrong first; problem->what is NULL so far */
};

static bool complain(struct vmalloc_problem *problem, const char *what, virt_addr_t where, uint64_t found,
                     uint64_t expected)
{
    *problem = (struct vmalloc_problem){what, where, found, expected};
    return false;
}

static void inspect_page(void *context, virt_addr_t base, page_table_entry_t entry, enum page_level level)
{
    struct inspection *inspection = context;
    phys_addr_t frame = page_entry_leaf_address(entry, level);
    const struct frame_descriptor *descriptor = frame_descriptor(inspection->vmalloc->frames, frame);
    uint32_t tag = atomic_load_explicit(&descriptor->tag, memory_order_relaxed);
    unsigned order = level == PAGE_LEVEL_4K ? 0 : FRAME_ORDER_2M;
    inspection->mapped += page_level_bytes(level);
    if (inspection->problem->what) {
        return;
    }
    if (page_entry_access(entry) != (PAGE_WRITE | PAGE_GLOBAL)) {
        complain(inspection->problem, "access of a page", base, page_entry_access(entry),
                 PAGE_WRITE | PAGE_GLOBAL);
    } else if (tag != frame_tag(FRAME_ALLOCATED, order, 1)) {
        complain(inspection->problem, "frame of a page", base, tag, frame_tag(FRAME_ALLOCATED, order, 1));
    } else if (descriptor->note.range != inspection->range) {
        complain(inspection->problem, "a frame leads elsewhere", base, descriptor->note.raw,
                 (uintptr_t)inspection->range);
    }
}

static bool is_unmapped(struct vmalloc *vmalloc, uint64_t address, struct vmalloc_problem *problem)
{
    struct page_translation translation = page_table_translate(vmalloc->table, virt_addr(address));
    return !translation.mapped ||
           complain(problem, "a guard page is mapped", virt_addr(address), translation.leaf.raw, 0);
}

static bool check_block(struct vmalloc *vmalloc, const struct kva_facts *facts,
                        struct vmalloc_problem *problem)
{
    struct kva_range *range;
    if (kva_find(vmalloc->arena, facts->base, &range) != KVA_OK) {
        return complain(problem, "a block cannot be found", facts->base, 0, 0);
    }
    struct inspection inspection = {vmalloc, range, 0, problem};
    page_table_each(vmalloc->table, range->base, range->bytes, inspect_page, &inspection);
    if (problem->what) {
        return false;
    }
    if (range->purpose != &vmalloc_purpose_retired && inspection.mapped != range->bytes) {
        return complain(problem, "bytes mapped of a block", range->base, inspection.mapped, range->bytes);
    }
    return is_unmapped(vmalloc, range->base.raw - FRAME_BYTES, problem) &&
           is_unmapped(vmalloc, range->base.raw + range->bytes, problem);
}

static void count_mapped(void *context, virt_addr_t base, page_table_entry_t entry, enum page_level level)
{
    (void)base;
    (void)entry;
    *(uint64_t *)context += page_level_bytes(level);
}

/* Counts the retired ranges and their frames. In the list a block is unmapped; before, it is about to be. */
static bool check_retired(struct vmalloc *vmalloc, struct vmalloc_problem *problem) REQUIRES(vmalloc->lock)
{
    uint64_t ranges = 0;
    uint64_t pages = 0;
    for (const struct kva_range *range = vmalloc->retired; range; range = range->next) {
        uint64_t mapped = 0;
        if (range->purpose != &vmalloc_purpose_retired) {
            return complain(problem, "a block in use is retired", range->base, 0, 0);
        }
        page_table_each(vmalloc->table, range->base, range->bytes, count_mapped, &mapped);
        if (mapped != 0) {
            return complain(problem, "bytes mapped of a retired block", range->base, mapped, 0);
        }
        ranges++;
    }
    for (phys_addr_t frame = vmalloc->frames_head; frame.raw != 0;) {
        const struct frame_descriptor *descriptor = frame_descriptor(vmalloc->frames, frame);
        pages += 1ULL << frame_tag_order(atomic_load_explicit(&descriptor->tag, memory_order_relaxed));
        frame = frame_note_next(descriptor);
    }
    if (ranges != vmalloc->retired_ranges) {
        return complain(problem, "count of retired ranges", virt_addr(0), vmalloc->retired_ranges, ranges);
    }
    return pages == vmalloc->retired_pages ||
           complain(problem, "count of retired pages", virt_addr(0), vmalloc->retired_pages, pages);
}

bool vmalloc_check(struct vmalloc *vmalloc, struct vmalloc_problem *problem)
{
    virt_addr_t at = virt_addr(0);
    struct kva_facts facts;
    *problem = (struct vmalloc_problem){.what = NULL};
    while (next_range(vmalloc, &at, &facts)) {
        if (!check_block(vmalloc, &facts, problem)) {
            return false;
        }
    }
    spinlock_acquire(&vmalloc->lock);
    bool sound = check_retired(vmalloc, problem);
    spinlock_release(&vmalloc->lock);
    return sound;
}
