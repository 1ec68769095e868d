/*
 * Unmapping: the pages of a region that is on its way out.
 *
 * Every CPU that has the space loaded must forget a page before its frame may be somebody else's, and to tell
 * them is dear. So pages go in rounds, of two steps:
 *
 *   hide     their entries become inaccessible, a hold of VM_HOLD_PAGES pages after the other
 *   flush    once for all of them
 *   clear    their frames are let go and their entries become holes, in as many holds
 *
 * In between the locks are let go and nothing is flushed. A CPU may go on using what it remembers of a hidden
 * page meanwhile; that is harmless, since the page's frame is still there, and still counted: the tables
 * themselves are the list of what waits for the flush. Nothing can come in its place, since no fault finds
 * the region. A round has a bound, so that not much memory waits at a time.
 *
 * Tables that have become empty wait in the batch for the next flush, the round's after this or the last.
 *
 * A region that is no longer than a hold waits nowhere: it is unmapped at once, and flushed before the lock
 * is let go: so with one flush, also where its table goes along. At the end of a space no CPU has to be told,
 * and pages go in one step.
 */
#include "share/family.h"

/* Makes a page's frame nobody's, as far as it can be told before the reference is dropped. False where there
 * is no frame to be dropped: the zero page, and what a device region shows. */
static inline bool forget_frame(struct vm_space *space, const struct vm_region *region, uint64_t base,
                                page_table_entry_t entry, phys_addr_t frame)
{
    if (!vm_region_has_frames(region) || frame.raw == space->manager->zero_frame.raw) {
        return false;
    }
    if (region->shared && entry.raw & PAGE_ENTRY_DIRTY && region->pager->dirty) {
        region->pager->dirty(region->pager, base - region->base + region->offset, frame);
    }
    if (region->source == VM_FRAMES) {
        vm_given_remove(space, frame);
    }
    return true;
}

/* ---- At once ---- */

/* What page_table_unmap() hands to drop_page(), and that to drop_leaf(). */
struct dropping {
    struct vm_space *space;
    const struct vm_region *region;
    struct tlb_batch *batch;
};

/* Drops what a leaf, inaccessible or not, shows. */
static void drop_leaf(void *context, virt_addr_t base, page_table_entry_t entry, enum page_level level)
{
    const struct dropping *dropping = context;
    struct vm_space *space = dropping->space;
    phys_addr_t frame = page_entry_leaf_address(entry, level);
    if (forget_frame(space, dropping->region, base.raw, entry, frame)) {
        space->resident -= page_level_bytes(level) / FRAME_BYTES;
        tlb_batch_put(dropping->batch, frame, level == PAGE_LEVEL_2M ? FRAME_ORDER_2M : 0);
    }
}

static void drop_page(void *context, virt_addr_t base, page_table_entry_t entry, enum page_level level)
{
    const struct page_translation page = {.leaf = entry, .level = level};
    switch (page_entry_kind(entry, level)) {
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
        drop_leaf(context, base, entry, level);
        return;
    case ENTRY_SWAPPED: /* nobody is there to take the slot */
    case ENTRY_ABSENT:  /* of these unmapping tells nobody */
    case ENTRY_TABLE:
    case ENTRY_HELD:
        break;
    }
    vm_entry_is_foreign(&page, base.raw);
}

/* Whether the pager is told of pages that were written to. It is when nobody writes any more, also through
 * translations that say "dirty already": so the dirty bits are the last, and what it then reads is all that
 * was written. */
static bool tells_pager(const struct vm_region *region)
{
    return region->shared && region->pager->dirty;
}

static void end_writing(struct vm_space *space, const struct vm_region *region, uint64_t base, uint64_t end,
                        struct tlb_batch *batch) REQUIRES(space->lock)
{
    unsigned access = vm_page_access(space, region) & ~(unsigned)PAGE_WRITE;
    enum page_table_error error =
        page_table_protect(space->table, virt_addr(base), end - base, access, CACHE_WRITE_BACK, batch);
    ASSERT(error == PAGE_TABLE_OK); /* no page is cut */
    tlb_batch_finish(batch);
}

/* Unmaps the pages of [base, end), what there is time for in one hold. */
static void drop_pages(struct vm_space *space, const struct vm_region *region, uint64_t base, uint64_t end,
                       struct tlb_batch *batch) REQUIRES(space->lock)
{
    struct dropping dropping = {space, region, batch};
    if (tells_pager(region)) {
        end_writing(space, region, base, end, batch);
    }
    enum page_table_error error =
        page_table_unmap(space->table, virt_addr(base), end - base, batch, drop_page, &dropping);
    ASSERT(error == PAGE_TABLE_OK); /* no page is cut, so no table is needed */
}

static void drop_at_once(struct vm_space *space, struct vm_hold *hold, const struct vm_region *region)
    REQUIRES(space->change, space->lock)
{
    struct page_translation page;
    for (uint64_t at = region->base, next; at < vm_region_end(region); at = next) {
        vm_hold_renew(hold);
        next = vm_hold_step(hold, space->table, at, vm_region_end(region), &page);
        if (hold->slots || page.mapped) {
            drop_pages(space, region, at, next, hold->batch);
        }
    }
}

/* ---- In rounds ---- */

static unsigned pages_of(uint64_t base, uint64_t end)
{
    return (unsigned)((end - base) >> FRAME_SHIFT);
}

/* Hides the large page at `base`. */
static void hide_large(struct vm_space *space, const struct vm_region *region, uint64_t base,
                       struct tlb_batch *batch) REQUIRES(space->lock)
{
    enum page_table_error error = page_table_protect(space->table, virt_addr(base), MIB(2), PAGE_INACCESSIBLE,
                                                     (enum page_cache)region->cache, batch);
    ASSERT(error == PAGE_TABLE_OK); /* no page is cut */
}

/* Hides the pages from `base` on, as many as a round has; returns the end of them. */
static uint64_t hide_round(struct vm_space *space, struct vm_hold *hold, const struct vm_region *region,
                           uint64_t base) REQUIRES(space->change, space->lock)
{
    struct page_translation page;
    uint64_t at = base;
    for (unsigned pauses = 0; at < vm_region_end(region) && (hold->left != 0 || pauses < VM_ROUND_PAUSES);) {
        pauses += vm_hold_renew(hold);
        uint64_t next = vm_hold_step(hold, space->table, at, vm_region_end(region), &page);
        if (hold->slots) {
            page_table_hide(space->table, hold->slots, virt_addr(at), pages_of(at, next), hold->batch);
        } else if (page.mapped) {
            hide_large(space, region, at, hold->batch);
        }
        at = next;
    }
    return at;
}

/* Drops the reference of a page that no CPU can use any more. The order is a constant. */
static inline __attribute__((always_inline)) void put_frame(struct frame_pool *frames, phys_addr_t frame,
                                                            unsigned order)
{
    struct frame_descriptor *descriptor = frame_descriptor(frames, frame);
    if (frame_unshare(descriptor)) {
        return;
    }
    uint32_t tag = atomic_load_explicit(&descriptor->tag, memory_order_acquire);
    if (frame_tag_references(tag) == 1) {
        frame_free(frames, frame, order);
    } else {
        frame_put(frames, frame);
    }
}

/* Lets the frames of hidden pages go, which lie in one table, and clears their entries. */
static void clear_pages(struct vm_space *space, const struct vm_region *region, page_table_entry_t *slots,
                        uint64_t base, unsigned count, struct tlb_batch *batch) REQUIRES(space->lock)
{
    const struct tlb_range whole = {virt_addr(region->base), region->bytes, PAGE_LEVEL_4K};
    struct frame_pool *frames = space->manager->config.frames;
    uint64_t dropped = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t at = base + ((uint64_t)i << FRAME_SHIFT);
        page_table_entry_t entry = slots[i];
        phys_addr_t frame = page_entry_leaf_address(entry, PAGE_LEVEL_4K);
        if (page_entry_is_hole(entry)) {
            continue;
        }
        if (page_entry_kind(entry, PAGE_LEVEL_4K) != ENTRY_INACCESSIBLE) {
            const struct page_translation page = {.leaf = entry, .level = PAGE_LEVEL_4K};
            vm_entry_is_foreign(&page, at); /* swapped ones too: nobody is there to take the slot */
        }
        if (forget_frame(space, region, at, entry, frame)) {
            dropped++;
            put_frame(frames, frame, 0);
        }
    }
    space->resident -= dropped;
    page_table_clear(space->table, slots, virt_addr(base), count, &whole, batch);
}

/* The same for a hidden page of 2 MiB. A table that becomes empty spans more than that, and perhaps what is
 * somebody else's: so the way to it is flushed at once. */
static void clear_large(struct vm_space *space, const struct vm_region *region, uint64_t base,
                        page_table_entry_t entry, struct tlb_batch *batch) REQUIRES(space->lock)
{
    page_table_entry_t old;
    phys_addr_t frame = page_entry_leaf_address(entry, PAGE_LEVEL_2M);
    if (forget_frame(space, region, base, entry, frame)) {
        space->resident -= MIB(2) / FRAME_BYTES;
        put_frame(space->manager->config.frames, frame, FRAME_ORDER_2M);
    }
    uint64_t tables = space->table->table_frames;
    enum page_table_error error =
        page_table_set(space->table, virt_addr(base), (page_table_entry_t){0}, PAGE_LEVEL_2M, &old, batch);
    ASSERT(error == PAGE_TABLE_OK); /* it is there */
    if (space->table->table_frames != tables) {
        tlb_batch_finish(batch);
    }
}

static void clear_round(struct vm_space *space, struct vm_hold *hold, const struct vm_region *region,
                        uint64_t base, uint64_t end) REQUIRES(space->change, space->lock)
{
    struct page_translation page;
    for (uint64_t at = base, next; at < end; at = next) {
        vm_hold_renew(hold);
        next = vm_hold_step(hold, space->table, at, end, &page);
        if (hold->slots) {
            clear_pages(space, region, hold->slots, at, pages_of(at, next), hold->batch);
        } else if (page.mapped) {
            clear_large(space, region, at, page.leaf, hold->batch);
        }
    }
}

static void drop_in_rounds(struct vm_space *space, struct vm_hold *hold, struct vm_region *region)
    REQUIRES(space->change, space->lock)
{
    vm_region_set_access(region, VM_NONE, region->access);
    hold->defers = true;
    for (uint64_t at = region->base, next; at < vm_region_end(region); at = next) {
        next = hide_round(space, hold, region, at);
        tlb_batch_finish(hold->batch);
        clear_round(space, hold, region, at, next);
    }
    hold->defers = false;
}

/* ---- At the end of a space ---- */

/* Lets go of what entries showed that nobody can reach any more. */
static void let_go(struct vm_space *space, const struct vm_region *region, uint64_t base,
                   const page_table_entry_t *taken, unsigned count) REQUIRES(space->lock)
{
    struct frame_pool *frames = space->manager->config.frames;
    const uint64_t zero_frame = space->manager->zero_frame.raw;
    const bool is_private = vm_region_is_private(region); /* then nobody else is to be told */
    uint64_t dropped = 0;
    for (unsigned i = 0; i < count; i++) {
        page_table_entry_t entry = taken[i];
        if (page_entry_is_hole(entry)) {
            continue;
        }
        if (!page_entry_present(entry) && page_entry_kind(entry, PAGE_LEVEL_4K) != ENTRY_INACCESSIBLE) {
            const struct page_translation page = {.leaf = entry, .level = PAGE_LEVEL_4K};
            vm_entry_is_foreign(&page, base); /* swapped ones too: nobody is there to take the slot */
        }
        phys_addr_t frame = phys_addr(entry.raw & PAGE_ENTRY_ADDRESS);
        uint64_t at = base + ((uint64_t)i << FRAME_SHIFT);
        if (is_private ? frame.raw != zero_frame : forget_frame(space, region, at, entry, frame)) {
            dropped++;
            put_frame(frames, frame, 0);
        }
    }
    space->resident -= dropped;
}

/* No CPU has the space loaded, and none will: each entry is visited once. Tables that have become empty wait
 * for no longer than a hold, so that freeing them is bounded, too. */
static void drop_at_end(struct vm_space *space, struct vm_hold *hold, const struct vm_region *region)
    REQUIRES(space->change, space->lock)
{
    struct page_translation page;
    page_table_entry_t taken[VM_HOLD_PAGES];
    for (uint64_t at = region->base, next; at < vm_region_end(region); at = next) {
        vm_hold_renew(hold);
        next = vm_hold_step(hold, space->table, at, vm_region_end(region), &page);
        if (hold->slots) {
            unsigned count = pages_of(at, next);
            page_table_take(space->table, hold->slots, virt_addr(at), count, taken, hold->batch);
            let_go(space, region, at, taken, count);
        } else if (page.mapped) {
            clear_large(space, region, at, page.leaf, hold->batch);
        }
    }
}

void vm_pages_drop(struct vm_space *space, struct vm_hold *hold, struct vm_region *region)
{
    if (region->source == VM_NOTHING) {
        return;
    }
    if (hold->ends) {
        drop_at_end(space, hold, region);
    } else if (region->bytes <= VM_HOLD_PAGES * FRAME_BYTES) {
        drop_at_once(space, hold, region);
    } else {
        drop_in_rounds(space, hold, region);
    }
}

/* ---- In regions that stay ---- */

/* Whether a page shows a frame that the space has not filled itself. */
static bool is_given(const struct vm_space *space, page_table_entry_t entry)
{
    phys_addr_t frame = page_entry_leaf_address(entry, PAGE_LEVEL_4K);
    enum page_entry_kind kind = page_entry_kind(entry, PAGE_LEVEL_4K);
    return (kind == ENTRY_LEAF || kind == ENTRY_INACCESSIBLE) &&
           frame_descriptor_owner(frame_descriptor(space->manager->config.frames, frame)) != space->owner;
}

/* Which of the pages of [base, end), a step of small ones, show a frame that somebody else gave: a bit each.
 */
static uint64_t given_pages(const struct vm_space *space, uint64_t base, uint64_t end)
{
    uint64_t given = 0;
    const page_table_entry_t *slots = page_table_slot(space->table, virt_addr(base));
    for (unsigned i = 0; i < pages_of(base, end); i++) {
        given |= (uint64_t)is_given(space, slots[i]) << i;
    }
    return given;
}

_Static_assert(VM_HOLD_PAGES <= 64, "the pages of one step are a word of bits");

/* Empties those that have a bit; the last of them may take their table along. */
static void empty_some(struct vm_space *space, const struct vm_region *region, uint64_t base, uint64_t pages,
                       struct tlb_batch *batch) REQUIRES(space->lock)
{
    page_table_entry_t taken[VM_HOLD_PAGES] = {{0}};
    for (uint64_t left = pages; left != 0; left &= left - 1) {
        unsigned i = (unsigned)__builtin_ctzll(left);
        virt_addr_t at = virt_addr(base + ((uint64_t)i << FRAME_SHIFT));
        page_table_take(space->table, page_table_slot(space->table, at), at, 1, &taken[i], batch);
    }
    if (pages != 0) {
        tlb_batch_finish(batch);
    }
    let_go(space, region, base, taken, VM_HOLD_PAGES);
}

/* Empties a step of small pages. Their frames go when nobody can reach them any more, and before anybody can
 * fill the holes. */
static void empty_small(struct vm_space *space, const struct vm_region *region, page_table_entry_t *slots,
                        uint64_t base, uint64_t end, struct tlb_batch *batch) REQUIRES(space->lock)
{
    page_table_entry_t taken[VM_HOLD_PAGES];
    unsigned count = pages_of(base, end);
    page_table_take(space->table, slots, virt_addr(base), count, taken, batch);
    if (!tlb_batch_is_empty(batch)) {
        tlb_batch_finish(batch);
    }
    let_go(space, region, base, taken, count);
}

/* The same for a large page. */
static void empty_large(struct vm_space *space, const struct vm_region *region, uint64_t base,
                        struct tlb_batch *batch) REQUIRES(space->lock)
{
    hide_large(space, region, base, batch);
    tlb_batch_finish(batch);
    clear_large(space, region, base, vm_page_at(space->table, base).leaf, batch);
}

void vm_pages_empty(struct vm_space *space, struct vm_hold *hold, const struct vm_region *region,
                    uint64_t base, uint64_t end, bool copies)
{
    struct page_translation page;
    bool all = copies || !vm_region_is_private(region);
    for (uint64_t at = base, next; at < end; at = next) {
        vm_hold_renew(hold);
        next = vm_hold_step(hold, space->table, at, end, &page);
        if (hold->slots && all) {
            empty_small(space, region, hold->slots, at, next, hold->batch);
        } else if (hold->slots) {
            empty_some(space, region, at, given_pages(space, at, next), hold->batch);
        } else if (page.mapped && next - at == MIB(2)) {
            empty_large(space, region, at, hold->batch);
        }
    }
}
