/*
 * The cases of a page fault: filling a hole, and opening a page for its writer. In each, what may be missing
 * is got first; only then is anything changed.
 */
#include "mm/space/share/family.h"

/*
 * A leaf for the case at hand: what is known to be touched is marked so, which saves the CPU a locked write.
 */
static page_table_entry_t leaf_for(const struct vm_case *fault, phys_addr_t frame, unsigned level,
                                   unsigned access)
{
    static const uint64_t used[] = {[VM_NONE] = 0,
                                    [VM_READ] = PAGE_ENTRY_ACCESSED,
                                    [VM_WRITE] = PAGE_ENTRY_ACCESSED | PAGE_ENTRY_DIRTY,
                                    [VM_EXECUTE] = PAGE_ENTRY_ACCESSED};
    page_table_entry_t leaf = page_entry_leaf(frame, level, access, (enum page_cache)fault->region->cache);
    leaf.raw |= used[fault->access];
    return leaf;
}

/* Sets the leaf of the case's page; false when a table is missing and there is no memory for it. */
static bool set_leaf(struct vm_space *space, const struct vm_case *fault, page_table_entry_t leaf)
    REQUIRES(space->lock)
{
    page_table_entry_t old;
    if (!fault->slot) {
        return page_table_set(space->table, virt_addr(fault->page), leaf, PAGE_LEVEL_4K, &old,
                              fault->batch) == PAGE_TABLE_OK;
    }
    if (fault->hole) {
        page_table_fill(space->table, fault->slot, leaf);
    } else {
        page_table_replace(space->table, fault->slot, virt_addr(fault->page), leaf, fault->batch);
    }
    return true;
}

/* The same for the 2 MiB around the page. */
static bool set_large_leaf(struct vm_space *space, const struct vm_case *fault, page_table_entry_t leaf)
    REQUIRES(space->lock)
{
    page_table_entry_t old;
    virt_addr_t base = virt_addr(align_down(fault->page, MIB(2)));
    return page_table_set(space->table, base, leaf, PAGE_LEVEL_2M, &old, fault->batch) == PAGE_TABLE_OK;
}

static void *memory_of(struct vm_space *space, phys_addr_t frame)
{
    return frame_pointer(space->manager->config.frames, frame);
}

/* ---- Neighbours ---- */

/* The pages that one fault may fill: an aligned group, in the region, in one table. [first, end) */
static void group_of(const struct vm_case *fault, uint64_t *first, uint64_t *end)
{
    const struct vm_region *region = fault->region;
    uint64_t bytes = (uint64_t)region->around << FRAME_SHIFT;
    uint64_t start = align_down(fault->page, bytes);
    *first = max_u64(start, region->base);
    *end = min_u64(start + bytes, vm_region_end(region));
}

/*
 * Calls `fill` for the neighbours that are holes, until one fails: that is no error of this fault. The page
 * itself has been filled, so the table is there.
 */
static void fill_around(struct vm_space *space, const struct vm_case *fault,
                        bool (*fill)(struct vm_space *space, const struct vm_case *fault))
    REQUIRES(space->lock)
{
    uint64_t first;
    uint64_t end;
    struct vm_case neighbour = *fault;
    group_of(fault, &first, &end);
    neighbour.access = VM_NONE;
    neighbour.page = first;
    neighbour.slot = page_table_slot(space->table, virt_addr(first));
    for (; neighbour.slot && neighbour.page < end; neighbour.page += FRAME_BYTES, neighbour.slot++) {
        if (page_entry_is_hole(*neighbour.slot) && !fill(space, &neighbour)) {
            return;
        }
    }
}

/* Notes that `kind` is wanted; what is there of another kind has to go first. Returns whether it may be asked
 * for. */
static bool want(struct vm_need *need, enum vm_need_kind kind)
{
    need->stale = need->kind != VM_NEED_NOTHING;
    if (!need->stale) {
        need->kind = kind;
    }
    return !need->stale;
}

/* ---- Zeros ---- */

static bool fill_zero(struct vm_space *space, const struct vm_case *fault) REQUIRES(space->lock)
{
    phys_addr_t frame = frame_alloc_zeroed(space->manager->config.frames, space->owner);
    if (frame.raw == 0) {
        return false;
    }
    page_table_entry_t leaf = leaf_for(fault, frame, PAGE_LEVEL_4K, vm_page_access(space, fault->region));
    if (!set_leaf(space, fault, leaf)) {
        frame_free(space->manager->config.frames, frame, 0);
        return false;
    }
    vm_reverse_set(space, frame, fault->page);
    space->resident++;
    return true;
}

static bool fill_zero_page(struct vm_space *space, const struct vm_case *fault) REQUIRES(space->lock)
{
    page_table_entry_t leaf = leaf_for(fault, space->manager->zero_frame, PAGE_LEVEL_4K,
                                       vm_page_access_shared(space, fault->region));
    return set_leaf(space, fault, leaf);
}

/* Whether the 2 MiB around the page lie in the region, and no table is in the way. */
static bool large_fits(struct vm_space *space, const struct vm_case *fault) REQUIRES(space->lock)
{
    const struct vm_region *region = fault->region;
    uint64_t base = align_down(fault->page, MIB(2));
    return region->large && base >= region->base && base + MIB(2) <= vm_region_end(region) &&
           page_table_translate(space->table, virt_addr(fault->page)).level > PAGE_LEVEL_4K;
}

/* Maps the block that the need has; false when a page table or the block is missing. */
static bool fill_large(struct vm_space *space, const struct vm_case *fault) REQUIRES(space->lock)
{
    struct vm_need *need = fault->need;
    phys_addr_t block = need->block;
    page_table_entry_t leaf = leaf_for(fault, block, PAGE_LEVEL_2M, vm_page_access(space, fault->region));
    if (block.raw == 0 || !set_large_leaf(space, fault, leaf)) {
        return false;
    }
    enum frame_error error =
        frame_change_owner(space->manager->config.frames, block, OWNER_POOL, space->owner);
    ASSERT(error == FRAME_OK);
    vm_reverse_set(space, block, align_down(fault->page, MIB(2)));
    space->resident += MIB(2) / FRAME_BYTES;
    need->block = FRAME_NONE;
    return true;
}

static enum vm_fault fill_small(struct vm_space *space, const struct vm_case *fault) REQUIRES(space->lock)
{
    bool write = fault->access == VM_WRITE;
    bool (*fill)(struct vm_space *, const struct vm_case *) = write ? fill_zero : fill_zero_page;
    if (!fill(space, fault)) {
        return VM_FAULT_NO_MEMORY;
    }
    if (fault->region->around > 1) {
        fill_around(space, fault, fill);
    }
    if (!write) {
        return VM_FAULT_ZERO_READ;
    }
    return fault->region->source == VM_STACK ? VM_FAULT_STACK : VM_FAULT_ZERO;
}

static enum vm_fault fill_zeros(struct vm_space *space, const struct vm_case *fault) REQUIRES(space->lock)
{
    if (fault->region->large && large_fits(space, fault)) {
        if (fault->need->kind != VM_NEED_LARGE) {
            want(fault->need, VM_NEED_LARGE);
            return VM_FAULT_WANTS;
        }
        if (fill_large(space, fault)) {
            return VM_FAULT_LARGE;
        }
    }
    return fill_small(space, fault);
}

/* ---- Given physical memory ---- */

static bool fill_device_page(struct vm_space *space, const struct vm_case *fault) REQUIRES(space->lock)
{
    const struct vm_region *region = fault->region;
    phys_addr_t target = phys_addr(region->offset + (fault->page - region->base));
    return set_leaf(space, fault, leaf_for(fault, target, PAGE_LEVEL_4K, vm_page_access(space, region)));
}

static bool fill_device_large(struct vm_space *space, const struct vm_case *fault) REQUIRES(space->lock)
{
    const struct vm_region *region = fault->region;
    uint64_t base = align_down(fault->page, MIB(2));
    phys_addr_t target = phys_addr(region->offset + (base - region->base));
    return large_fits(space, fault) && is_aligned(target.raw, MIB(2)) &&
           set_large_leaf(space, fault,
                          leaf_for(fault, target, PAGE_LEVEL_2M, vm_page_access(space, region)));
}

static enum vm_fault fill_device(struct vm_space *space, const struct vm_case *fault) REQUIRES(space->lock)
{
    if (fault->region->large && fill_device_large(space, fault)) {
        return VM_FAULT_DEVICE;
    }
    if (!fill_device_page(space, fault)) {
        return VM_FAULT_NO_MEMORY;
    }
    fill_around(space, fault, fill_device_page);
    return VM_FAULT_DEVICE;
}

/* ---- A pager's pages ---- */

/* Asks for the group of the page. */
static enum vm_fault want_pages(const struct vm_case *fault)
{
    const struct vm_region *region = fault->region;
    struct vm_need *need = fault->need;
    uint64_t first;
    uint64_t end;
    if (!want(need, VM_NEED_PAGES)) {
        return VM_FAULT_WANTS;
    }
    group_of(fault, &first, &end);
    need->pager = region->pager;
    need->revocations = atomic_load_explicit(&region->pager->revocations, memory_order_acquire);
    need->offset = region->offset + (first - region->base);
    need->count = (unsigned)((end - first) >> FRAME_SHIFT);
    need->wanted = (unsigned)((fault->page - first) >> FRAME_SHIFT);
    vm_pager_get(region->pager);
    return VM_FAULT_WANTS;
}

/* Whether the need has pages of this pager, and none that it has parted from since it gave them. */
static bool has_pages_of(const struct vm_need *need, const struct vm_pager *pager)
{
    return need->kind == VM_NEED_PAGES && need->pager == pager &&
           need->revocations == atomic_load_explicit(&pager->revocations, memory_order_acquire);
}

/* The need's entry for the page, or NULL if it has none. */
static phys_addr_t *supplied(const struct vm_case *fault)
{
    const struct vm_region *region = fault->region;
    struct vm_need *need = fault->need;
    uint64_t index = (region->offset + (fault->page - region->base) - need->offset) >> FRAME_SHIFT;
    return has_pages_of(need, region->pager) && index < need->count && need->pages[index].raw != 0
               ? &need->pages[index]
               : NULL;
}

/* Maps a page that the need has, with its reference. */
static bool show_page(struct vm_space *space, const struct vm_case *fault, phys_addr_t *from)
    REQUIRES(space->lock)
{
    /* Dirty is what the CPU says: that decides about writing back. */
    page_table_entry_t leaf =
        page_entry_leaf(*from, PAGE_LEVEL_4K, vm_page_access_shared(space, fault->region), CACHE_WRITE_BACK);
    if (!set_leaf(space, fault, leaf)) {
        return false;
    }
    frame_note_set_page(frame_descriptor(space->manager->config.frames, *from),
                        vm_family_code(fault->region->family, fault->page - fault->region->shift));
    space->resident++;
    *from = FRAME_NONE;
    return true;
}

/* Maps the neighbours that are holes and that the need has; the page itself is there, so their table is. */
static void show_around(struct vm_space *space, const struct vm_case *fault) REQUIRES(space->lock)
{
    const struct vm_region *region = fault->region;
    struct vm_need *need = fault->need;
    page_table_entry_t leaves[VM_AROUND_MAX];
    uint64_t first;
    uint64_t end;
    group_of(fault, &first, &end);
    page_table_entry_t *slots = page_table_slot(space->table, virt_addr(first));
    if (!slots || end - first == FRAME_BYTES) {
        return;
    }
    unsigned count = (unsigned)((end - first) >> FRAME_SHIFT);
    uint64_t index = (region->offset + (first - region->base) - need->offset) >> FRAME_SHIFT;
    uint64_t code = vm_family_code(region->family, first - region->shift);
    uint64_t bits =
        page_entry_leaf(FRAME_NONE, PAGE_LEVEL_4K, vm_page_access_shared(space, region), CACHE_WRITE_BACK)
            .raw;
    for (unsigned i = 0; i < count; i++, index++, code += VM_CODE_ONE_PAGE) {
        leaves[i] = (page_table_entry_t){0};
        if (index < need->count && need->pages[index].raw != 0 && page_entry_is_hole(slots[i])) {
            phys_addr_t frame = need->pages[index];
            leaves[i].raw = frame.raw | bits;
            frame_note_set_page(frame_descriptor(space->manager->config.frames, frame), code);
            need->pages[index] = FRAME_NONE;
        }
    }
    space->resident += page_table_fill_some(space->table, slots, leaves, count);
}

/* Maps a writable copy of a page, which the space alone has; false when there is no memory. */
static bool show_copy(struct vm_space *space, const struct vm_case *fault, phys_addr_t original)
    REQUIRES(space->lock)
{
    struct frame_pool *frames = space->manager->config.frames;
    phys_addr_t copy = frame_alloc(frames, 0, space->owner);
    if (copy.raw == 0) {
        return false;
    }
    memcpy(memory_of(space, copy), memory_of(space, original), FRAME_BYTES);
    page_table_entry_t leaf = leaf_for(fault, copy, PAGE_LEVEL_4K, vm_page_access(space, fault->region));
    if (!set_leaf(space, fault, leaf)) {
        frame_free(frames, copy, 0);
        return false;
    }
    vm_reverse_set(space, copy, fault->page);
    return true;
}

static enum vm_fault fill_paged(struct vm_space *space, const struct vm_case *fault) REQUIRES(space->lock)
{
    phys_addr_t *page = supplied(fault);
    if (!page) {
        return want_pages(fault);
    }
    if (fault->access == VM_WRITE && !fault->region->shared) {
        if (!show_copy(space, fault, *page)) {
            return VM_FAULT_NO_MEMORY;
        }
        space->resident++;
    } else if (!show_page(space, fault, page)) {
        return VM_FAULT_NO_MEMORY;
    }
    show_around(space, fault);
    return VM_FAULT_PAGED;
}

/* ---- All of them ---- */

enum vm_fault vm_fill(struct vm_space *space, const struct vm_case *fault)
{
    switch ((enum vm_source)fault->region->source) {
    case VM_ZERO:
    case VM_STACK:
        return fill_zeros(space, fault);
    case VM_DEVICE:
        return fill_device(space, fault);
    case VM_PAGER:
        return fill_paged(space, fault);
    case VM_NOTHING: /* the fault ends before it comes here */
    case VM_FRAMES:  /* has no holes */
    case VM_SOURCE_COUNT:
        break;
    }
    panic("vm: a hole at %#" PRIx64 " in a region of %s", fault->page,
          vm_source_name((enum vm_source)fault->region->source));
}

/* ---- Opening ---- */

/* Lets the only user of a frame write to it. */
static enum vm_fault open_in_place(struct vm_space *space, const struct vm_case *fault,
                                   const struct page_translation *mapped) REQUIRES(space->lock)
{
    page_table_entry_t leaf =
        leaf_for(fault, vm_page_frame(mapped), mapped->level, vm_page_access(space, fault->region));
    bool set =
        mapped->level == PAGE_LEVEL_2M ? set_large_leaf(space, fault, leaf) : set_leaf(space, fault, leaf);
    ASSERT(set); /* the table is there */
    return VM_FAULT_REUSED;
}

/* What its pager has parted from is the space's own once it is written to: vm_pager_revoke() spares copies.
 */
static void take_over(struct vm_space *space, phys_addr_t frame) REQUIRES(space->lock)
{
    struct frame_pool *frames = space->manager->config.frames;
    uint32_t owner = frame_descriptor_owner(frame_descriptor(frames, frame));
    if (owner != space->owner) {
        enum frame_error error =
            frame_change_owner(frames, frame, (enum frame_owner)owner, (enum frame_owner)space->owner);
        ASSERT(error == FRAME_OK); /* the page has the only reference */
    }
}

enum vm_fault vm_open(struct vm_space *space, const struct vm_case *fault,
                      const struct page_translation *mapped)
{
    phys_addr_t frame = vm_page_frame(mapped);
    if (!vm_region_is_private(fault->region)) {
        return VM_FAULT_SPURIOUS; /* such pages are never less open than their region */
    }
    if (frame.raw == space->manager->zero_frame.raw) {
        if (!fill_zero(space, fault)) {
            return VM_FAULT_NO_MEMORY;
        }
        return fault->region->source == VM_STACK ? VM_FAULT_STACK : VM_FAULT_ZERO;
    }
    if (vm_references(space, frame) == 1) {
        if (fault->region->pager) {
            take_over(space, frame);
        }
        return open_in_place(space, fault, mapped);
    }
    if (!show_copy(space, fault, frame)) {
        return VM_FAULT_NO_MEMORY;
    }
    tlb_batch_put(fault->batch, frame, 0);
    return VM_FAULT_COPIED;
}
