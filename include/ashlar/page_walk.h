/*
 * The walk from the root of page tables to the page, as the CPU does it (SDM volume 3, 4.5), with every entry
 * kept to be shown. The loader, the trap reports, the monitor and mm/ all use this one; they differ only in
 * how they reach a table, which is theirs to say, and in whether that can fail. Pure: takes no lock and
 * changes nothing. What is walked once for each page fault or translation has a shorter way of its own,
 * without the steps (<ashlar/page_table.h>).
 */
#pragma once

#include <ashlar/arch/page_entry_kind.h>

#define PAGE_WALK_STEPS_MAX 5

/* One entry on the way from the root to the page. */
struct page_walk_step {
    unsigned level;           /* of the table it lies in: 5 .. 1 */
    unsigned index;           /* in the table */
    phys_addr_t table;        /* the table */
    page_table_entry_t entry; /* as read */
};

enum page_walk_end {
    WALK_MAPPED,        /* a leaf was found */
    WALK_NOT_PRESENT,   /* the last step's entry is not present: page_entry_kind() tells what it is */
    WALK_RESERVED,      /* the last step's entry has a reserved bit set */
    WALK_UNREADABLE,    /* the next table lies where nothing can be read */
    WALK_NON_CANONICAL, /* no walk: the address is none */
};

struct page_walk {
    enum page_walk_end end;
    unsigned step_count;
    struct page_walk_step steps[PAGE_WALK_STEPS_MAX]; /* from the root down */
    unsigned access;    /* enum page_access allowed by all steps together, if mapped */
    phys_addr_t target; /* where `address` lands, if mapped */
};

/*
 * Reads step->entry: entry step->index of the table at step->table, which has step->level and lies on the way
 * to `address`. Returns false when there is nothing that can be read.
 */
typedef bool page_table_reader(void *context, virt_addr_t address, struct page_walk_step *step);

/* Where the entry of a step lies. */
static inline phys_addr_t page_walk_entry_at(const struct page_walk_step *step)
{
    return phys_add(step->table, (uint64_t)step->index << PAGE_ENTRY_SHIFT);
}

/*
 * Translates `address` by the tables of `levels` (4 or 5) levels at `root`. context: for `read`.
 * physical_bits: of the CPU; address bits above are reserved in entries. Never fails: the result says where
 * the walk ended, and why.
 */
struct page_walk page_walk(page_table_reader *read, void *context, phys_addr_t root, unsigned levels,
                           unsigned physical_bits, virt_addr_t address);
