#include "reference.h"

#define MODEL_BASE (GIB(1) - 100 * FRAME_BYTES) /* the first 2 MiB boundary is at page 100 */

struct vm_fixture space_model_fixture;
struct space_model_space space_model_spaces[MODEL_SPACES];
unsigned space_model_kind;
struct test_pager space_model_pager;
phys_addr_t space_model_given[GIVEN_PAGES];
uint64_t space_model_given_values[GIVEN_PAGES];
uint64_t space_model_pager_values[PAGER_PAGES];
uint64_t space_model_next_value = 1;
uint64_t space_model_operations;
uint64_t space_model_seen_faults[VM_FAULT_COUNT + 1];
uint64_t space_model_seen_errors[VM_ERROR_COUNT];

/* ---- What the model says ---- */

virt_addr_t space_model_address(const struct space_model_space *space, unsigned page)
{
    return virt_addr(space->base + (uint64_t)page * FRAME_BYTES);
}

uint64_t space_model_base(size_t index)
{
    uint64_t wide = 1ULL << 52;
    uint64_t top = 0 - MODEL_SPACES * MODEL_ROOM - GIB(1);
    if (space_model_kind & MODEL_KERNEL) {
        uint64_t room = space_model_kind & MODEL_FIVE_LEVELS ? VM_KERNEL - wide : top;
        return room + MODEL_BASE + index * MODEL_ROOM;
    }
    return MODEL_BASE + (space_model_kind & MODEL_FIVE_LEVELS ? wide : 0);
}

/* The last page with something from `address` on, `bytes` long, and *end, its end; the model's pages are all
 * that have something. */
static bool space_model_last_taken(const struct space_model_space *space, uint64_t address, uint64_t bytes,
                                   uint64_t *end)
{
    for (unsigned i = MODEL_PAGES; i-- > 0;) {
        uint64_t page = space_model_address(space, i).raw;
        if ((space->pages[i].mapped || space->pages[i].guard) && page + FRAME_BYTES > address &&
            page < address + bytes) {
            *end = page + FRAME_BYTES;
            return true;
        }
    }
    return false;
}

uint64_t space_model_lowest(const struct space_model_space *space, const struct vm_request *request)
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
        if (!space_model_last_taken(space, at - request->guard, length, &from)) {
            return at;
        }
    }
    return 0;
}

uint64_t *space_model_value(struct space_model_page *page)
{
    switch ((enum vm_source)page->source) {
    case VM_FRAMES:
    case VM_DEVICE:
        return &space_model_given_values[page->object];
    case VM_PAGER:
        return page->own ? &page->value : &space_model_pager_values[page->object];
    case VM_NOTHING:
    case VM_ZERO:
    case VM_STACK:
    case VM_SOURCE_COUNT:
        break;
    }
    return &page->value;
}

enum vm_fault space_model_fault(struct space_model_space *space, unsigned at, enum vm_access access)
{
    const struct space_model_page *page = &space->pages[at];
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

void space_model_drop_guards(struct space_model_space *space)
{
    for (unsigned i = MODEL_PAGES; i-- > 0;) {
        bool guards = i + 1 < MODEL_PAGES && (space->pages[i + 1].mapped || space->pages[i + 1].guard);
        space->pages[i].guard = space->pages[i].guard && guards;
    }
}

bool space_model_covered(const struct space_model_space *space, unsigned first, unsigned count)
{
    for (unsigned i = first; i < first + count; i++) {
        if (!space->pages[i].mapped) {
            return false;
        }
    }
    return true;
}

/* ---- Running out of memory on purpose ---- */

static phys_addr_t space_model_hoard[MODEL_MEMORY / FRAME_BYTES];
static unsigned space_model_hoarded;
int space_model_failing;

static void space_model_hoard_begin(void)
{
    if (space_model_failing == 1) {
        slab_fail_every(&space_model_fixture.slabs, 1);
    } else if (space_model_failing > 1) {
        phys_addr_t frame;
        while ((frame = frame_alloc(&space_model_fixture.machine.pool, 0, OWNER_TEST)).raw != 0) {
            space_model_hoard[space_model_hoarded++] = frame;
        }
        for (int i = 2; i < space_model_failing && space_model_hoarded > 0; i++) {
            frame_free(&space_model_fixture.machine.pool, space_model_hoard[--space_model_hoarded], 0);
        }
    }
}

void space_model_hoard_end(void)
{
    slab_fail_every(&space_model_fixture.slabs, 0);
    while (space_model_hoarded > 0) {
        frame_free(&space_model_fixture.machine.pool, space_model_hoard[--space_model_hoarded], 0);
    }
}

bool space_model_agrees(enum vm_error found, enum vm_error expected, const char *what)
{
    space_model_seen_errors[found]++;
    if (found != expected && !(found == VM_NO_MEMORY && space_model_failing)) {
        panic("operation %" PRIu64 ": %s: %s, not %s", space_model_operations, what, vm_error_name(found),
              vm_error_name(expected));
    }
    return found == VM_OK;
}

/* ---- Comparing ---- */

static void space_model_compare(struct space_model_space *space)
{
    struct vm_region_facts facts = {.bytes = 0};
    for (unsigned i = 0; i < MODEL_PAGES; i++) {
        const struct space_model_page *page = &space->pages[i];
        virt_addr_t address = space_model_address(space, i);
        bool inside = address.raw - facts.base.raw < facts.bytes;
        bool found = inside || vm_space_find(&space->space, address, &facts);
        if (found != page->mapped ||
            (found && (facts.source != page->source || facts.access != page->access ||
                       facts.shared != page->shared || facts.marks != page->marks))) {
            panic("operation %" PRIu64 ": page %u is mapped %d, in the model %d", space_model_operations, i,
                  found, page->mapped);
        }
        if (!found) {
            facts.bytes = 0;
        } else if (page->access == VM_NONE &&
                   mmu_model_walk(space->space.table, address.raw).result != MMU_NOT_PRESENT) {
            panic("operation %" PRIu64 ": page %u is inaccessible, and the kernel reaches it",
                  space_model_operations, i);
        }
    }
}

void space_model_after(bool checked)
{
    space_model_hoard_end();
    if (!checked) {
        return;
    }
    mmu_model_check();
    for (unsigned i = 0; i < MODEL_SPACES; i++) {
        if (space_model_spaces[i].live) {
            space_model_compare(&space_model_spaces[i]);
        }
    }
    vm_fixture_check(&space_model_fixture);
}

void space_model_before(bool checked)
{
    if (checked) {
        mmu_model_fill();
    }
    space_model_hoard_begin();
}
