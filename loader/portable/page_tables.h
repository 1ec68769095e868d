/*
 * Builds x86-64 page tables of 4 or 5 levels before they are in force: nothing is ever unmapped and no TLB
 * needs a flush. Pure: the frames come from a callback, and are reached at their physical address plus a
 * fixed offset (0 in the loader, where the firmware maps all memory one to one).
 */
#pragma once

#include <ashlar/page_walk.h>
#include <ashlar/types.h>

struct page_table_builder {
    phys_addr_t root;       /* the highest table */
    unsigned levels;        /* 4 or 5 */
    unsigned largest_level; /* largest leaf to use: PAGE_LEVEL_4K, _2M or _1G */
    uint64_t access_offset; /* add to a physical address to touch it */
    uint64_t table_frames;  /* frames taken so far */
    bool (*take_frame)(void *context, phys_addr_t *frame); /* gives one zeroed frame, or false */
    void *context;                                         /* for take_frame */
};

enum page_tables_result {
    PAGE_TABLES_OK,
    PAGE_TABLES_NO_MEMORY, /* take_frame had none */
    PAGE_TABLES_BAD_RANGE, /* not page-aligned, empty, wrapping, not canonical, or for users */
    PAGE_TABLES_CONFLICT,  /* a part is mapped already, in another way */
};

/* Takes a frame for the root. The caller has set all other fields. */
enum page_tables_result page_tables_init(struct page_table_builder *builder);

/*
 * Maps `bytes` bytes at `virtual` to `physical` with the largest pages that alignment and
 * builder->largest_level allow. All three are multiples of FRAME_BYTES. access: enum page_access without
 * PAGE_USER. Mapping the same again is no conflict. On failure a part may be mapped, and the tables must not
 * be used.
 */
enum page_tables_result page_tables_map(struct page_table_builder *builder, virt_addr_t virtual,
                                        phys_addr_t physical, uint64_t bytes, unsigned access,
                                        enum page_cache cache);

/*
 * Follows `address` from `root` (page_walk()), where a table lies at `access_offset` + its physical address.
 */
struct page_walk page_tables_walk(phys_addr_t root, unsigned levels, uint64_t access_offset,
                                  virt_addr_t address);
