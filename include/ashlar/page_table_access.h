/*
 * How page tables are reached: a table lies at a physical address, and code needs a virtual one. The five
 * ways side by side, with what each costs, are in docs/paging.md; the kernel's is PAGE_TABLE_PHYSMAP, the
 * others are there for whoever looks at its tables by another.
 */
#pragma once

#include <ashlar/arch/page_table_entry.h>
#include <ashlar/arch/tlb.h>

struct page_table;

enum page_table_path {
    PAGE_TABLE_PHYSMAP,   /* all physical memory is mapped somewhere: the kernel's way */
    PAGE_TABLE_IDENTITY,  /* virtual is physical */
    PAGE_TABLE_OFFSET,    /* a window of physical memory at a fixed distance */
    PAGE_TABLE_TEMPORARY, /* mapped into a slot of the CPU's own when needed */
    PAGE_TABLE_RECURSIVE, /* an entry of the root names the root: tables appear as pages */
    PAGE_TABLE_PATH_COUNT
};

/* "physmap", "identity", "offset", "temporary", "recursive". */
const char *page_table_path_name(enum page_table_path path);

/*
 * One way to reach tables. Where every table has an address of its own for good (the first three), `open` is
 * NULL and a table lies at `offset` + its physical address: that is all the fast path does.
 */
struct page_table_access {
    enum page_table_path path; /* which way this is */
    uint64_t offset;           /* added to a physical address */
    /*
     * Makes the table at `level` on the way to `address` visible; `table` is its physical address. Preemption
     * is off until the matching close, and at most two are open at once. NULL when it cannot be reached.
     */
    page_table_entry_t *(*open)(const struct page_table_access *access, phys_addr_t table,
                                virt_addr_t address, unsigned level);
    void (*close)(const struct page_table_access *access, page_table_entry_t *entries);
    void *context; /* for open and close */
};

/*
 * The two ways that make tables visible when they are needed. `reach` turns a virtual address into a pointer;
 * on the machine that is the address itself.
 */
typedef void *page_table_reach(void *context, virt_addr_t address);

/* Slots for CPUs from `first_cpu` on, held by page_table_hold() in the tables in force. */
struct page_table_temporary {
    struct page_table_access access; /* the way through them */
    unsigned first_cpu;              /* whose slots come first */
    virt_addr_t base;                /* of the first slot */
    page_table_entry_t *slots;       /* entries, PAGE_TABLE_SLOTS for each CPU */
    page_table_reach *reach;         /* how a slot is used; NULL: as a pointer */
    void *context;                   /* for reach */
};

#define PAGE_TABLE_SLOTS 2

/* Fills *way; the slots hold nothing. Only CPUs that have slots go this way, each with preemption off. */
void page_table_temporary_init(struct page_table_temporary *way, unsigned first_cpu, virt_addr_t base,
                               page_table_entry_t *slots, page_table_reach *reach, void *context);

/* The tables in force, which name their own root (page_table_make_recursive()). */
struct page_table_recursive {
    struct page_table_access access; /* the way through it */
    const struct page_table *table;  /* the tables in force */
    page_table_reach *reach;         /* how an address is used; NULL: as a pointer */
    void *context;                   /* for reach */
};

/* Fills *way; it works while `table` has a recursive entry and is in force. */
void page_table_recursive_init(struct page_table_recursive *way, const struct page_table *table,
                               page_table_reach *reach, void *context);

/* Where the table at `level` on the way to `address` appears when entry `slot` of the root names the root. */
virt_addr_t page_table_recursive_address(unsigned levels, unsigned slot, virt_addr_t address, unsigned level);
