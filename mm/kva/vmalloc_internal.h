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

/* Unmaps `bytes` bytes from `from` on and adds the frames to a list. No large page is split. */
void vmalloc_unmap(struct vmalloc *vmalloc, const struct kva_range *range, uint64_t from, uint64_t bytes,
                   struct tlb_batch *batch, phys_addr_t *frames);

/* Frees the frames of a list. */
void vmalloc_free_frames(struct frame_pool *frames, phys_addr_t frame);

/* Whether a block has room for 2 MiB pages. */
bool vmalloc_wants_large(const struct vmalloc *vmalloc, const struct vmalloc_request *request);

/* Whether there may be memory for so many bytes. Without this check a request that is far too long would take
 * all frames before it fails. */
bool vmalloc_has_hope(const struct vmalloc *vmalloc, uint64_t bytes);
