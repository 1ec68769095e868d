/*
 * Unmapping long blocks. Their ranges are retired, so nobody else looks at what is mapped there, and they are
 * unmapped piece by piece: the page table's lock, which all of the kernel needs, is let go in between.
 */
#include <ashlar/assert.h>

#include "vmalloc_internal.h"

_Noreturn __attribute__((noinline)) void vmalloc_unmap_failed(const struct kva_range *range,
                                                              enum page_table_error error)
{
    panic("vmalloc: cannot unmap %#" PRIx64 ": %s", range->base.raw, page_table_error_name(error));
}

/* Where unmapping puts the frames it finds. */
struct collector {
    struct frame_pool *frames; /* whose they are */
    phys_addr_t *head;         /* of the list */
};

static void collect(void *context, virt_addr_t base, page_table_entry_t entry, enum page_level level)
{
    const struct collector *collector = context;
    phys_addr_t frame = level == PAGE_LEVEL_4K ? page_entry_leaf_address(entry, PAGE_LEVEL_4K)
                                               : page_entry_leaf_address(entry, PAGE_LEVEL_2M);
    (void)base;
    frame_note_set_next(frame_descriptor(collector->frames, frame), *collector->head);
    *collector->head = frame;
}

/* Bytes from `at` on, of `left` that follow, that are unmapped under one hold of the page table's lock: a
 * large page, or at most FRAME_BATCH small ones, which end where a large page may start. */
static uint64_t piece_at(const struct vmalloc *vmalloc, virt_addr_t at, uint64_t left)
{
    uint64_t bytes = page_level_bytes(PAGE_LEVEL_2M);
    if (left < bytes || !is_aligned(at.raw, bytes) ||
        page_table_translate(vmalloc->table, at).level != PAGE_LEVEL_2M) {
        bytes = FRAME_BATCH * FRAME_BYTES;
    }
    return min_u64(bytes - at.raw % bytes, left);
}

void vmalloc_unmap_each(struct vmalloc *vmalloc, const struct kva_range *range, struct vmalloc_part part,
                        struct tlb_batch *batch, page_table_visitor *removed, void *context)
{
    while (part.bytes != 0) {
        virt_addr_t at = virt_add(range->base, part.from);
        uint64_t bytes = piece_at(vmalloc, at, part.bytes);
        enum page_table_error error = page_table_unmap(vmalloc->table, at, bytes, batch, removed, context);
        if (error != PAGE_TABLE_OK) {
            vmalloc_unmap_failed(range, error);
        }
        part.from += bytes;
        part.bytes -= bytes;
    }
}

void vmalloc_unmap(struct vmalloc *vmalloc, const struct kva_range *range, struct vmalloc_part part,
                   struct tlb_batch *batch, phys_addr_t *frames)
{
    struct collector collector = {vmalloc->frames, frames};
    vmalloc_unmap_each(vmalloc, range, part, batch, collect, &collector);
}
