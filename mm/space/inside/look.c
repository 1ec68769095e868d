/* Questions about spaces: what lies at an address, what a range holds, where a frame is seen. */
#include "mm/space/share/family.h"
#include "mm/space/valid.h"

/* ---- Regions ---- */

void vm_region_facts(const struct vm_region *region, struct vm_region_facts *facts)
{
    *facts = (struct vm_region_facts){
        .base = virt_addr(region->base),
        .bytes = region->bytes,
        .guard = region->guard,
        .source = (enum vm_source)region->source,
        .access = region->access,
        .before = region->before,
        .marks = region->marks,
        .large = region->large,
        .shared = region->shared,
        .cache = (enum page_cache)region->cache,
        .around = region->around,
        .offset = region->offset,
        .pager = region->pager,
        .pager_serial = region->pager && region->family ? region->family->serial : 0,
        .name = region->name,
    };
}

bool vm_space_next(struct vm_space *space, virt_addr_t address, struct vm_region_facts *facts)
{
    spinlock_acquire(&space->lock);
    const struct vm_region *region = vm_region_above(space, address.raw);
    if (region) {
        vm_region_facts(region, facts);
    }
    spinlock_release(&space->lock);
    return region != NULL;
}

bool vm_space_next_kept(struct vm_space *space, virt_addr_t address, struct vm_region_facts *facts)
{
    spinlock_acquire(&space->lock);
    const struct vm_region *region = vm_region_above(space, address.raw);
    if (region) {
        vm_region_facts(region, facts);
        if (region->pager) {
            vm_pager_get(region->pager);
        }
    }
    spinlock_release(&space->lock);
    return region != NULL;
}

bool vm_space_find(struct vm_space *space, virt_addr_t address, struct vm_region_facts *facts)
{
    spinlock_acquire(&space->lock);
    const struct vm_region *region = vm_region_at(space, address.raw);
    if (region) {
        vm_region_facts(region, facts);
    }
    spinlock_release(&space->lock);
    return region != NULL;
}

/* ---- Pages ---- */

/* Counts what is resident by who else shows it, and by what was done with it. Of a pager's frame one
 * reference is the pager's. */
static void count_sharing(struct vm_space *space, const struct vm_region *region,
                          const struct page_translation *page, uint64_t pages, struct vm_counts *counts)
{
    const struct frame_descriptor *frame =
        frame_descriptor(space->manager->config.frames, vm_page_frame(page));
    bool own = region->source != VM_PAGER || frame_descriptor_owner(frame) == space->owner;
    uint32_t users = frame_descriptor_users(frame);
    uint64_t shown = max_u64(users - (!own && users > 1), 1);
    bool dirty = own || (page_entry_dirty(page->leaf));
    uint64_t portion = (pages << FRAME_SHIFT) / shown;
    counts->shared += users > 1 ? pages : 0;
    counts->anonymous += own ? pages : 0;
    counts->used += page->leaf.raw & PAGE_ENTRY_ACCESSED ? pages : 0;
    counts->alone += shown == 1 ? pages : 0;
    counts->dirty += dirty ? pages : 0;
    counts->dirty_alone += dirty && shown == 1 ? pages : 0;
    counts->portion += portion;
    counts->dirty_portion += dirty ? portion : 0;
}

/* Counts a page that shows something. */
static void count_leaf(struct vm_space *space, const struct vm_region *region,
                       const struct page_translation *page, uint64_t pages, struct vm_counts *counts)
{
    phys_addr_t frame = vm_page_frame(page);
    if (!vm_region_has_frames(region)) {
        counts->device += pages;
    } else if (frame.raw == space->manager->zero_frame.raw) {
        counts->zero += pages;
    } else {
        counts->resident += pages;
        counts->large += page->level == PAGE_LEVEL_2M ? pages : 0;
        count_sharing(space, region, page, pages, counts);
    }
}

static void count_page(struct vm_space *space, const struct vm_region *region,
                       const struct page_translation *page, uint64_t pages, struct vm_counts *counts)
{
    switch (page_entry_kind(page->leaf, page->level)) {
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
        count_leaf(space, region, page, pages, counts);
        break;
    case ENTRY_SWAPPED:
        counts->swapped += pages;
        break;
    case ENTRY_ABSENT:
    case ENTRY_TABLE:
    case ENTRY_HELD:
        break;
    }
}

/* Counts the pages of [base, end), a step. */
static void count_pages(struct vm_space *space, const struct vm_region *region, uint64_t base, uint64_t end,
                        struct vm_counts *counts) REQUIRES(space->lock)
{
    struct page_translation page;
    uint64_t at = base;
    while (vm_next_page(space->table, &at, end, &page)) {
        uint64_t page_end = at + page_level_bytes(page.level);
        uint64_t pages = (min_u64(page_end, end) - max_u64(at, base)) >> FRAME_SHIFT;
        count_page(space, region, &page, pages, counts);
        at = page_end;
    }
}

void vm_space_count(struct vm_space *space, virt_addr_t base, uint64_t bytes, struct vm_counts *counts)
{
    struct page_translation page;
    struct vm_hold hold;
    uint64_t at = base.raw;
    uint64_t end = at + bytes;
    DEBUG_ASSERT(vm_space_is_valid(space));
    VALIDATE_AT_RANDOM(vm, vm_space_check, space);
    memset(counts, 0, sizeof *counts);
    vm_hold_begin(&hold, space, NULL);
    while (at < end) {
        vm_hold_renew(&hold);
        const struct vm_region *region = vm_region_above(space, at);
        if (!region || region->base >= end) {
            break;
        }
        at = max_u64(at, region->base);
        uint64_t next = vm_hold_step(&hold, space->table, at, min_u64(end, vm_region_end(region)), &page);
        if (hold.slots || page.mapped) {
            count_pages(space, region, at, next, counts);
        }
        at = next;
    }
    vm_hold_end(&hold, space);
}

void vm_space_look(struct vm_space *space, virt_addr_t address, struct vm_look *look)
{
    memset(look, 0, sizeof *look);
    spinlock_acquire(&space->lock);
    const struct vm_region *region = vm_region_at(space, address.raw);
    region = region ? region : vm_region_above(space, address.raw);
    if (region && address.raw >= region->base - region->guard) {
        look->found = address.raw >= region->base;
        look->guard = !look->found;
        vm_region_facts(region, &look->region);
    }
    look->mapped = vm_page_at(space->table, address.raw);
    if (region && look->found && look->mapped.mapped && vm_region_has_frames(region)) {
        phys_addr_t frame = vm_page_frame(&look->mapped);
        look->zero_page = frame.raw == space->manager->zero_frame.raw;
        look->references = look->zero_page ? 0 : vm_references(space, frame);
    }
    spinlock_release(&space->lock);
}

/*
 * Counts the tables that begin at `address` and lie in the space's range as a whole; *address becomes the
 * next one at which any can begin.
 */
static uint64_t count_tables_at(const struct vm_space *space, uint64_t *address) REQUIRES(space->lock)
{
    struct page_walk_step steps[PAGE_WALK_STEPS_MAX];
    unsigned walked = page_table_walk(space->table, space->table->access, virt_addr(*address), steps);
    uint64_t count = 0;
    unsigned lowest = PAGE_LEVEL_2M;
    for (unsigned i = 0; i < walked; i++) {
        uint64_t bytes = page_level_bytes(steps[i].level + 1); /* that the table maps */
        count += is_aligned(*address, bytes) && bytes <= space->end - *address;
        lowest = steps[i].level;
    }
    unsigned level = lowest == PAGE_LEVEL_4K ? PAGE_LEVEL_2M : lowest;
    *address = align_down(*address, page_level_bytes(level)) + page_level_bytes(level);
    return count;
}

uint64_t vm_space_tables(struct vm_space *space)
{
    uint64_t count = 0;
    if (space->user) {
        return space->own.table_frames;
    }
    struct vm_hold hold;
    vm_hold_begin(&hold, space, NULL);
    for (uint64_t at = space->base; at >= space->base && at < space->end;) {
        vm_hold_renew(&hold);
        hold.left--;
        count += count_tables_at(space, &at);
    }
    vm_hold_end(&hold, space);
    return count;
}

/* Whether the region at a page, which is locked, has it from `block`. */
static bool has_block(struct vm_space *space, virt_addr_t page, phys_addr_t block) REQUIRES(space->lock)
{
    const struct vm_region *region = vm_region_at(space, page.raw);
    return region && vm_region_has_frames(region) && vm_region_names(space, region, block, page.raw);
}

bool vm_space_has_given(struct vm_space *space, virt_addr_t page, phys_addr_t frame, bool write)
{
    struct frame_facts facts;
    if (frame.raw == space->manager->zero_frame.raw) {
        return !write;
    }
    frame_pool_look(space->manager->config.frames, frame, &facts);
    if (!facts.managed || facts.state != FRAME_ALLOCATED || facts.block.raw != frame.raw) {
        return false;
    }
    spinlock_acquire(&space->lock);
    bool has = has_block(space, page, frame);
    spinlock_release(&space->lock);
    return has;
}

/* ---- Frames ---- */

struct search {
    struct vm_manager *manager;
    uint64_t frame;          /* physical address of the frame */
    phys_addr_t block;       /* that it belongs to, if it is allocated */
    bool given;              /* it was given to regions of such frames */
    struct vm_place *places; /* to be filled */
    uint64_t limit;          /* room in places */
    uint64_t count;          /* found so far */
};

static void note_place(struct search *search, const struct vm_space *space, uint64_t address, bool device)
{
    if (search->count < search->limit) {
        struct vm_place *place = &search->places[search->count];
        *place = (struct vm_place){.number = space->number, .address = virt_addr(address), .device = device};
        memcpy(place->name, space->name, VM_NAME_BYTES);
    }
    search->count++;
}

/* Notes a page that may show the block, if its space is there and it does. */
static bool note_code(void *context, uint64_t code)
{
    struct search *search = context;
    uint64_t address = vm_code_address(code);
    struct vm_space *space = vm_space_get(search->manager, vm_code_number(code));
    if (!space) {
        return true;
    }
    if (vm_page_shows(space, address, search->block)) {
        note_place(search, space, address + (search->frame - search->block.raw), false);
    }
    vm_space_put(space);
    return true;
}

/* Asks the frame's descriptor, if it is that of an allocated block. */
static void search_descriptor(struct search *search)
{
    struct frame_pool *frames = search->manager->config.frames;
    struct frame_facts facts;
    frame_pool_look(frames, phys_addr(search->frame), &facts);
    if (facts.managed && facts.state == FRAME_ALLOCATED && facts.references > 0) {
        search->block = facts.block;
        search->given = vm_code_is_given(frame_note_read(frame_descriptor(frames, facts.block)).raw);
        vm_reverse_each(search->manager, facts.block, note_code, search);
    }
}

/* Asks a region of given physical memory: what it shows has no descriptor of ours. */
static void search_device(struct vm_space *space, const struct vm_region *region, struct search *search)
    REQUIRES(space->lock)
{
    uint64_t inside = search->frame - region->offset;
    if (region->source == VM_DEVICE && inside < region->bytes &&
        vm_page_at(space->table, region->base + inside).mapped) {
        note_place(search, space, region->base + inside, true);
    }
}

/* Asks what there is time for of a region of given frames, from `base` on; returns the end of it. */
static uint64_t search_given(struct vm_space *space, struct vm_hold *hold, const struct vm_region *region,
                             uint64_t base, struct search *search) REQUIRES(space->lock)
{
    struct page_translation page;
    uint64_t end = vm_hold_step(hold, space->table, base, vm_region_end(region), &page);
    for (uint64_t at = hold->slots || page.mapped ? base : end; at < end; at += FRAME_BYTES) {
        page = vm_page_at(space->table, at);
        if (page.mapped && vm_page_frame(&page).raw == search->block.raw) {
            note_place(search, space, at, false);
        }
    }
    return end;
}

/* Asks those regions whose pages no note leads to. */
static void search_regions(struct vm_space *space, struct search *search)
{
    struct vm_hold hold;
    uint64_t at = space->base;
    vm_hold_begin(&hold, space, NULL);
    for (;;) {
        vm_hold_renew(&hold);
        const struct vm_region *region = vm_region_above(space, at);
        if (!region) {
            break;
        }
        if (search->given && region->source == VM_FRAMES) {
            at = search_given(space, &hold, region, max_u64(at, region->base), search);
        } else {
            search_device(space, region, search);
            hold.left--;
            at = vm_region_end(region);
        }
    }
    vm_hold_end(&hold, space);
}

uint64_t vm_frame_places(struct vm_manager *manager, phys_addr_t address, struct vm_place *places,
                         uint64_t limit)
{
    DEBUG_ASSERT(vm_manager_is_valid(manager));
    struct search search = {
        .manager = manager, .frame = align_down(address.raw, FRAME_BYTES), .places = places, .limit = limit};
    struct vm_space *space;
    search_descriptor(&search);
    for (uint32_t number = 0; (space = vm_space_get_next(manager, &number));) {
        search_regions(space, &search);
        vm_space_put(space);
    }
    return search.count;
}
