/* Splitting a large page for its own sake: the owner of what lies behind wants to deal with its parts. */
#include "internal.h"

enum page_table_error page_table_split(struct page_table *table, virt_addr_t address, struct tlb_batch *batch)
{
    enum page_table_error error = range_check(table, address, FRAME_BYTES);
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    if (!table_reachable(table)) {
        return PAGE_TABLE_UNREACHABLE;
    }
    /* The range from the address to the end of any page it can lie in is cut at one end only. */
    uint64_t last = address.raw | (page_level_bytes(PAGE_LEVEL_1G) - 1);
    spinlock_acquire(&table->lock);
    error = split_ends(table, address.raw, last, NULL, batch);
    spinlock_release(&table->lock);
    return error;
}
