/*
 * The reference model of page tables: an array with one entry per page. It speaks one language of operations,
 * table_model_step(), that long random runs and the fuzzer share. Every step is done by the tables and by the
 * model, and the two must agree: on the answer, on every page, and, through the model of the MMU, on what the
 * TLB may still hold. With scarce memory a step either works or changes nothing.
 *
 * There are windows in several places of a kernel's and a space's tables: around table borders of every
 * level, at the very end of the address space, and one in units of 2 MiB, for pages of 1 GiB.
 */
#pragma once

#include "fixture.h"

#define MODEL_UNITS 1536 /* per window */

/* What the reference knows of one page. */
struct table_model_page {
    bool mapped;
    bool owned;   /* its frame comes from the pool, and goes back when it is unmapped */
    bool swapped; /* and not mapped: `target` is its slot */
    bool read;    /* the CPU has used it: its entry says accessed */
    bool written; /* and dirty */
    uint8_t access;
    uint8_t cache;
    uint64_t target;
};

struct table_model_window {
    bool of_space;  /* in the space's tables, not the kernel's */
    uint64_t base;  /* first address */
    unsigned shift; /* of a unit */
    struct table_model_page pages[MODEL_UNITS];
};

#define MODEL_WINDOWS 6

/* Memory taken away. */
struct table_model_block {
    phys_addr_t base;
    unsigned order;
};

struct table_model {
    struct tables tables;
    struct page_table space;
    struct table_model_window windows[MODEL_WINDOWS];
    uint64_t steps;
    unsigned check_every; /* all is checked at one step in so many */
    uint64_t refused;     /* steps that found no memory */
    struct table_model_block *hoard;
    uint64_t hoarded;
};

/*
 * Begins with empty tables of `levels` levels and pages up to `largest`. All is compared and validated at one
 * step in `check_every`, chosen by the steps' numbers, and in the end; 1: at each.
 */
void table_model_make(struct table_model *model, unsigned levels, enum page_level largest,
                      unsigned check_every);

/* One step, decoded. */
struct table_model_call {
    struct table_model_window *window;
    struct page_table *table;
    struct tlb_batch *batch;
    uint64_t first, count; /* units */
    uint64_t base, bytes;  /* the same in bytes */
    unsigned access;
    enum page_cache cache;
    uint64_t random;
};

typedef void table_model_function(struct table_model *model, struct table_model_call *call);

/* One step: `what` chooses window and scarcity, a and b the range and the rest. */
void table_model_step(struct table_model *model, unsigned operation, uint8_t what, uint32_t a, uint32_t b);

/* Takes all down; the pool's books balance. */
void table_model_finish(struct table_model *model);
