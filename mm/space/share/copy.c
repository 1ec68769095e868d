/*
 * Copies that copy nothing yet: regions and pages of one range shown again elsewhere.
 *
 * Private pages are shared read-only; whoever writes first gets a copy, the last one writes in place. A page
 * is shared and its original loses the right to be written to in one hold of both locks, at whose end that is
 * flushed: so each page is taken at one moment. A failure leaves originals that fault once more before they
 * are written to, which no program can see.
 *
 * What a device has pinned is not shared but copied at once, so that its user goes on to write to the very
 * frame that the device has. Nobody writes to it while it is copied, but for the device.
 *
 * A region of the copy is on its way in (`moving`) until its last page is there, so that no fault fills what
 * the copy has not come to yet.
 *
 * Two spaces are locked at once here, and each lock goes by several names: the functions that clang's
 * analysis cannot follow for that are marked.
 */
#include "mm/space/internal.h"

/* One range on its way into another. */
struct copying {
    struct vm_space *from; /* being changed, and locked */
    struct vm_space *to;   /* the same; may be the same space */
    uint64_t distance;     /* address in `to` minus address in `from` */
    struct vm_hold hold;   /* of both locks */
};

/* ---- Pages ---- */

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

/* Gives the copy a frame of its own with the contents of `original`. */
static enum vm_error copy_leaf(const struct copying *copying, const struct vm_region *region,
                               uint64_t address, phys_addr_t original) REQUIRES(copying->to->lock)
{
    struct vm_space *to = copying->to;
    struct frame_pool *frames = to->manager->config.frames;
    uint64_t target = address + copying->distance;
    struct tlb_batch nothing; /* a hole is filled */
    page_table_entry_t old;
    phys_addr_t frame = frame_alloc(frames, 0, to->owner);
    if (frame.raw == 0) {
        return VM_NO_MEMORY;
    }
    memcpy(frame_pointer(frames, frame), frame_pointer(frames, original), FRAME_BYTES);
    page_table_entry_t leaf =
        page_entry_leaf(frame, PAGE_LEVEL_4K, vm_page_access_shared(to, region), CACHE_WRITE_BACK);
    tlb_batch_start(&nothing, to->table);
    if (page_table_set(to->table, virt_addr(target), leaf, PAGE_LEVEL_4K, &old, &nothing) != PAGE_TABLE_OK) {
        frame_free(frames, frame, 0);
        return VM_NO_MEMORY;
    }
    tlb_batch_finish(&nothing);
    vm_reverse_set(to, frame, target);
    to->resident++;
    return VM_OK;
}

/* Whether a device has pinned the private page that shows the frame. */
static bool is_pinned(const struct copying *copying, const struct vm_region *region, phys_addr_t frame)
{
    return vm_region_is_private(region) && vm_pins(copying->from, frame) != 0;
}

/* Takes write access from the pages of [base, end), which are shared now or copied next. */
static void close_pages(const struct copying *copying, const struct vm_region *region, uint64_t base,
                        uint64_t end) REQUIRES(copying->from->lock)
{
    struct vm_space *from = copying->from;
    if (vm_region_is_private(region) && region->access & VM_WRITE) {
        enum page_table_error error =
            page_table_protect(from->table, virt_addr(base), end - base, vm_page_access_shared(from, region),
                               CACHE_WRITE_BACK, copying->hold.batch);
        ASSERT(error == PAGE_TABLE_OK); /* no page is cut */
    }
}

/* Shares the frame of the page at `base`, or copies it: what follows of the step, below `end`, is closed
 * then, if it was open. */
static enum vm_error take_leaf(const struct copying *copying, const struct vm_region *region, uint64_t base,
                               uint64_t end, const struct page_translation *page)
    REQUIRES(copying->from->lock, copying->to->lock)
{
    phys_addr_t frame = vm_page_frame(page);
    if (frame.raw == copying->to->manager->zero_frame.raw) {
        return VM_OK;
    }
    if (!is_pinned(copying, region, frame)) {
        return share_leaf(copying, region, base, page);
    }
    if (page->access & PAGE_WRITE) {
        close_pages(copying, region, base, end);
        tlb_batch_finish(copying->hold.batch);
    }
    return copy_leaf(copying, region, base, frame);
}

/* Takes what lies at the page at `base`, of a step that ends at `end`: a hole, or the zero page, reads the
 * same as a hole of the copy. */
static enum vm_error take_page(const struct copying *copying, const struct vm_region *region, uint64_t base,
                               uint64_t end, const struct page_translation *page)
    REQUIRES(copying->from->lock, copying->to->lock)
{
    switch (page_entry_kind(page->leaf, PAGE_LEVEL_4K)) { /* larger ones have been cut */
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
        return take_leaf(copying, region, base, end, page);
    case ENTRY_ABSENT:
        return VM_OK;
    case ENTRY_SWAPPED: /* nobody is there to count another user of the slot */
    case ENTRY_HELD:
    case ENTRY_TABLE:
        break;
    }
    vm_entry_is_foreign(page, base);
}

/* Takes the pages of [base, end), a step in one table, that have frames. */
static enum vm_error take_pages(const struct copying *copying, const struct vm_region *region, uint64_t base,
                                uint64_t end) REQUIRES(copying->from->lock, copying->to->lock)
{
    enum vm_error error = VM_OK;
    for (uint64_t at = base; error == VM_OK && at < end; at += FRAME_BYTES) {
        struct page_translation page = vm_page_at(copying->from->table, at);
        error = take_page(copying, region, at, end, &page);
    }
    return error;
}

/* Copies the part [base, end) of a 2 MiB page that cannot be cut, since a device has pinned its block. */
static enum vm_error copy_large(const struct copying *copying, const struct vm_region *region, uint64_t base,
                                uint64_t end, phys_addr_t block)
    REQUIRES(copying->from->lock, copying->to->lock)
{
    enum vm_error error = VM_OK;
    uint64_t large = align_down(base, MIB(2));
    close_pages(copying, region, large, large + MIB(2));
    tlb_batch_finish(copying->hold.batch);
    for (uint64_t at = base; error == VM_OK && at < end; at += FRAME_BYTES) {
        error = copy_leaf(copying, region, at, phys_add(block, at - large));
    }
    return error;
}

/* Copies of such a page, from `base` on and below `end`, what there is time for; returns the end of it. */
static uint64_t copy_some(struct copying *copying, const struct vm_region *region, uint64_t base,
                          uint64_t end, phys_addr_t block, enum vm_error *error)
    REQUIRES(copying->from->lock, copying->to->lock)
{
    uint64_t pages = copying->hold.left + 1ULL; /* the large page has been counted as one */
    end = min_u64(end, base + (pages << FRAME_SHIFT));
    copying->hold.left -= (unsigned)(((end - base) >> FRAME_SHIFT) - 1);
    *error = copy_large(copying, region, base, end, block);
    return end;
}

/* Makes small pages of a large one, since sharing goes frame by frame. That is all for this hold. */
static enum vm_error cut_large(struct copying *copying, struct vm_region *region, uint64_t address)
    REQUIRES(copying->from->lock)
{
    copying->hold.left = 0;
    return vm_page_cut(copying->from, region, align_down(address, MIB(2)) + FRAME_BYTES, copying->hold.batch);
}

/* Shares what `region` has in [base, end), or copies it where it is pinned. */
static enum vm_error share_region(struct copying *copying, struct vm_region *region, uint64_t base,
                                  uint64_t end) REQUIRES(copying->from->lock, copying->to->lock)
{
    struct page_translation page;
    enum vm_error error = VM_OK;
    for (uint64_t at = base, next; error == VM_OK && at < end; at = next) {
        vm_hold_renew(&copying->hold);
        next = vm_hold_step(&copying->hold, copying->from->table, at, end, &page);
        if (page.level == PAGE_LEVEL_4K) {
            error = take_pages(copying, region, at, next);
            close_pages(copying, region, at, next); /* also what an error has left shared */
        } else if (page.mapped && !vm_block_is_cuttable(copying->from, vm_page_frame(&page))) {
            next = copy_some(copying, region, at, next, vm_page_frame(&page), &error);
        } else if (page.mapped) {
            error = cut_large(copying, region, at);
            next = at; /* its small pages come next */
        }
    }
    return error;
}

/* ---- Regions ---- */

/* What the copy has for the part of `region` in [base, end); NULL and the reason in *error. */
static struct vm_region *make_region(const struct copying *copying, const struct vm_region *region,
                                     uint64_t base, uint64_t end, enum vm_error *error)
{
    struct vm_region *copy = slab_cache_alloc(&copying->to->manager->regions);
    if (!copy) {
        *error = VM_NO_MEMORY;
        return NULL;
    }
    *copy = *region;
    copy->base = base + copying->distance;
    copy->bytes = end - base;
    /* In a space of its own a guard stays; elsewhere it might lie in somebody's way. */
    copy->guard = copying->distance == 0 && base == region->base ? region->guard : 0;
    copy->offset += copy->offset || copy->pager || copy->source == VM_DEVICE ? base - region->base : 0;
    if (!vm_device_claim(copying->to, copy, copy->base, copy->bytes, copy->access)) {
        slab_cache_free(&copying->to->manager->regions, copy);
        *error = VM_CONFLICT;
        return NULL;
    }
    if (copy->pager) {
        vm_pager_get(copy->pager);
    }
    return copy;
}

static enum vm_error copy_region(struct copying *copying, struct vm_region *region, uint64_t base,
                                 uint64_t end) NO_LOCK_ANALYSIS
{
    enum vm_error error = VM_OK;
    struct vm_region *copy = make_region(copying, region, base, end, &error);
    if (!copy) {
        return error;
    }
    copying->to->moving = copy;
    if (vm_region_has_frames(region)) {
        error = share_region(copying, region, base, end);
    }
    if (error == VM_OK) {
        copying->to->moving = NULL;
        vm_tree_insert(copying->to, copy);
    }
    return error;
}

/* Copies what there is in [base, end), region by region. */
static enum vm_error copy_regions(struct copying *copying, uint64_t base, uint64_t end)
    REQUIRES(copying->from->lock, copying->to->lock)
{
    enum vm_error error = VM_OK;
    struct vm_region *region = vm_region_above(copying->from, base);
    while (error == VM_OK && region && region->base < end) {
        struct vm_region *next = region->next; /* a copy in the same space may come between */
        vm_hold_renew(&copying->hold);
        copying->hold.left--;
        error =
            copy_region(copying, region, max_u64(region->base, base), min_u64(vm_region_end(region), end));
        region = next;
    }
    return error;
}

/* Takes out what a copy that failed has left of [base, end) in `to`. */
static void undo(struct vm_space *to, struct vm_work *work, uint64_t base, uint64_t end) REQUIRES(to->change)
{
    vm_work_lock(to, work);
    if (to->moving) {
        vm_region_abandon(to, work);
    }
    vm_range_remove(to, work, base, end);
    vm_work_unlock(to, work);
}

/* Copies [base, end): all, or nothing. Both spaces are being changed. */
static enum vm_error copy_range(struct copying *copying, struct vm_work *work, uint64_t base,
                                uint64_t end) NO_LOCK_ANALYSIS
{
    struct tlb_batch batch;
    tlb_batch_start(&batch, copying->from->table);
    vm_hold_begin_both(&copying->hold, copying->from, copying->to, &batch);
    enum vm_error error = copy_regions(copying, base, end);
    vm_hold_end(&copying->hold, copying->from);
    if (error != VM_OK) {
        undo(copying->to, work, base + copying->distance, end + copying->distance);
    }
    return error;
}

/* ---- Two spaces ---- */

/* Begins to change two spaces, by ascending number, or the one if they are the same. */
static void begin_both(struct vm_space *a, struct vm_space *b) NO_LOCK_ANALYSIS
{
    struct vm_space *first = a->number < b->number ? a : b;
    mutex_acquire(&first->change);
    if (a != b) {
        mutex_acquire(first == a ? &b->change : &a->change);
    }
}

static void end_both(struct vm_space *a, struct vm_space *b) NO_LOCK_ANALYSIS
{
    mutex_release(&a->change);
    if (a != b) {
        mutex_release(&b->change);
    }
}

/* ---- A whole space ---- */

static enum vm_error copy_all(struct vm_space *space, struct vm_space *child) NO_LOCK_ANALYSIS
{
    struct copying copying = {.from = space, .to = child};
    struct vm_work work;
    vm_work_prepare(child, &work, 0);
    begin_both(space, child);
    enum vm_error error = copy_range(&copying, &work, space->base, space->end);
    end_both(space, child);
    vm_work_free(child, &work);
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

static enum vm_error try_copy(struct copying *copying, struct vm_work *work, uint64_t base,
                              uint64_t bytes) NO_LOCK_ANALYSIS
{
    if (!vm_range_is_covered(copying->from, base, bytes)) {
        return VM_NOT_MAPPED;
    }
    if (vm_range_is_taken(copying->to, base + copying->distance, bytes)) {
        return VM_OVERLAP;
    }
    return copy_range(copying, work, base, base + bytes);
}

enum vm_error vm_space_copy(struct vm_space *space, virt_addr_t address, struct vm_space *from,
                            virt_addr_t source, uint64_t bytes) NO_LOCK_ANALYSIS
{
    struct copying copying = {.from = from, .to = space, .distance = address.raw - source.raw};
    struct vm_work work;
    enum vm_error error = check_copy(space, address, from, source, bytes);
    if (error != VM_OK) {
        return error;
    }
    vm_work_prepare(space, &work, 0);
    begin_both(space, from);
    error = try_copy(&copying, &work, source.raw, bytes);
    end_both(space, from);
    vm_work_free(space, &work);
    return error;
}
