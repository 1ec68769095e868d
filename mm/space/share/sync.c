/*
 * Telling pagers which of their pages were written to. The CPU notes it in the dirty bit of the entry; here
 * the bits are collected and cleared, some at a time. A CPU may still write through a translation that says
 * "dirty already" until it is flushed: so the pager is told after the flush.
 */
#include "mm/space/internal.h"

#define SYNC_PAGES 16

struct written {
    unsigned count;                /* entries used */
    uint64_t address[SYNC_PAGES];  /* of the page */
    phys_addr_t frame[SYNC_PAGES]; /* behind it */
};

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

/* Collects written pages from *address on; there may be more when it is full. */
static void collect(struct vm_space *space, uint64_t *address, uint64_t end, struct written *written,
                    struct tlb_batch *batch) REQUIRES(space->lock)
{
    struct page_translation page;
    written->count = 0;
    while (written->count < SYNC_PAGES && vm_next_page(space->table, address, end, &page)) {
        if (is_written(&page)) {
            written->address[written->count] = *address;
            written->frame[written->count] = vm_page_frame(&page);
            written->count++;
            clean(space, *address, page.leaf, batch);
        }
        *address += FRAME_BYTES;
    }
}

static void sync_region(struct vm_space *space, const struct vm_region *region, uint64_t base, uint64_t end)
    REQUIRES(space->lock)
{
    struct vm_pager *pager = region->pager;
    struct written written;
    do {
        struct tlb_batch batch;
        tlb_batch_start(&batch, space->table);
        collect(space, &base, end, &written, &batch);
        tlb_batch_finish(&batch);
        for (unsigned i = 0; i < written.count; i++) {
            pager->dirty(pager, written.address[i] - region->base + region->offset, written.frame[i]);
        }
    } while (written.count == SYNC_PAGES);
}

enum vm_error vm_space_sync(struct vm_space *space, virt_addr_t base, uint64_t bytes)
{
    uint64_t end = base.raw + bytes;
    enum vm_error error = vm_range_check(space, base.raw, bytes);
    if (error != VM_OK) {
        return error;
    }
    spinlock_acquire(&space->lock);
    const struct vm_region *region = vm_region_above(space, base.raw);
    for (; region && region->base < end; region = region->next) {
        if (region->shared && region->pager->dirty) {
            sync_region(space, region, max_u64(region->base, base.raw), min_u64(vm_region_end(region), end));
        }
    }
    spinlock_release(&space->lock);
    return VM_OK;
}
