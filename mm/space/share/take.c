/*
 * The pages of copies: frames that are shared, and those that are copied at once.
 *
 * Private pages are shared read-only: in one hold of both locks the copy gets them, and the original loses
 * the right to write to them, which is flushed at the hold's end. A fork has as many pages as its program, so
 * that those which are like most others take a few instructions each: entries are read and written in place,
 * a table's part at a time.
 */
#include "copying.h"

/* A frame of the copy's own with the contents of `original`, for the page at `address`; or none. */
static phys_addr_t copy_frame(const struct copying *copying, uint64_t address, phys_addr_t original)
{
    struct vm_space *to = copying->to;
    struct frame_pool *frames = to->manager->config.frames;
    phys_addr_t frame = frame_alloc(frames, 0, to->owner);
    if (frame.raw != 0) {
        memcpy(frame_pointer(frames, frame), frame_pointer(frames, original), FRAME_BYTES);
        vm_reverse_set(to, frame, address + copying->distance);
    }
    return frame;
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

/* Part of a step: pages that lie in one table of the original, and in one of the copy. Both spaces' locks are
 * held. */
struct part {
    const struct copying *copying;
    const struct vm_region *region; /* of the original */
    page_table_entry_t *slots;      /* the original's entries */
    page_table_entry_t *leaves;     /* the copy's entries, or `made` while there is no table for them */
    uint64_t base;                  /* address of the first page */
    unsigned count;                 /* pages */
    unsigned taken;                 /* how many have a leaf */
    uint64_t bits;                  /* of the copy's entries, but for the frame */
    page_table_entry_t made[VM_HOLD_PAGES];
};

/* Shows a page in the copy, which has a reference to its frame. */
static inline void show(page_table_entry_t *leaf, uint64_t raw)
{
    __atomic_store_n(&leaf->raw, raw, __ATOMIC_RELEASE);
}

/*
 * Copies a page that a device has pinned. What follows of the part is closed before, if it was open, so that
 * nobody writes to it meanwhile. Returns the copy, or none.
 */
static phys_addr_t copy_pinned(const struct part *part, unsigned index, phys_addr_t frame)
{
    const struct copying *copying = part->copying;
    uint64_t address = part->base + ((uint64_t)index << FRAME_SHIFT);
    if (part->slots[index].raw & PAGE_ENTRY_WRITE) {
        page_table_close(copying->from->table, &part->slots[index], virt_addr(address), part->count - index,
                         copying->hold.batch);
        tlb_batch_finish(copying->hold.batch);
    }
    return copy_frame(copying, address, frame);
}

/*
 * Takes a page whose frame cannot be shared the short way: it is pinned, or it belongs to a region of given
 * frames or of shared pages. On an error all before it have been taken.
 */
static enum vm_error take_special(struct part *part, unsigned index, phys_addr_t frame)
{
    const struct vm_space *to = part->copying->to;
    struct frame_pool *frames = to->manager->config.frames;
    enum vm_error error = VM_OK;
    if (vm_region_is_private(part->region) && frame_descriptor_pins(frame_descriptor(frames, frame)) != 0) {
        frame = copy_pinned(part, index, frame);
        error = frame.raw != 0 ? VM_OK : VM_NO_MEMORY;
    } else if (frame_try_get(frames, frame) != FRAME_OK) {
        error = VM_BAD_FRAME;
    } else if (part->region->source == VM_FRAMES) {
        vm_given_add(to, frame); /* it was given already, and is counted as such */
    }
    if (error == VM_OK) {
        show(&part->leaves[index], frame.raw | part->bits);
        part->taken++;
    } else {
        part->count = index;
    }
    return error;
}

/* Adds a reference to the frame of a private page, which is known by its family from then on; false if that
 * is not all there is to do. */
static inline __attribute__((always_inline)) bool share_frame(struct frame_descriptor *descriptor,
                                                              uint64_t code)
{
    bool shared = frame_share(descriptor);
    if (shared && !(frame_note_read(descriptor).raw & VM_CODE_FAMILY)) {
        frame_note_set_page(descriptor, code);
    }
    return shared;
}

/* Whether the page has a frame: the zero page reads the same as a hole. */
static inline bool has_frame(const struct part *part, unsigned index, page_table_entry_t entry,
                             phys_addr_t zero_frame)
{
    switch (page_entry_kind(entry, PAGE_LEVEL_4K)) {
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
        return (entry.raw & PAGE_ENTRY_ADDRESS) != zero_frame.raw;
    case ENTRY_ABSENT:
        return false;
    case ENTRY_SWAPPED: /* nobody is there to count another user of the slot */
    case ENTRY_HELD:
    case ENTRY_TABLE:
        break;
    }
    const struct page_translation page = {.leaf = entry, .level = PAGE_LEVEL_4K};
    vm_entry_is_foreign(&page, part->base + ((uint64_t)index << FRAME_SHIFT));
}

/*
 * Takes the pages of a part of a private region that have frames: shares them, or copies them, and takes
 * write access from each. On an error `count` is the number of those that have been.
 */
static enum vm_error take_private(struct part *part)
{
    const struct vm_region *region = part->region;
    const struct vm_manager *manager = part->copying->to->manager;
    const phys_addr_t zero_frame = manager->zero_frame;
    struct frame_descriptor *const descriptors = frame_descriptor(manager->config.frames, FRAME_NONE);
    page_table_entry_t *const slots = part->slots;
    const uint64_t bits = part->bits;
    const unsigned count = part->count;
    page_table_entry_t *const leaves = part->leaves;
    unsigned shared = 0;
    uint64_t closed = UINT64_MAX; /* what all entries have that lost write access */
    enum vm_error error = VM_OK;
    uint64_t code = vm_family_code(vm_region_family(part->copying->from, region), part->base - region->shift);
    for (unsigned i = 0; i < count; i++, code += VM_CODE_ONE_PAGE) {
        page_table_entry_t entry = {__atomic_load_n(&slots[i].raw, __ATOMIC_RELAXED)};
        if (page_entry_is_hole(entry) || !has_frame(part, i, entry, zero_frame)) {
            continue;
        }
        phys_addr_t frame = phys_addr(entry.raw & PAGE_ENTRY_ADDRESS);
        struct frame_descriptor *descriptor =
            (void *)((uintptr_t)descriptors + frame.raw / FRAME_BYTES * sizeof *descriptor);
        if (share_frame(descriptor, code)) {
            show(&leaves[i], frame.raw | bits);
            shared++;
        } else if ((error = take_special(part, i, frame)) != VM_OK) {
            break;
        }
        if (entry.raw & PAGE_ENTRY_WRITE) { /* the CPU may set accessed and dirty meanwhile */
            __atomic_fetch_and(&slots[i].raw, ~PAGE_ENTRY_WRITE, __ATOMIC_ACQ_REL);
            closed &= entry.raw;
        }
    }
    part->taken += shared;
    if (closed != UINT64_MAX) { /* all are flushed: what is in between is not worth the counting */
        tlb_batch_add(part->copying->hold.batch, virt_addr(part->base), (uint64_t)count << FRAME_SHIFT,
                      PAGE_LEVEL_4K, closed & PAGE_ENTRY_GLOBAL);
    }
    return error;
}

/* The same for a region of given frames or of shared pages. */
static enum vm_error take_shared(struct part *part)
{
    const struct vm_manager *manager = part->copying->to->manager;
    for (unsigned i = 0; i < part->count; i++) {
        page_table_entry_t entry = {__atomic_load_n(&part->slots[i].raw, __ATOMIC_RELAXED)};
        if (has_frame(part, i, entry, manager->zero_frame)) {
            enum vm_error error = take_special(part, i, phys_addr(entry.raw & PAGE_ENTRY_ADDRESS));
            if (error != VM_OK) {
                return error;
            }
        }
    }
    return VM_OK;
}

/* Gives back what was taken, and is shown nowhere. */
static void give_back(const struct part *part)
{
    struct vm_space *to = part->copying->to;
    for (unsigned i = 0; i < part->count; i++) {
        phys_addr_t frame = page_entry_leaf_address(part->made[i], PAGE_LEVEL_4K);
        if (frame.raw == 0) {
            continue;
        }
        if (part->region->source == VM_FRAMES) {
            vm_given_remove(to, frame);
        }
        frame_put(to->manager->config.frames, frame);
    }
}

/* Shows in the copy what was taken while it had no table: the first page makes that. */
static enum vm_error show_made(struct part *part)
{
    struct vm_space *to = part->copying->to;
    uint64_t at = part->base + part->copying->distance;
    struct tlb_batch nothing; /* a hole is filled */
    page_table_entry_t old;
    unsigned first = 0;
    while (page_entry_is_hole(part->made[first])) {
        first++;
    }
    tlb_batch_start(&nothing, to->table);
    if (page_table_set(to->table, virt_addr(at + ((uint64_t)first << FRAME_SHIFT)), part->made[first],
                       PAGE_LEVEL_4K, &old, &nothing) != PAGE_TABLE_OK) {
        return VM_NO_MEMORY;
    }
    tlb_batch_finish(&nothing);
    part->made[first] = (page_table_entry_t){0};
    page_table_fill_some(to->table, page_table_slot(to->table, virt_addr(at)), part->made, part->count);
    to->resident += part->taken;
    return VM_OK;
}

/* Takes the pages of a part, and shows them in the copy. What an error leaves in the copy's table is the
 * copy's, and goes with it. */
static enum vm_error take_part(struct part *part)
{
    struct vm_space *to = part->copying->to;
    page_table_entry_t *slots = page_table_slot(to->table, virt_addr(part->base + part->copying->distance));
    part->leaves = slots ? slots : memset(part->made, 0, part->count * sizeof *part->made);
    part->taken = 0;
    enum vm_error error = vm_region_is_private(part->region) ? take_private(part) : take_shared(part);
    if (slots) {
        page_table_filled(to->table, slots, part->taken);
        to->resident += part->taken;
        return error;
    }
    if (error == VM_OK && part->taken != 0) {
        error = show_made(part);
    }
    if (error != VM_OK) {
        give_back(part);
    }
    return error;
}

/* Takes the pages of [base, end), a step in one table, that have frames. */
static enum vm_error take_pages(const struct copying *copying, const struct vm_region *region, uint64_t base,
                                uint64_t end) REQUIRES(copying->from->lock, copying->to->lock)
{
    unsigned access = vm_page_access_shared(copying->to, region);
    struct part part; /* what is made is written when it is needed */
    enum vm_error error = VM_OK;
    part.copying = copying;
    part.region = region;
    part.bits = page_entry_leaf(FRAME_NONE, PAGE_LEVEL_4K, access, CACHE_WRITE_BACK).raw;
    part.slots = copying->hold.slots;
    for (part.base = base; error == VM_OK && part.base < end;) {
        uint64_t target = part.base + copying->distance;
        uint64_t bytes = min_u64(end - part.base, align_down(target, MIB(2)) + MIB(2) - target);
        unsigned count = (unsigned)(bytes >> FRAME_SHIFT);
        part.count = count;
        error = take_part(&part);
        part.slots += count;
        part.base += bytes;
    }
    return error;
}

/* Gives the copy a page of its own, of what was part of a large one. */
static enum vm_error copy_leaf(const struct copying *copying, const struct vm_region *region,
                               uint64_t address, phys_addr_t original) REQUIRES(copying->to->lock)
{
    struct vm_space *to = copying->to;
    struct tlb_batch nothing; /* a hole is filled */
    page_table_entry_t old;
    phys_addr_t frame = copy_frame(copying, address, original);
    if (frame.raw == 0) {
        return VM_NO_MEMORY;
    }
    page_table_entry_t leaf =
        page_entry_leaf(frame, PAGE_LEVEL_4K, vm_page_access_shared(to, region), CACHE_WRITE_BACK);
    tlb_batch_start(&nothing, to->table);
    if (page_table_set(to->table, virt_addr(address + copying->distance), leaf, PAGE_LEVEL_4K, &old,
                       &nothing) != PAGE_TABLE_OK) {
        frame_free(to->manager->config.frames, frame, 0);
        return VM_NO_MEMORY;
    }
    tlb_batch_finish(&nothing);
    to->resident++;
    return VM_OK;
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

enum vm_error vm_copying_take(struct copying *copying, struct vm_region *region, uint64_t base, uint64_t end)
{
    struct page_translation page;
    enum vm_error error = VM_OK;
    for (uint64_t at = base, next; error == VM_OK && at < end; at = next) {
        vm_hold_renew(&copying->hold);
        next = vm_hold_step(&copying->hold, copying->from->table, at, end, &page);
        if (copying->hold.slots) {
            error = take_pages(copying, region, at, next);
        } else if (page.mapped && !vm_block_is_cuttable(copying->from, vm_page_frame(&page))) {
            next = copy_some(copying, region, at, next, vm_page_frame(&page), &error);
        } else if (page.mapped) {
            error = cut_large(copying, region, at);
            next = at; /* its small pages come next */
        }
    }
    return error;
}
