/* What a set of page tables is made of. Its owner has one by value; <ashlar/page_table.h> says what is done
 * with it, and which of the fields the owner may set. */
#pragma once

#include <ashlar/arch/page_entry_kind.h>
#include <ashlar/cpu_set.h>
#include <ashlar/frame.h>
#include <ashlar/lock.h>
#include <ashlar/page_table_access.h>

/* A name of a set of page tables that no other one ever gets again, so that a CPU can remember it. */
typedef uint64_t tlb_space_t;

#define TLB_SPACE_KERNEL ((tlb_space_t)0) /* of tables that are nobody's space: the kernel's own */

struct page_table {
    phys_addr_t root;              /* PML4 or PML5 */
    unsigned levels;               /* 4 or 5 */
    enum page_level largest_level; /* largest leaf the CPU has */
    unsigned recursive_slot;       /* entry of the root that names the root; 0: none */
    bool swaps;                    /* pages may be swapped: the owner has slots, and takes them back */
    virt_addr_t lent;              /* the tables for the 512 GiB from here on are not ours; 0: none */
    uint64_t physical_end;         /* first physical address the CPU does not have */
    const struct page_table_access *access; /* how tables are reached */
    struct frame_pool *frames;              /* where tables come from */
    tlb_space_t space;                      /* the name that CPUs remember these tables by */
    struct page_table *kernel;              /* whose upper half this one shares; NULL for the kernel itself */
    struct spinlock lock;                   /* guards all entries and what follows */
    page_table_entry_t pml4[2]; /* by bit 63: leads to the PML4 of addresses that are canonical with 4 levels;
                                   with 4 the root, with 5 as its first and its last entry. 0 when there is
                                   none, or it is not known: then one walks from the root. Read unlocked */
    _Atomic(uint64_t) generation;     /* flushes begun: what was cached before the last one is stale */
    struct cpu_set loaded;            /* CPUs that have it loaded, for tables that share the kernel's half */
    _Atomic(uint64_t) loaded_word;    /* the set's memory, where one word is enough */
    phys_addr_t loaded_frame;         /* the set's memory, where it is not; else FRAME_NONE */
    struct page_table *next_sharer;   /* (L of the kernel's) all that share its upper half, from it on */
    struct page_table **sharer_link;  /* (L of the kernel's) what leads to this one in that list */
    uint64_t table_frames;            /* tables in use, the root included, shared ones not */
    _Atomic(uint64_t) tables_waiting; /* tables out of use that wait for a flush, in batches */
};
