/*
 * The pages of regions: what the page tables hold for them. How they go is in drop.c.
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
