/* One entry of a table that is there: what nearly every page fault comes to. */
#include "internal.h"

page_table_entry_t *page_table_slot(const struct page_table *table, virt_addr_t base)
{
    uint64_t offset = table->access->offset;
    phys_addr_t at = table->root;
    if (table->access->open) {
        return NULL;
    }
    for (unsigned level = table->levels; level > PAGE_LEVEL_4K; level--) {
        const page_table_entry_t *entries = (const page_table_entry_t *)(uintptr_t)(offset + at.raw);
        page_table_entry_t entry = entry_read(&entries[page_table_index(base, level)]);
        /* Only a leaf has the bit; the root has none in its format, nor has the level below. */
        if ((entry.raw & (PAGE_ENTRY_PRESENT | PAGE_ENTRY_LARGE)) != PAGE_ENTRY_PRESENT) {
            return NULL;
        }
        at = page_entry_table_address(entry);
    }
    return (page_table_entry_t *)(uintptr_t)(offset + at.raw) + page_table_index(base, PAGE_LEVEL_4K);
}

void page_table_fill(struct page_table *table, page_table_entry_t *slot, page_table_entry_t leaf)
{
    uint64_t at = align_down((uintptr_t)slot, FRAME_BYTES) - table->access->offset;
    spinlock_acquire(&table->lock);
    DEBUG_ASSERT(!page_entry_present(entry_read(slot)) && page_entry_present(leaf));
    entry_write(slot, leaf);
    table_use(table, phys_addr(at), 1);
    spinlock_release(&table->lock);
}

void page_table_replace(struct page_table *table, page_table_entry_t *slot, virt_addr_t base,
                        page_table_entry_t leaf, struct tlb_batch *batch)
{
    spinlock_acquire(&table->lock);
    page_table_entry_t old = entry_exchange(slot, leaf);
    spinlock_release(&table->lock);
    DEBUG_ASSERT(page_entry_present(old) && page_entry_present(leaf));
    if (leaf_narrows(old, leaf, PAGE_LEVEL_4K)) {
        tlb_batch_add(batch, base, FRAME_BYTES, PAGE_LEVEL_4K, page_entry_access(old) & PAGE_GLOBAL);
    }
}
