/*
 * The reference for address spaces: one entry for each page, which says what an access must find there. Also
 * the means to let memory run out, and to compare.
 */
#pragma once

#include "fixture.h"

#define MODEL_SPACES 3
#define MODEL_PAGES  1210                         /* of each space; with two whole 2 MiB pages in them */
#define MODEL_BASE   (GIB(1) - 100 * FRAME_BYTES) /* the first 2 MiB boundary is at page 100 */
#define MODEL_ROOM   GIB(4)                       /* of each, where all are spaces over the kernel's tables */
#define GIVEN_PAGES  16
#define MODEL_MEMORY MIB(24)

struct model_page {
    bool mapped;     /* a region lies here */
    bool guard;      /* a guard lies here, of a region that begins at the next page that is no guard */
    bool own;        /* VM_PAGER, private: has a value of its own */
    bool shared;     /* VM_PAGER: writes go to the pager's page */
    uint8_t source;  /* enum vm_source */
    uint8_t access;  /* enum vm_access */
    uint16_t object; /* VM_FRAMES, VM_DEVICE, VM_PAGER: index of the page shown */
    uint64_t value;  /* of private pages */
};

/* What kind of spaces there are: bits. */
enum model_kind {
    MODEL_FIVE_LEVELS = 1 << 0, /* and addresses that need them */
    MODEL_KERNEL = 1 << 1,      /* spaces over the kernel's tables, side by side; not to be cloned */
    MODEL_KINDS = 1 << 2,
};

struct model_space {
    struct vm_space space;
    bool live;
    uint64_t base; /* address of page 0 */
    struct model_page pages[MODEL_PAGES];
};

static struct vm_fixture fixture;
static struct model_space spaces[MODEL_SPACES];
static unsigned model_kind; /* enum model_kind, or'ed */
static struct test_pager pager;
static phys_addr_t given[GIVEN_PAGES]; /* one after the other: also a device's memory */
static uint64_t given_values[GIVEN_PAGES];
static uint64_t pager_values[PAGER_PAGES];
static uint64_t next_value = 1;
static uint64_t operations;
static uint64_t seen_faults[VM_FAULT_COUNT + 1]; /* by result; the last: no fault */
static uint64_t seen_errors[VM_ERROR_COUNT];     /* of operations on regions */

/* ---- What the model says ---- */

static inline virt_addr_t model_address(const struct model_space *space, unsigned page)
{
    return virt_addr(space->base + (uint64_t)page * FRAME_BYTES);
}

/* Where the space of that index begins. Those over the kernel's tables lie at the very end of all addresses,
 * where the sum of an address and a length is soon too much. */
static inline uint64_t model_base(size_t index)
{
    uint64_t wide = 1ULL << 52;
    uint64_t top = 0 - MODEL_SPACES * MODEL_ROOM - GIB(1);
    if (model_kind & MODEL_KERNEL) {
        uint64_t room = model_kind & MODEL_FIVE_LEVELS ? VM_KERNEL - wide : top;
        return room + MODEL_BASE + index * MODEL_ROOM;
    }
    return MODEL_BASE + (model_kind & MODEL_FIVE_LEVELS ? wide : 0);
}

/* The last page with something from `address` on, `bytes` long, and *end, its end; the model's pages are all
 * that have something. */
static inline bool model_last_taken(const struct model_space *space, uint64_t address, uint64_t bytes,
                                    uint64_t *end)
{
    for (unsigned i = MODEL_PAGES; i-- > 0;) {
        uint64_t page = model_address(space, i).raw;
        if ((space->pages[i].mapped || space->pages[i].guard) && page + FRAME_BYTES > address &&
            page < address + bytes) {
            *end = page + FRAME_BYTES;
            return true;
        }
    }
    return false;
}

/* Where a region that may lie anywhere goes: the lowest place with nothing in it nor in the guard below. 0:
 * there is none. */
static inline uint64_t model_lowest(const struct model_space *space, const struct vm_request *request)
{
    uint64_t room = space->space.end - space->space.base;
    uint64_t length = request->guard + request->bytes;
    uint64_t from = space->space.base; /* of the guard */
    if (request->guard > room - request->bytes) {
        return 0;
    }
    while (from - space->space.base <= room - length) {
        uint64_t lowest = max_u64(from + request->guard, request->address.raw);
        uint64_t at = align_up(lowest, max_u64(request->alignment, FRAME_BYTES));
        if (at < lowest || at > space->space.end - request->bytes) {
            return 0;
        }
        if (!model_last_taken(space, at - request->guard, length, &from)) {
            return at;
        }
    }
    return 0;
}

/* Where the value of a page is kept. */
static inline uint64_t *model_value(struct model_page *page)
{
    switch ((enum vm_source)page->source) {
    case VM_FRAMES:
    case VM_DEVICE:
        return &given_values[page->object];
    case VM_PAGER:
        return page->own ? &page->value : &pager_values[page->object];
    case VM_NOTHING:
    case VM_ZERO:
    case VM_STACK:
    case VM_SOURCE_COUNT:
        break;
    }
    return &page->value;
}

/* What a fault at the page must come to; VM_FAULT_COUNT for any that resolves it. */
static inline enum vm_fault model_fault(struct model_space *space, unsigned at, enum vm_access access)
{
    const struct model_page *page = &space->pages[at];
    if (page->guard) {
        while (space->pages[at].guard) {
            at++;
        }
        return space->pages[at].source == VM_STACK ? VM_FAULT_STACK_LIMIT : VM_FAULT_GUARD;
    }
    if (!page->mapped) {
        return VM_FAULT_NO_REGION;
    }
    if (page->source == VM_NOTHING) {
        return VM_FAULT_RESERVED;
    }
    return access & ~page->access ? VM_FAULT_DENIED : VM_FAULT_COUNT;
}

/* ---- Running out of memory on purpose ---- */

static phys_addr_t hoard[MODEL_MEMORY / FRAME_BYTES];
static unsigned hoarded;
static int failing; /* 0: no; 1: no slab records; 2 + n: n frames */

static inline void hoard_begin(void)
{
    if (failing == 1) {
        slab_fail_every(&fixture.slabs, 1);
    } else if (failing > 1) {
        phys_addr_t frame;
        while ((frame = frame_alloc(&fixture.machine.pool, 0, OWNER_TEST)).raw != 0) {
            hoard[hoarded++] = frame;
        }
        for (int i = 2; i < failing && hoarded > 0; i++) {
            frame_free(&fixture.machine.pool, hoard[--hoarded], 0);
        }
    }
}

static inline void hoard_end(void)
{
    slab_fail_every(&fixture.slabs, 0);
    while (hoarded > 0) {
        frame_free(&fixture.machine.pool, hoard[--hoarded], 0);
    }
}

/* Whether the result is the expected one, or lack of memory that was to be. */
static inline bool model_agrees(enum vm_error found, enum vm_error expected, const char *what)
{
    seen_errors[found]++;
    if (found != expected && !(found == VM_NO_MEMORY && failing)) {
        panic("operation %" PRIu64 ": %s: %s, not %s", operations, what, vm_error_name(found),
              vm_error_name(expected));
    }
    return found == VM_OK;
}

/* ---- Comparing ---- */

static inline void model_compare(struct model_space *space)
{
    struct vm_region_facts facts = {.bytes = 0};
    for (unsigned i = 0; i < MODEL_PAGES; i++) {
        const struct model_page *page = &space->pages[i];
        virt_addr_t address = model_address(space, i);
        bool inside = address.raw - facts.base.raw < facts.bytes;
        bool found = inside || vm_space_find(&space->space, address, &facts);
        if (found != page->mapped ||
            (found && (facts.source != page->source || facts.access != page->access ||
                       facts.shared != page->shared))) {
            panic("operation %" PRIu64 ": page %u is mapped %d, in the model %d", operations, i, found,
                  page->mapped);
        }
        if (!found) {
            facts.bytes = 0;
        } else if (page->access == VM_NONE &&
                   mmu_model_walk(space->space.table, address.raw).result != MMU_NOT_PRESENT) {
            panic("operation %" PRIu64 ": page %u is inaccessible, and the kernel reaches it", operations, i);
        }
    }
}

/* After each operation: nothing stale is cached, all agree. */
static inline void model_after(void)
{
    hoard_end();
    mmu_model_check();
    for (unsigned i = 0; i < MODEL_SPACES; i++) {
        if (spaces[i].live) {
            model_compare(&spaces[i]);
        }
    }
    vm_fixture_check(&fixture);
}

static inline void model_before(void)
{
    mmu_model_fill();
    hoard_begin();
}
