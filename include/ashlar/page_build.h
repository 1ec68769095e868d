/*
 * The way down to an entry, with the tables made that are missing. Whoever maps shares it: the loader, the
 * frame pool's own mappings, and mm/. They differ in how they read an entry and where a new table comes from,
 * which are functions of theirs. It is inline, so that these are inlined too: the frame pool goes this way in
 * the midst of an allocation. Pure: takes no lock, and changes only what `make` does.
 */
#pragma once

#include <ashlar/page_walk.h>

/*
 * Puts a new empty table where step->entry, a hole, is: writes the entry that names it, into the table and
 * into step->entry. Returns false, with nothing changed, when there is no frame for it.
 */
typedef bool page_table_maker(void *context, virt_addr_t address, struct page_walk_step *step);

/*
 * Goes from `root`, a table of `levels` (4 or 5) levels, down to the entry for `address`, which is canonical,
 * in a table at `level`. read: gives every entry; unlike on a walk, it finds each one. make: called for each
 * hole that is met above `level`; NULL to make nothing. context: for both.
 *
 * Returns the entry, at `level`. If the way ended before, the result has the level where it did, and its
 * entry is a hole if no table was made there, else something else that is in the way. What was made stays.
 */
static inline __attribute__((always_inline)) struct page_walk_step
page_build_way(page_table_reader *read, page_table_maker *make, void *context, phys_addr_t root,
               unsigned levels, virt_addr_t address, unsigned level)
{
    struct page_walk_step step = {.table = root};
    for (step.level = levels;; step.level--) {
        step.index = page_table_index(address, step.level);
        (void)read(context, address, &step);
        if (step.level == level) {
            return step;
        }
        if (page_entry_is_hole(step.entry) && (!make || !make(context, address, &step))) {
            return step;
        }
        if (page_entry_kind(step.entry, step.level) != ENTRY_TABLE) {
            return step;
        }
        step.table = page_entry_table_address(step.entry);
    }
}

/* The level of the largest leaf, at most `largest`, that maps the beginning of `bytes` bytes at `virtual` to
 * `physical`. All three are multiples of FRAME_BYTES. */
static inline unsigned page_leaf_level(virt_addr_t virtual, phys_addr_t physical, uint64_t bytes,
                                       unsigned largest)
{
    unsigned level = largest;
    while (level > PAGE_LEVEL_4K && (bytes < page_level_bytes(level) ||
                                     !is_aligned(virtual.raw | physical.raw, page_level_bytes(level)))) {
        level--;
    }
    return level;
}
