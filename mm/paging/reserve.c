/* Frames for tables: taken before an operation changes anything, given back once nothing names them. */
#include "internal.h"

/* The chain of reserved frames runs through the descriptors: a table that is not in use has no use count. */
static phys_addr_t next_reserved(struct page_table *table, phys_addr_t frame)
{
    return frame_note_next(frame_descriptor(table->frames, frame));
}

bool reserve_fill(struct page_table *table, struct table_reserve *reserve, uint64_t count)
{
    reserve->first = FRAME_NONE;
    for (uint64_t i = 0; i < count; i++) {
        phys_addr_t frame = frame_alloc_zeroed(table->frames, OWNER_PAGE_TABLES);
        if (frame.raw == FRAME_NONE.raw) {
            reserve_empty(table, reserve);
            return false;
        }
        frame_note_set_next(frame_descriptor(table->frames, frame), reserve->first);
        reserve->first = frame;
    }
    return true;
}

phys_addr_t reserve_take(struct page_table *table, struct table_reserve *reserve)
{
    phys_addr_t frame = reserve->first;
    DEBUG_ASSERT(frame.raw != FRAME_NONE.raw);
    reserve->first = next_reserved(table, frame);
    frame_note_clear(frame_descriptor(table->frames, frame));
    table->table_frames++;
    return frame;
}

void reserve_empty(struct page_table *table, struct table_reserve *reserve)
{
    while (reserve->first.raw != FRAME_NONE.raw) {
        phys_addr_t frame = reserve->first;
        reserve->first = next_reserved(table, frame);
        frame_free(table->frames, frame, 0);
    }
}

void table_drop(struct page_table *table, phys_addr_t parent, uint64_t address, unsigned level,
                phys_addr_t child, struct tlb_batch *batch)
{
    table_link(table, parent, address, level, (page_table_entry_t){0});
    if (level != table->levels) {
        table_use(table, parent, -1);
    }
    table->table_frames--;
    tlb_batch_put_table(batch, child);
}
