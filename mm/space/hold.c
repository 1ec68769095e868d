/*
 * Holds of bounded work. Whoever works through a range holds the space's lock for at most VM_HOLD_PAGES pages
 * of work, flushes what it made stale, lets the lock go, and takes it again: so that a page fault of another
 * CPU waits for a bounded time, whatever the length of the range. Unmapping flushes less often (pages.c).
 *
 * Whoever changes the structure has `change` for the whole operation, so that the regions it knows stay
 * between two holds; pages come meanwhile, by faults. Whoever only looks has no more than the lock, and looks
 * for everything anew, by address.
 */
#include "internal.h"

#define HOLES_AT_A_TIME                                                                                      \
    8 /* entries that are looked at together, and count as a page of work when all are holes */

static void take_locks(const struct vm_hold *hold) NO_LOCK_ANALYSIS
{
    struct vm_space *first = hold->space;
    struct vm_space *second = hold->other;
    if (second && second->number < first->number) {
        first = hold->other;
        second = hold->space;
    }
    spinlock_acquire(&first->lock);
    if (second) {
        spinlock_acquire(&second->lock);
    }
}

/* What lost rights is flushed first: another CPU may be told then, by what it finds, that it has. Of a region
 * on its way out it finds nothing. */
static void release_locks(const struct vm_hold *hold) NO_LOCK_ANALYSIS
{
    if (hold->batch && !hold->defers && !tlb_batch_is_empty(hold->batch)) {
        tlb_batch_finish(hold->batch);
    }
    if (hold->other) {
        spinlock_release(&hold->other->lock);
    }
    spinlock_release(&hold->space->lock);
}

void vm_hold_begin(struct vm_hold *hold, struct vm_space *space, struct tlb_batch *batch) NO_LOCK_ANALYSIS
{
    *hold = (struct vm_hold){.space = space, .batch = batch, .left = VM_HOLD_PAGES};
    take_locks(hold);
}

void vm_hold_begin_both(struct vm_hold *hold, struct vm_space *space, struct vm_space *other,
                        struct tlb_batch *batch) NO_LOCK_ANALYSIS
{
    *hold = (struct vm_hold){
        .space = space, .other = other == space ? NULL : other, .batch = batch, .left = VM_HOLD_PAGES};
    take_locks(hold);
}

void vm_hold_end(struct vm_hold *hold, struct vm_space *space) NO_LOCK_ANALYSIS
{
    ASSERT(hold->space == space && !hold->defers);
    release_locks(hold);
}

void vm_hold_pause(struct vm_hold *hold)
{
    release_locks(hold);
    take_locks(hold);
    hold->left = VM_HOLD_PAGES;
}

/* What a walk ends at, without the sums over its levels that vm_page_at() has. */
static struct page_translation last_entry(const struct page_table *table, uint64_t at)
{
    const struct page_translation found = page_table_translate(table, virt_addr(at));
    enum page_entry_kind kind = page_entry_kind(found.leaf, found.level);
    return (struct page_translation){
        .mapped = kind == ENTRY_LEAF || kind == ENTRY_INACCESSIBLE, .level = found.level, .leaf = found.leaf};
}

/* How many of the `most` entries from `slots` on are holes, until one is not. */
static unsigned holes_in(const page_table_entry_t *slots, unsigned most)
{
    const page_table_entry_t *slot = slots;
    const page_table_entry_t *const end = slots + most;
    for (; end - slot >= HOLES_AT_A_TIME; slot += HOLES_AT_A_TIME) {
        uint64_t all = 0;
        for (unsigned i = 0; i < HOLES_AT_A_TIME; i++) {
            all |= __atomic_load_n(&slot[i].raw, __ATOMIC_RELAXED);
        }
        if (all != 0) {
            break;
        }
    }
    while (slot < end && page_entry_is_hole(*slot)) {
        slot++;
    }
    return (unsigned)(slot - slots);
}

/* The same in a table for small pages: its holes up to the next page, or as many entries as there is time
 * for. */
static uint64_t step_in_table(struct vm_hold *hold, uint64_t at, uint64_t end, struct page_translation *page)
{
    page_table_entry_t leaf = {__atomic_load_n(&hold->slots->raw, __ATOMIC_RELAXED)};
    uint64_t bytes = min_u64(align_down(at, MIB(2)) + MIB(2), end) - at;
    *page = (struct page_translation){.level = PAGE_LEVEL_4K, .leaf = leaf};
    if (page_entry_is_hole(leaf)) {
        unsigned holes = holes_in(hold->slots, (unsigned)(bytes >> FRAME_SHIFT));
        hold->left -= min_u64(hold->left, 1 + holes / HOLES_AT_A_TIME);
        hold->slots = NULL;
        return at + ((uint64_t)holes << FRAME_SHIFT);
    }
    enum page_entry_kind kind = page_entry_kind(leaf, PAGE_LEVEL_4K);
    page->mapped = kind == ENTRY_LEAF || kind == ENTRY_INACCESSIBLE;
    bytes = min_u64((uint64_t)hold->left << FRAME_SHIFT, bytes);
    hold->left -= (unsigned)(bytes >> FRAME_SHIFT);
    return at + bytes;
}

uint64_t vm_hold_step(struct vm_hold *hold, const struct page_table *table, uint64_t at, uint64_t end,
                      struct page_translation *page)
{
    DEBUG_ASSERT(hold->left > 0);
    hold->slots = page_table_slot(table, virt_addr(at));
    if (hold->slots) {
        return step_in_table(hold, at, end, page);
    }
    *page = last_entry(table, at);
    hold->left--;
    uint64_t bytes = page_level_bytes(page->level);
    uint64_t next = align_down(at, bytes) + bytes; /* 0: the end of the address space */
    return next > at ? min_u64(next, end) : end;
}
