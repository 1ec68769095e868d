/*
 * The page fault: from an address and an access to the case it is.
 *
 *     address -> region?   none                      nothing lies there
 *                          only its guard            guard gap, or a stack's limit
 *                |
 *                v
 *             allowed?     no                        not allowed, or reserved; or held: wait, and look again
 *                |
 *                v
 *             page there?  no            -> fill     zero page, zeroed frame, large block, stack growth,
 *                |                                   device page, pager's page
 *                v
 *             allows it?   yes                       spurious: resolved already
 *                |
 *                no                      -> open     last user writes in place, others get a copy
 */
#include "mm/space/valid.h"

/* The region that `address` lies in, or what is wrong with the address. */
static struct vm_region *find_region(struct vm_space *space, uint64_t address, enum vm_fault *error)
    REQUIRES(space->lock)
{
    struct vm_region *region = space->recent;
    if (region && address - region->base < region->bytes) {
        return region;
    }
    region = vm_region_above(space, address);
    if (!region || address < region->base - region->guard) {
        *error = VM_FAULT_NO_REGION;
        return NULL;
    }
    if (address < region->base) {
        *error = region->source == VM_STACK ? VM_FAULT_STACK_LIMIT : VM_FAULT_GUARD;
        return NULL;
    }
    space->recent = region;
    return region;
}

/* What is at the page. Where a table for small pages exists, its entry alone decides. */
static struct page_translation find_page(struct vm_space *space, uint64_t page,
                                         const page_table_entry_t *slot) REQUIRES(space->lock)
{
    if (!slot) {
        return page_table_translate(space->table, virt_addr(page));
    }
    page_table_entry_t leaf = {__atomic_load_n(&slot->raw, __ATOMIC_RELAXED)}; /* the CPU may set bits */
    return (struct page_translation){.mapped = page_entry_present(leaf),
                                     .level = PAGE_LEVEL_4K,
                                     .access = page_entry_access(leaf),
                                     .leaf = leaf};
}

/* The access is refused, unless what lies there is about to be something else, or somebody may make it so. */
static enum vm_fault refuse(const struct vm_space *space, uint64_t address, enum vm_fault refusal,
                            const struct vm_need *need) REQUIRES(space->lock)
{
    bool nothing = refusal == VM_FAULT_NO_REGION || refusal == VM_FAULT_STACK_LIMIT;
    if (vm_is_held(space, address)) {
        return VM_FAULT_WAITS;
    }
    return nothing && space->grow && !need->settled ? VM_FAULT_GROWS : refusal;
}

static enum vm_fault resolve(struct vm_space *space, uint64_t address, enum vm_access access,
                             struct vm_need *need, struct tlb_batch *batch) REQUIRES(space->lock)
{
    enum vm_fault error;
    struct vm_region *region = find_region(space, address, &error);
    if (!region) {
        return refuse(space, address, error, need);
    }
    if (region->source == VM_NOTHING) {
        return refuse(space, address, VM_FAULT_RESERVED, need);
    }
    if (access & region->denied) {
        return refuse(space, address, VM_FAULT_DENIED, need);
    }
    uint64_t page = align_down(address, FRAME_BYTES);
    page_table_entry_t *slot = page_table_slot(space->table, virt_addr(page));
    struct vm_case fault = {region, slot, true, page, access, need, batch};
    if (slot && page_entry_is_hole(*slot)) {
        return vm_fill(space, &fault); /* the most frequent case first */
    }
    struct page_translation mapped = find_page(space, page, slot);
    switch (page_entry_kind(mapped.leaf, mapped.level)) {
    case ENTRY_ABSENT:
        return vm_fill(space, &fault);
    case ENTRY_LEAF:
        fault.hole = false;
        return access != VM_WRITE || mapped.access & PAGE_WRITE ? VM_FAULT_SPURIOUS
                                                                : vm_open(space, &fault, &mapped);
    case ENTRY_INACCESSIBLE: /* whoever has just given the region its access comes to this page yet */
        return VM_FAULT_SPURIOUS;
    case ENTRY_SWAPPED: /* nobody is there to read it */
    case ENTRY_HELD:
    case ENTRY_TABLE: /* no walk ends there */
        break;
    }
    vm_entry_is_foreign(&mapped, page);
}

/* One attempt under the lock. */
static enum vm_fault attempt(struct vm_space *space, uint64_t address, enum vm_access access,
                             struct vm_need *need)
{
    struct tlb_batch batch;
    spinlock_acquire(&space->lock);
    tlb_batch_start(&batch, space->table);
    enum vm_fault result = resolve(space, address, access, need, &batch);
    if (!tlb_batch_is_empty(&batch)) {
        tlb_batch_finish(&batch);
    }
    if (result < VM_FAULT_COUNT) {
        space->faults[result]++;
    }
    spinlock_release(&space->lock);
    return result;
}

#define LACKS_MOST 64 /* attempts that may find what was collected taken by others, or of no use */

/*
 * Gets what the attempt lacked or wants, without the lock. lacks: attempts that lacked memory so far. False
 * when there is none, or the pager has failed: that is this fault's end, and *result says which.
 */
static bool obtain(struct vm_space *space, struct vm_need *need, unsigned *lacks, enum vm_fault *result)
{
    bool lacked = *result == VM_FAULT_LACKS;
    if (lacked ? (*lacks)++ < LACKS_MOST && frame_pool_collect(space->manager->config.frames)
               : vm_need_obtain(space, need)) {
        return true;
    }
    *result = lacked ? VM_FAULT_NO_MEMORY : VM_FAULT_PAGER_FAILED;
    spinlock_acquire(&space->lock);
    space->faults[*result]++;
    spinlock_release(&space->lock);
    return false;
}

/* Waits until the operation is over that holds what lies there. */
static void wait_for_change(struct vm_space *space)
{
    mutex_acquire(&space->change);
    mutex_release(&space->change);
}

enum vm_fault vm_space_fault(struct vm_space *space, virt_addr_t address, enum vm_access access)
{
    DEBUG_ASSERT(vm_space_is_valid(space));
    struct vm_need need;
    need.kind = VM_NEED_NOTHING; /* the rest is written when something is wanted */
    need.stale = false;
    need.settled = false;
    unsigned lacks = 0;
    enum vm_fault result;
    while ((result = attempt(space, address.raw, access, &need)) >= VM_FAULT_WANTS) {
        if (result == VM_FAULT_WAITS) {
            wait_for_change(space);
        } else if (result == VM_FAULT_GROWS) {
            need.settled = !space->grow(space, address);
        } else if (!obtain(space, &need, &lacks, &result)) {
            break;
        }
    }
    if (need.kind != VM_NEED_NOTHING) {
        vm_need_drop(space, &need);
    }
    return result;
}
