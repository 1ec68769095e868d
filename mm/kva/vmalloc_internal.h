/* Shared by the files of vmalloc; not for its users. */
#pragma once

#include <ashlar/vmalloc.h>

/* The purpose of ordinary blocks. */
extern const struct kva_purpose vmalloc_purpose;

/*
 * Maps a range from `at` on, where nothing is mapped; returns up to where it is mapped then: not to the end
 * only when memory has run out. At least two pages.
 */
uint64_t vmalloc_fill(struct vmalloc *vmalloc, const struct vmalloc_request *request, struct kva_range *range,
                      uint64_t at);

_Noreturn void vmalloc_unmap_failed(const struct kva_range *range, enum page_table_error error);

/* Bytes of a range. */
struct vmalloc_part {
    uint64_t from;  /* offset of the first one */
    uint64_t bytes; /* how many; may be 0 */
};

/*
 * Unmaps a part of a retired range, of which no large page is cut; `removed` is told of each page. The page
 * table's lock is let go after each FRAME_BATCH pages, or each large page.
 */
void vmalloc_unmap_each(struct vmalloc *vmalloc, const struct kva_range *range, struct vmalloc_part part,
                        struct tlb_batch *batch, page_table_visitor *removed, void *context);

/* The same; adds the frames to a list. */
void vmalloc_unmap(struct vmalloc *vmalloc, const struct kva_range *range, struct vmalloc_part part,
                   struct tlb_batch *batch, phys_addr_t *frames);

/* Frees the frames of a list. */
void vmalloc_free_frames(struct frame_pool *frames, phys_addr_t frame);

/* Whether a block has room for 2 MiB pages. */
bool vmalloc_wants_large(const struct vmalloc *vmalloc, const struct vmalloc_request *request);

/* Whether there may be memory for so many bytes. Without this check a request that is far too long would take
 * all frames before it fails. */
bool vmalloc_has_hope(const struct vmalloc *vmalloc, uint64_t bytes);
