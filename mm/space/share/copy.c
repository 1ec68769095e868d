/*
 * Copies that copy nothing yet: regions and pages of one range shown again elsewhere.
 *
 * Private pages are shared read-only; whoever writes first gets a copy, the last one writes in place. All
 * that can fail (references, records, tables) happens before the originals lose their write access, so a
 * failure has changed nothing there.
 *
 * Two spaces are locked at once here, and each lock goes by several names: the functions that clang's
 * analysis cannot follow for that are marked.
 */
#include "mm/space/internal.h"

/* One range on its way into another. */
struct copying {
    struct vm_space *from; /* locked */
    struct vm_space *to;   /* locked; may be the same */
    uint64_t distance;     /* address in `to` minus address in `from` */
};

/* ---- Pages ---- */

/* Gives large pages of the range small ones, since sharing goes frame by frame. */
static enum vm_error cut_large(struct vm_space *space, struct vm_region *region, uint64_t base, uint64_t end,
                               struct tlb_batch *batch) REQUIRES(space->lock)
{
    struct page_translation page;
    if (!region->large || region->source == VM_DEVICE) {
        return VM_OK;
    }
    for (uint64_t at = base; vm_next_page(space->table, &at, end, &page);
         at += page_level_bytes(page.level)) {
        enum vm_error error = vm_page_cut(space, region, at + FRAME_BYTES, batch);
        if (page.level == PAGE_LEVEL_2M && error != VM_OK) {
            return error;
        }
    }
    return VM_OK;
}

static enum vm_error share_leaf(const struct copying *copying, const struct vm_region *region,
                                uint64_t address, const struct page_translation *page)
    REQUIRES(copying->to->lock)
{
    struct vm_space *to = copying->to;
    struct frame_pool *frames = to->manager->config.frames;
    phys_addr_t frame = vm_page_frame(page);
    uint64_t target = address + copying->distance;
    struct tlb_batch nothing; /* a hole is filled */
    page_table_entry_t old;
    if (frame_try_get(frames, frame) != FRAME_OK) {
        return VM_BAD_FRAME;
    }
    if (!vm_reverse_add(to, frame, target)) {
        frame_put(frames, frame);
        return VM_NO_MEMORY;
    }
    page_table_entry_t leaf =
        page_entry_leaf(frame, PAGE_LEVEL_4K, vm_page_access_shared(to, region), CACHE_WRITE_BACK);
    tlb_batch_start(&nothing, to->table);
    if (page_table_set(to->table, virt_addr(target), leaf, PAGE_LEVEL_4K, &old, &nothing) != PAGE_TABLE_OK) {
        vm_reverse_remove(to, frame, target);
        frame_put(frames, frame);
        return VM_NO_MEMORY;
    }
    tlb_batch_finish(&nothing);
    to->resident++;
    return VM_OK;
}

static enum vm_error share_page(const struct copying *copying, const struct vm_region *region,
                                uint64_t address, const struct page_translation *page)
    REQUIRES(copying->to->lock)
{
    switch (page_entry_kind(page->leaf, PAGE_LEVEL_4K)) { /* larger ones have been cut */
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
        return share_leaf(copying, region, address, page);
    case ENTRY_SWAPPED: /* nobody is there to count another user of the slot */
    case ENTRY_HELD:
    case ENTRY_ABSENT: /* not found by vm_next_page() */
    case ENTRY_TABLE:
        break;
    }
    vm_entry_is_foreign(page, address);
}

/* Shares the pages of `region` in [base, end) that have frames. */
static enum vm_error share_pages(const struct copying *copying, const struct vm_region *region, uint64_t base,
                                 uint64_t end) REQUIRES(copying->to->lock)
{
    phys_addr_t zero = copying->to->manager->zero_frame;
    struct page_translation page;
    if (!vm_region_has_frames(region)) {
        return VM_OK;
    }
    for (uint64_t at = base; vm_next_page(copying->from->table, &at, end, &page); at += FRAME_BYTES) {
        if (vm_page_frame(&page).raw == zero.raw) {
            continue; /* a hole reads the same */
        }
        enum vm_error error = share_page(copying, region, at, &page);
        if (error != VM_OK) {
            return error;
        }
    }
    return VM_OK;
}

/* ---- Regions ---- */

/* Makes the copy's region for the part of `region` in [base, end). */
static enum vm_error copy_region(const struct copying *copying, const struct vm_region *region, uint64_t base,
                                 uint64_t end) REQUIRES(copying->to->lock)
{
    struct vm_region *copy = slab_cache_alloc(&copying->to->manager->regions);
    if (!copy) {
        return VM_NO_MEMORY;
    }
    *copy = *region;
    copy->base = base + copying->distance;
    copy->bytes = end - base;
    /* In a space of its own a guard stays; elsewhere it might lie in somebody's way. */
    copy->guard = copying->distance == 0 && base == region->base ? region->guard : 0;
    copy->offset += copy->offset || copy->pager || copy->source == VM_DEVICE ? base - region->base : 0;
    if (!vm_device_claim(copying->to, copy, copy->base, copy->bytes, copy->access)) {
        slab_cache_free(&copying->to->manager->regions, copy);
        return VM_CONFLICT;
    }
    if (copy->pager) {
        vm_pager_get(copy->pager);
    }
    vm_tree_insert(copying->to, copy);
    return VM_OK;
}

/* Copies what there is in [base, end), region by region. */
static enum vm_error copy_regions(const struct copying *copying, uint64_t base, uint64_t end,
                                  struct tlb_batch *batch) REQUIRES(copying->from->lock, copying->to->lock)
{
    enum vm_error error = VM_OK;
    struct vm_region *region = vm_region_above(copying->from, base);
    while (error == VM_OK && region && region->base < end) {
        struct vm_region *next = region->next; /* a copy in the same space may come between */
        uint64_t first = max_u64(region->base, base);
        uint64_t last = min_u64(vm_region_end(region), end);
        error = cut_large(copying->from, region, first, last, batch);
        if (error == VM_OK) {
            error = copy_region(copying, region, first, last);
        }
        if (error == VM_OK) {
            error = share_pages(copying, region, first, last);
        }
        region = next;
    }
    return error;
}

/* Takes write access from the private pages that are shared now. */
static void close_pages(struct vm_space *space, uint64_t base, uint64_t end, struct tlb_batch *batch)
    REQUIRES(space->lock)
{
    struct vm_region *region = vm_region_above(space, base);
    for (; region && region->base < end; region = region->next) {
        uint64_t first = max_u64(region->base, base);
        uint64_t last = min_u64(vm_region_end(region), end);
        if (!vm_region_is_private(region) || !(region->access & VM_WRITE)) {
            continue;
        }
        enum page_table_error error =
            page_table_protect(space->table, virt_addr(first), last - first,
                               vm_page_access_shared(space, region), CACHE_WRITE_BACK, batch);
        ASSERT(error == PAGE_TABLE_OK); /* no large page is left to be cut */
    }
}

/* ---- Two spaces ---- */

/* Takes two locks by ascending number, or the one if they are the same. */
static void lock_both(struct vm_space *a, struct vm_space *b) NO_LOCK_ANALYSIS
{
    struct vm_space *first = a->number < b->number ? a : b;
    spinlock_acquire(&first->lock);
    if (a != b) {
        spinlock_acquire(first == a ? &b->lock : &a->lock);
    }
}

static void release_both(struct vm_space *a, struct vm_space *b) NO_LOCK_ANALYSIS
{
    spinlock_release(&a->lock);
    if (a != b) {
        spinlock_release(&b->lock);
    }
}

/* ---- A whole space ---- */

static enum vm_error copy_all(struct vm_space *space, struct vm_space *child) NO_LOCK_ANALYSIS
{
    struct copying copying = {space, child, 0};
    struct tlb_batch batch;
    lock_both(space, child);
    tlb_batch_start(&batch, space->table);
    enum vm_error error = copy_regions(&copying, space->base, space->end, &batch);
    if (error == VM_OK) {
        close_pages(space, space->base, space->end, &batch);
    }
    tlb_batch_finish(&batch);
    release_both(space, child);
    return error;
}

enum vm_error vm_space_clone(struct vm_space *space, struct vm_space *child, const char *name)
{
    struct vm_space_config config = {
        .name = name,
        .base = virt_addr(space->base),
        .bytes = space->end - space->base,
        .owner = space->owner,
        .kernel = space->own.kernel,
    };
    if (!space->user) {
        return VM_BAD_RANGE;
    }
    enum vm_error error = vm_space_create(child, space->manager, &config);
    if (error != VM_OK) {
        return error;
    }
    error = copy_all(space, child);
    if (error != VM_OK) {
        vm_space_destroy(child);
    }
    return error;
}

/* ---- A range ---- */

static enum vm_error copy_range(const struct copying *copying, uint64_t base, uint64_t bytes,
                                struct vm_work *work) NO_LOCK_ANALYSIS
{
    struct vm_space *to = copying->to;
    uint64_t target = base + copying->distance;
    struct tlb_batch batch;
    if (!vm_range_is_covered(copying->from, base, bytes)) {
        return VM_NOT_MAPPED;
    }
    if (vm_range_is_taken(to, target, bytes)) {
        return VM_OVERLAP;
    }
    tlb_batch_start(&batch, copying->from->table);
    enum vm_error error = copy_regions(copying, base, base + bytes, &batch);
    if (error == VM_OK) {
        close_pages(copying->from, base, base + bytes, &batch);
    } else {
        vm_range_remove(to, work, target, target + bytes);
    }
    tlb_batch_finish(&batch);
    return error;
}

static enum vm_error check_copy(struct vm_space *space, virt_addr_t address, struct vm_space *from,
                                virt_addr_t source, uint64_t bytes)
{
    enum vm_error error = vm_range_check(space, address.raw, bytes);
    if (error == VM_OK) {
        error = vm_range_check(from, source.raw, bytes);
    }
    /* Two kinds of space have different owners and access: what one may, the other may not. */
    return error == VM_OK && (space->manager != from->manager || space->user != from->user) ? VM_BAD_SOURCE
                                                                                            : error;
}

enum vm_error vm_space_copy(struct vm_space *space, virt_addr_t address, struct vm_space *from,
                            virt_addr_t source, uint64_t bytes) NO_LOCK_ANALYSIS
{
    struct copying copying = {from, space, address.raw - source.raw};
    struct vm_work work = {.dead = NULL};
    enum vm_error error = check_copy(space, address, from, source, bytes);
    if (error != VM_OK) {
        return error;
    }
    lock_both(space, from);
    tlb_batch_start(&work.batch, space->table);
    error = copy_range(&copying, source.raw, bytes, &work);
    tlb_batch_finish(&work.batch);
    release_both(space, from);
    vm_work_free(space, &work);
    return error;
}
