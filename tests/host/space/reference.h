/*
 * The reference for address spaces: one entry for each page, which says what an access must find there. Also
 * the means to let memory run out, and to compare.
 */
#pragma once

#include "fixture.h"

#define MODEL_SPACES 3
#define MODEL_PAGES  1210   /* of each space; with two whole 2 MiB pages in them */
#define MODEL_ROOM   GIB(4) /* of each, where all are spaces over the kernel's tables */
#define GIVEN_PAGES  16
#define MODEL_MEMORY MIB(24)

struct space_model_page {
    bool mapped;     /* a region lies here */
    bool guard;      /* a guard lies here, of a region that begins at the next page that is no guard */
    bool own;        /* VM_PAGER, private: has a value of its own */
    bool shared;     /* VM_PAGER: writes go to the pager's page */
    uint8_t source;  /* enum vm_source */
    uint8_t access;  /* enum vm_access */
    uint8_t marks;   /* enum vm_mark */
    uint16_t object; /* VM_FRAMES, VM_DEVICE, VM_PAGER: index of the page shown */
    uint64_t value;  /* of private pages */
};

/* What kind of spaces there are: bits. */
enum space_model_kind {
    MODEL_FIVE_LEVELS = 1 << 0, /* and addresses that need them */
    MODEL_KERNEL = 1 << 1,      /* spaces over the kernel's tables, side by side; not to be cloned */
    MODEL_KINDS = 1 << 2,
};

struct space_model_space {
    struct vm_space space;
    bool live;
    uint64_t base; /* address of page 0 */
    struct space_model_page pages[MODEL_PAGES];
};

extern struct vm_fixture space_model_fixture;
extern struct space_model_space space_model_spaces[MODEL_SPACES];
extern unsigned space_model_kind; /* enum space_model_kind, or'ed */
extern struct test_pager space_model_pager;
extern phys_addr_t space_model_given[GIVEN_PAGES]; /* one after the other: also a device's memory */
extern uint64_t space_model_given_values[GIVEN_PAGES];
extern uint64_t space_model_pager_values[PAGER_PAGES];
extern uint64_t space_model_next_value;
extern uint64_t space_model_operations;
extern uint64_t space_model_seen_faults[VM_FAULT_COUNT + 1]; /* by result; the last: no fault */
extern uint64_t space_model_seen_errors[VM_ERROR_COUNT];     /* of operations on regions */

virt_addr_t space_model_address(const struct space_model_space *space, unsigned page);

/* Where the space of that index begins. Those over the kernel's tables lie at the very end of all addresses,
 * where the sum of an address and a length is soon too much. */
uint64_t space_model_base(size_t index);

/* Where a region that may lie anywhere goes: the lowest place with nothing in it nor in the guard below. 0:
 * there is none. */
uint64_t space_model_lowest(const struct space_model_space *space, const struct vm_request *request);

/* Where the value of a page is kept. */
uint64_t *space_model_value(struct space_model_page *page);

/* What a fault at the page must come to; VM_FAULT_COUNT for any that resolves it. */
enum vm_fault space_model_fault(struct space_model_space *space, unsigned at, enum vm_access access);

/* Whether regions cover all of the pages. */
bool space_model_covered(const struct space_model_space *space, unsigned first, unsigned count);

extern int space_model_failing; /* 0: no; 1: no slab records; 2 + n: n frames */

void space_model_hoard_end(void);

/* Whether the result is the expected one, or lack of memory that was to be. */
bool space_model_agrees(enum vm_error found, enum vm_error expected, const char *what);

/* ---- model_advice.c: what is done to pages and regions that stay ---- */

/* One of these on `count` pages from `first` on, as `how` says: emptied, marked, taken back by their pager,
 * read or written by somebody who has not loaded the space. */
void space_model_advise(struct space_model_space *space, unsigned first, unsigned count, uint8_t how);

/* What marks say a child has not got. */
void space_model_forked(struct space_model_space *child);

/* A region that lost its first page has lost its guard. */
void space_model_drop_guards(struct space_model_space *space);

/*
 * Before an operation: memory may be short, and, when it is `checked`, the CPU has read ahead all there is.
 */
void space_model_before(bool checked);

/* After it memory is back; when it was `checked`, nothing stale is cached and all agree. */
void space_model_after(bool checked);
