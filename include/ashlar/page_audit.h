/*
 * The audit of the kernel's page tables: every mapping has a reason, and no two contradict each other.
 */
#pragma once

#include <ashlar/page_table.h>

#define PAGE_AUDIT_RANGES                                                                                    \
    64 /* executable, or specially cached, stretches of physical memory it can compare */

/* Physical memory that is mapped in a way that other mappings must respect. */
struct page_audit_range {
    uint64_t base;         /* first byte */
    uint64_t end;          /* behind the last byte */
    enum page_cache cache; /* how it is cached; of executable memory, without meaning */
};

struct page_audit {
    uint64_t leaves;     /* mappings looked at */
    uint64_t bytes;      /* virtual memory they map */
    uint64_t problems;   /* how many are wrong */
    const char *what;    /* the rule that the first one breaks; NULL when all is well */
    virt_addr_t address; /* where */
    phys_addr_t target;  /* what is mapped there */
    page_table_entry_t entry;
    struct page_audit_range executable[PAGE_AUDIT_RANGES]; /* found by the first pass */
    unsigned executable_count;
    struct page_audit_range special[PAGE_AUDIT_RANGES]; /* not write-back */
    unsigned special_count;
};

/*
 * Looks at every leaf of kernel_page_table(): it lies in a room of the address space, with the access and the
 * cache kind that the room has; no frame is executable at one address and writable at any; all mappings of a
 * frame are cached alike. Returns whether all is well. Nobody else changes the tables meanwhile.
 */
bool page_audit(struct page_audit *audit);
