/*
 * Telling pagers which of their pages were written to. The CPU notes it in the dirty bit of the entry; here
 * the bits are collected and cleared, some at a time. A CPU may still write through a translation that says
 * "dirty already" until it is flushed: so the pager is told after the flush.
 */
#include "mm/space/valid.h"

/* Clears the dirty bit of a page; that it is cached as dirty is noted in the batch. */
static void clean(struct vm_space *space, uint64_t address, page_table_entry_t leaf, struct tlb_batch *batch)
    REQUIRES(space->lock)
{
    page_table_entry_t old;
    leaf.raw &= ~PAGE_ENTRY_DIRTY;
    enum page_table_error error =
        page_table_set(space->table, virt_addr(address), leaf, PAGE_LEVEL_4K, &old, batch);
    ASSERT(error == PAGE_TABLE_OK); /* the table is there */
}

/* Whether the page has been written to since it was cleaned. */
static bool is_written(const struct page_translation *page)
{
    switch (page_entry_kind(page->leaf, page->level)) {
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
        return page_entry_dirty(page->leaf);
    case ENTRY_ABSENT:
    case ENTRY_TABLE:
    case ENTRY_SWAPPED: /* what was written is on disk */
    case ENTRY_HELD:
        break;
    }
    return false;
}

/* Clears the dirty bits of [base, end), of at most 64 small pages; returns which had one, a bit for each. */
static uint64_t collect(struct vm_space *space, uint64_t base, uint64_t end, struct tlb_batch *batch)
    REQUIRES(space->lock)
{
    uint64_t written = 0;
    for (uint64_t at = base; at < end; at += FRAME_BYTES) {
        struct page_translation page = vm_page_at(space->table, at);
        if (is_written(&page)) {
            written |= 1ULL << ((at - base) >> FRAME_SHIFT);
            clean(space, at, page.leaf, batch);
        }
    }
    return written;
}

/* Tells the pager of the pages that have a bit. */
static void tell(struct vm_space *space, const struct vm_region *region, uint64_t base, uint64_t written)
    REQUIRES(space->lock)
{
    struct vm_pager *pager = region->pager;
    for (uint64_t at = base; written != 0; written >>= 1, at += FRAME_BYTES) {
        if (written & 1) {
            struct page_translation page = vm_page_at(space->table, at);
            pager->dirty(pager, at - region->base + region->offset, vm_page_frame(&page));
        }
    }
}

_Static_assert(VM_HOLD_PAGES <= 64, "what one step finds is a word of bits");

static void sync_region(struct vm_space *space, struct vm_hold *hold, const struct vm_region *region,
                        uint64_t base, uint64_t end) REQUIRES(space->change, space->lock)
{
    struct page_translation page;
    for (uint64_t next; base < end; base = next) {
        vm_hold_renew(hold);
        next = vm_hold_step(hold, space->table, base, end, &page);
        uint64_t written = hold->slots ? collect(space, base, next, hold->batch) : 0;
        if (written != 0) {
            tlb_batch_finish(hold->batch);
            tell(space, region, base, written);
        }
    }
}

static void sync_range(struct vm_space *space, struct vm_hold *hold, uint64_t base, uint64_t end)
    REQUIRES(space->change, space->lock)
{
    const struct vm_region *region = vm_region_above(space, base);
    for (; region && region->base < end; region = region->next) {
        vm_hold_renew(hold);
        hold->left--;
        if (region->shared && region->pager->dirty) {
            sync_region(space, hold, region, max_u64(region->base, base),
                        min_u64(vm_region_end(region), end));
        }
    }
}

enum vm_error vm_space_sync(struct vm_space *space, virt_addr_t base, uint64_t bytes)
{
    struct vm_hold hold;
    struct tlb_batch batch;
    enum vm_error error = vm_range_check(space, base.raw, bytes);
    if (error != VM_OK) {
        return error;
    }
    DEBUG_ASSERT(vm_space_is_valid(space));
    VALIDATE_AT_RANDOM(vm, vm_space_check, space);
    tlb_batch_start(&batch, space->table);
    mutex_acquire(&space->change);
    vm_hold_begin(&hold, space, &batch);
    sync_range(space, &hold, base.raw, base.raw + bytes);
    vm_hold_end(&hold, space);
    mutex_release(&space->change);
    return VM_OK;
}
