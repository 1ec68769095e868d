/*
 * The pages of regions: what the page tables hold for them, and what goes when they go.
 *
 * Behind a page of a private region lies either the zero page, which nobody counts, or a frame with a
 * reference for each page that shows it. A private page is writable only where the frame has no other
 * reference; so its first write after having been shared is a fault, which decides between writing in place
 * and copying.
 *
 * Where a region allows nothing, its pages are inaccessible: the tables keep them, and the CPU does not find
 * them, whoever asks, so that the kernel cannot read either what its program has inaccessible to itself.
 */
#include "share/family.h"

unsigned vm_page_access_for(const struct vm_space *space, unsigned access)
{
    if (access == VM_NONE) {
        return PAGE_INACCESSIBLE;
    }
    unsigned page = access & VM_WRITE ? PAGE_WRITE : PAGE_READ;
    page |= access & VM_EXECUTE ? PAGE_EXECUTE : PAGE_READ;
    return page | (space->user ? PAGE_USER : PAGE_GLOBAL);
}

unsigned vm_page_access(const struct vm_space *space, const struct vm_region *region)
{
    return vm_page_access_for(space, region->access);
}

unsigned vm_page_access_shared(const struct vm_space *space, const struct vm_region *region)
{
    unsigned access = vm_page_access(space, region);
    return vm_region_is_private(region) ? access & ~(unsigned)PAGE_WRITE : access;
}

/* ---- Cutting a 2 MiB page ---- */

bool vm_block_is_cuttable(const struct vm_space *space, phys_addr_t block)
{
    const struct frame_descriptor *descriptor = frame_descriptor(space->manager->config.frames, block);
    uint64_t both = atomic_load_explicit(&descriptor->both, memory_order_acquire);
    return frame_tag_references((uint32_t)both) == 1 && !frame_use_busy((uint32_t)(both >> 32));
}

/* Each frame of the block now is one by itself: so is its place in the reverse map. */
static void split_block(struct vm_space *space, phys_addr_t block, uint64_t base)
{
    enum frame_error error = frame_split(space->manager->config.frames, block);
    ASSERT(error == FRAME_OK); /* it may be cut, and its descriptors are backed */
    for (uint64_t at = 0; at < MIB(2); at += FRAME_BYTES) {
        vm_reverse_set(space, phys_add(block, at), base + at);
    }
}

enum vm_error vm_page_cut(struct vm_space *space, struct vm_region *region, uint64_t address,
                          struct tlb_batch *batch)
{
    if (is_aligned(address, MIB(2)) || !region->large) {
        return VM_OK;
    }
    struct page_translation page = vm_page_at(space->table, address);
    if (!page.mapped || page.level != PAGE_LEVEL_2M) {
        return VM_OK;
    }
    struct frame_pool *frames = space->manager->config.frames;
    bool has_frames = vm_region_has_frames(region);
    if (has_frames && !vm_block_is_cuttable(space, vm_page_frame(&page))) {
        return VM_BUSY;
    }
    if (has_frames && frame_pool_back(frames, vm_page_frame(&page), MIB(2)) != FRAME_OK) {
        return VM_NO_MEMORY;
    }
    if (page_table_split(space->table, virt_addr(address), batch) != PAGE_TABLE_OK) {
        return VM_NO_MEMORY;
    }
    if (has_frames) {
        split_block(space, vm_page_frame(&page), align_down(address, MIB(2)));
    }
    return VM_OK;
}

/* ---- Dropping ---- */

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
    const struct vm_region *region = dropping->region;
    struct vm_space *space = dropping->space;
    phys_addr_t frame = page_entry_leaf_address(entry, level);
    if (!vm_region_has_frames(region) || frame.raw == space->manager->zero_frame.raw) {
        return;
    }
    if (region->shared && entry.raw & PAGE_ENTRY_DIRTY && region->pager->dirty) {
        region->pager->dirty(region->pager, base.raw - region->base + region->offset, frame);
    }
    if (region->source == VM_FRAMES) {
        vm_given_remove(space, frame);
    }
    space->resident -= page_level_bytes(level) / FRAME_BYTES;
    tlb_batch_put(dropping->batch, frame, level == PAGE_LEVEL_2M ? FRAME_ORDER_2M : 0);
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

/* Ends all writing to the pages, also through translations that say "dirty already": so the dirty bits that
 * drop_page() finds are the last, and what a pager then reads is all that was written. */
static void end_writing(struct vm_space *space, const struct vm_region *region, uint64_t base, uint64_t end,
                        struct tlb_batch *batch) REQUIRES(space->lock)
{
    unsigned access = vm_page_access(space, region) & ~(unsigned)PAGE_WRITE;
    enum page_table_error error =
        page_table_protect(space->table, virt_addr(base), end - base, access, CACHE_WRITE_BACK, batch);
    ASSERT(error == PAGE_TABLE_OK); /* no page is cut */
    tlb_batch_finish(batch);
}

/* Unmaps the pages of [base, end), a step. */
static void drop_pages(struct vm_space *space, const struct vm_region *region, uint64_t base, uint64_t end,
                       struct tlb_batch *batch) REQUIRES(space->lock)
{
    struct dropping dropping = {space, region, batch};
    if (region->shared && region->pager->dirty) {
        end_writing(space, region, base, end, batch);
    }
    enum page_table_error error =
        page_table_unmap(space->table, virt_addr(base), end - base, batch, drop_page, &dropping);
    ASSERT(error == PAGE_TABLE_OK); /* no page is cut, so no table is needed */
}

void vm_pages_drop(struct vm_space *space, struct vm_hold *hold, const struct vm_region *region)
{
    struct page_translation page;
    if (region->source == VM_NOTHING) {
        return;
    }
    for (uint64_t at = region->base, next; at < vm_region_end(region); at = next) {
        vm_hold_renew(hold);
        next = vm_hold_step(hold, space->table, at, vm_region_end(region), &page);
        if (page.mapped || page.level == PAGE_LEVEL_4K) {
            drop_pages(space, region, at, next, hold->batch);
        }
    }
}
