/* TLB work collected as data: see <ashlar/tlb.h>. */
#include <ashlar/page_table.h>

#include "valid.h"

/* Makes one range of all, for the price of a flush of everything. */
void tlb_batch_join(struct tlb_batch *batch, virt_addr_t base, uint64_t bytes)
{
    DEBUG_ASSERT(tlb_batch_is_valid(batch));
    uint64_t first = base.raw;
    uint64_t last = base.raw + bytes - 1;
    for (unsigned i = 0; i < batch->range_count; i++) {
        const struct tlb_range *range = &batch->ranges[i];
        first = min_u64(first, range->base.raw);
        last = max_u64(last, range->base.raw + range->bytes - 1);
    }
    batch->ranges[0] = (struct tlb_range){virt_addr(first), last - first + 1, PAGE_LEVEL_4K};
    batch->range_count = 1;
    batch->pages = (last - first + 1) >> FRAME_SHIFT;
}

static uint32_t tag_of(const struct tlb_batch *batch, phys_addr_t block)
{
    return atomic_load_explicit(&frame_descriptor(batch->table->frames, block)->tag, memory_order_acquire);
}

/* Where the only reference is the caller's, nobody adds one: references come from page-table entries. */
void tlb_batch_put(struct tlb_batch *batch, phys_addr_t block, unsigned order)
{
    DEBUG_ASSERT(tlb_batch_is_valid(batch));
    if (frame_tag_references(tag_of(batch, block)) == 1) {
        frame_note_set_next(frame_descriptor(batch->table->frames, block), batch->blocks);
        batch->blocks = block;
        return;
    }
    if (batch->frame_count == TLB_BATCH_FRAMES) {
        tlb_batch_finish(batch);
    }
    batch->frames[batch->frame_count++] = (struct tlb_frame){block, order};
}

void tlb_batch_put_table(struct tlb_batch *batch, phys_addr_t table)
{
    DEBUG_ASSERT(tlb_batch_is_valid(batch));
    frame_note_set_next(frame_descriptor(batch->table->frames, table), batch->tables);
    batch->tables = table;
    batch->local = true; /* each number has copies of the entry that named it */
    atomic_fetch_add_explicit(&batch->table->tables_waiting, 1, memory_order_relaxed);
}

/* Tables without a range are left when a full batch was flushed in the midst of unmapping what they held. */
static void flush(const struct tlb_batch *batch)
{
    if (batch->range_count != 0) {
        unsigned ranges = batch->pages > TLB_FLUSH_PAGES ? 0 : batch->range_count;
        tlb_flush(batch->table, batch->ranges, ranges, !batch->local);
    } else if (batch->tables.raw != FRAME_NONE.raw) {
        tlb_flush(batch->table, NULL, 0, false);
    }
}

static void free_tables(struct tlb_batch *batch)
{
    while (batch->tables.raw != FRAME_NONE.raw) {
        struct frame_pool *frames = batch->table->frames;
        phys_addr_t table = batch->tables;
        batch->tables = frame_note_next(frame_descriptor(frames, table));
        frame_free_zeroed(frames, table); /* they are empty */
        atomic_fetch_sub_explicit(&batch->table->tables_waiting, 1, memory_order_relaxed);
    }
}

static void free_blocks(struct tlb_batch *batch)
{
    while (batch->blocks.raw != FRAME_NONE.raw) {
        struct frame_pool *frames = batch->table->frames;
        phys_addr_t block = batch->blocks;
        batch->blocks = frame_note_next(frame_descriptor(frames, block));
        frame_free(frames, block, frame_tag_order(tag_of(batch, block)));
    }
}

/* The others may have dropped theirs meanwhile: then the block can go the short way. */
static void put_frame(const struct tlb_batch *batch, const struct tlb_frame *frame)
{
    struct frame_pool *frames = batch->table->frames;
    if (frame_tag_references(tag_of(batch, frame->block)) == 1) {
        frame_free(frames, frame->block, frame->order);
    } else if (!frame_unshare(frame_descriptor(frames, frame->block))) {
        frame_put(frames, frame->block);
    }
}

void tlb_batch_finish(struct tlb_batch *batch)
{
    DEBUG_ASSERT(tlb_batch_is_valid(batch));
    flush(batch);
    free_tables(batch);
    free_blocks(batch);
    for (unsigned i = 0; i < batch->frame_count; i++) {
        put_frame(batch, &batch->frames[i]);
    }
    batch->range_count = 0;
    batch->frame_count = 0;
    batch->local = false;
    batch->pages = 0;
}
