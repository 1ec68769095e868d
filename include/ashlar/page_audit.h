/*
 * The audit of page tables: every mapping has a reason, and no two contradict each other.
 *
 * It walks all that a CPU can load: the kernel's tables, those for UEFI runtime calls, and the lower half of
 * every user space. A mapping's reason is what its room says it is (docs/architecture.md): the physmap shows
 * RAM as it was planned, the image its segments, the arena what a range was taken for, the lazy range and
 * user spaces what their regions promise. Contradictions are found by physical address, whichever tables they
 * are in.
 */
#pragma once

#include <ashlar/page_table.h>

#define PAGE_AUDIT_NAME_BYTES 24 /* of a set's name: as long as a space's */

#define PAGE_ALIAS_RANGES 64 /* stretches that are compared in one round; there may be any number */

/* Physical memory that is mapped in a way that other mappings must respect. */
struct page_alias {
    uint64_t base;         /* first byte */
    uint64_t end;          /* behind the last byte */
    enum page_cache cache; /* how it is cached */
    bool user;             /* only the user can execute it */
};

/* The stretches of one kind, of which each round compares up to PAGE_ALIAS_RANGES. */
struct page_alias_list {
    uint64_t done;                               /* stretches compared in earlier rounds */
    uint64_t seen;                               /* stretches met so far in this round */
    unsigned count;                              /* used entries */
    struct page_alias ranges[PAGE_ALIAS_RANGES]; /* compared in this round */
};

struct page_audit {
    uint64_t sets;                     /* sets of page tables */
    uint64_t tables;                   /* frames they consist of */
    uint64_t mappings;                 /* pages of whatever size */
    uint64_t bytes;                    /* virtual memory they map */
    uint64_t problems;                 /* wrong mappings and wrong tables */
    const char *what;                  /* the rule that the first problem breaks; NULL when all is well */
    char whose[PAGE_AUDIT_NAME_BYTES]; /* the set it is in: "kernel", "UEFI runtime", a space's name */
    struct page_run run;               /* the mappings it concerns */
    struct page_alias_list executable; /* the audit's own: stretches that are executable somewhere */
    struct page_alias_list special;    /* the audit's own: stretches not cached write-back */
    struct page_table_problem unsound; /* what is wrong with a table itself; `what` is NULL for none */
};

/*
 * Audits all there is; returns whether all is well. Nobody else changes tables, spaces or the arena
 * meanwhile, and no view is open (<ashlar/page_table_view.h>). Takes the locks of all that it asks, one after
 * the other.
 */
bool page_audit(struct page_audit *audit);

/*
 * Looks only for contradictions between mappings, in the `count` given sets of tables: all of the first set,
 * and the lower half of each other set. For tables without reasons and use counts, such as the loader's.
 */
bool page_audit_aliases(struct page_audit *audit, struct page_table *const *tables, size_t count);
