/*
 * The validator: regions, page tables, reference counts, reverse map and ledger held against each other. It
 * trusts none of them: what a page shows is read from the tables, and all else must agree.
 */
#include "mm/space/share/family.h"

/* What the walk over one or all spaces has seen. */
struct census {
    struct vm_manager *manager;
    uint64_t resident;           /* 4 KiB pages with a frame behind, in this space */
    uint64_t owned[OWNER_COUNT]; /* frames by owner, each counted where it is shown first; tables */
};

/* ---- Pages ---- */

/* The pages that show a frame. */
struct shown {
    struct vm_manager *manager;
    phys_addr_t frame;
    uint64_t here;  /* vm_code() of the page that is being checked */
    uint64_t first; /* the same of the page that was found first; 0 as long as none was */
    uint64_t count; /* found so far */
};

/* Counts a page that may show the frame, if it does. Others than the first page need not know how many there
 * are: so the relatives are asked once for each frame, and not once more for each of its pages. */
static bool count_page(void *context, uint64_t code)
{
    struct shown *shown = context;
    uint64_t address = vm_code_address(code);
    struct vm_space *space = vm_number_space(shown->manager, vm_code_number(code));
    struct page_translation page = {.mapped = false};
    if (space) {
        page = vm_page_at(space->table, address);
    }
    if (page.mapped && vm_page_frame(&page).raw == shown->frame.raw) {
        shown->first = shown->first ? shown->first : code;
        shown->count++;
    }
    return shown->first == 0 || shown->first == shown->here;
}

/* The same for the pages of a region of given frames. */
static bool count_given(const struct vm_space *space, const struct vm_region *region, struct shown *shown)
{
    bool goes_on = true;
    if (region && region->source == VM_FRAMES) {
        for (uint64_t at = region->base; goes_on && at < vm_region_end(region); at += FRAME_BYTES) {
            goes_on = count_page(shown, vm_code(space->number, at));
        }
    }
    return goes_on;
}

/* The same for all such regions. */
static void count_all_given(struct shown *shown)
{
    bool goes_on = true;
    for (uint32_t number = 0; goes_on && number < shown->manager->space_numbers.limit; number++) {
        const struct vm_space *space = vm_number_space(shown->manager, number);
        if (!space) {
            continue;
        }
        goes_on = count_given(space, space->moving, shown);
        for (const struct vm_region *region = space->first; goes_on && region; region = region->next) {
            goes_on = count_given(space, region, shown);
        }
    }
}

/* Frames of zeros have a reference for each page and no other; elsewhere a pager or a giver may have one. */
static bool check_references(struct vm_space *space, const struct vm_region *region, uint64_t address,
                             phys_addr_t frame, uint64_t pages, struct vm_problem *problem)
{
    uint32_t references = vm_references(space, frame);
    bool only_pages = region->source == VM_ZERO || region->source == VM_STACK;
    if (references < pages) {
        return vm_problem_set(problem, "fewer references than pages", address, references, pages);
    }
    return !only_pages || references == pages ||
           vm_problem_set(problem, "more references than pages", address, references, pages);
}

/* The note of a given frame says how many pages show it. */
static bool check_given(const struct vm_region *region, uint64_t address,
                        const struct frame_descriptor *descriptor, uint64_t pages, struct vm_problem *problem)
{
    uint64_t counted = frame_note_read(descriptor).raw >> VM_CODE_PAGE_SHIFT;
    return region->source != VM_FRAMES || counted == pages ||
           vm_problem_set(problem, "the pages of a given frame", address, counted, pages);
}

/* The note of the frame that `address` shows leads there, and as often as it should. */
static bool check_reverse(struct vm_space *space, const struct vm_region *region, uint64_t address,
                          phys_addr_t frame, struct census *census, struct vm_problem *problem)
    REQUIRES(space->lock)
{
    struct vm_manager *manager = space->manager;
    struct shown shown = {.manager = manager, .frame = frame, .here = vm_code(space->number, address)};
    const struct frame_descriptor *descriptor = frame_descriptor(manager->config.frames, frame);
    if (!vm_region_names(space, region, frame, address)) {
        return vm_problem_set(problem, "a page that the reverse map does not name", address,
                              frame_note_read(descriptor).raw, shown.here);
    }
    if (region->source == VM_FRAMES) {
        count_all_given(&shown);
    } else {
        vm_reverse_each(manager, frame, count_page, &shown);
    }
    if (shown.first == 0) {
        return vm_problem_set(problem, "the reverse map leads to no page", address, 0, shown.here);
    }
    if (shown.first != shown.here) {
        return true; /* that page's business */
    }
    uint32_t owner = frame_descriptor_owner(descriptor);
    if (owner < OWNER_COUNT) {
        census->owned[owner] +=
            1ULL << frame_tag_order(atomic_load_explicit(&descriptor->tag, memory_order_relaxed));
    }
    return check_given(region, address, descriptor, shown.count, problem) &&
           check_references(space, region, address, frame, shown.count, problem);
}

/*
 * A frame behind a page: allocated, of the page's size, and not writable for one who does not have it alone.
 */
static bool check_frame(struct vm_space *space, const struct vm_region *region, uint64_t address,
                        const struct page_translation *page, struct vm_problem *problem)
{
    struct frame_facts facts;
    phys_addr_t frame = vm_page_frame(page);
    unsigned order = page->level == PAGE_LEVEL_2M ? FRAME_ORDER_2M : 0;
    frame_pool_look(space->manager->config.frames, frame, &facts);
    if (!facts.managed || facts.state != FRAME_ALLOCATED || facts.block.raw != frame.raw) {
        return vm_problem_set(problem, "a page that shows no allocated frame", address, frame.raw, 0);
    }
    if (facts.order != order) {
        return vm_problem_set(problem, "a page that shows a block of another size", address, facts.order,
                              order);
    }
    if (vm_region_is_private(region) && page->access & PAGE_WRITE && facts.references - facts.pins != 1) {
        return vm_problem_set(problem, "a private page that is writable but shared", address,
                              facts.references - facts.pins, 1);
    }
    return true;
}

static bool check_device(const struct vm_region *region, uint64_t address,
                         const struct page_translation *page, struct vm_problem *problem)
{
    uint64_t expected = region->offset + (address - region->base);
    if (page->target.raw != expected) {
        return vm_problem_set(problem, "a device page that shows another address", address, page->target.raw,
                              expected);
    }
    return page->cache == (enum page_cache)region->cache ||
           vm_problem_set(problem, "a device page of another cache kind", address, page->cache,
                          region->cache);
}

/* Whether a page may have this access where `allowed` is the most: writing waits for a fault. */
static bool fits(unsigned access, unsigned allowed)
{
    return !(access & ~allowed) && !((allowed ^ access) & ~(unsigned)PAGE_WRITE);
}

/* A page, inaccessible or not, that shows something. */
static bool check_leaf(struct vm_space *space, const struct vm_region *region, uint64_t address,
                       const struct page_translation *page, struct census *census, struct vm_problem *problem)
    REQUIRES(space->lock)
{
    phys_addr_t frame = vm_page_frame(page);
    if (region->source == VM_NOTHING) {
        return vm_problem_set(problem, "a page in a reserved region", address, frame.raw, 0);
    }
    if (!fits(page->access, vm_page_access(space, region)) &&
        !fits(page->access, vm_page_access_for(space, region->before))) {
        return vm_problem_set(problem, "a page with another access than its region", address, page->access,
                              vm_page_access(space, region));
    }
    if (region->source == VM_DEVICE) {
        return check_device(region, address, page, problem);
    }
    if (frame.raw == space->manager->zero_frame.raw) {
        return !(page->access & PAGE_WRITE) ||
               vm_problem_set(problem, "the zero page is writable", address, page->access, PAGE_READ);
    }
    census->resident += page_level_bytes(page->level) >> FRAME_SHIFT;
    return check_frame(space, region, address, page, problem) &&
           check_reverse(space, region, address, frame, census, problem);
}

static bool check_page(struct vm_space *space, const struct vm_region *region, uint64_t address,
                       const struct page_translation *page, struct census *census, struct vm_problem *problem)
    REQUIRES(space->lock)
{
    switch (page_entry_kind(page->leaf, page->level)) {
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
        return check_leaf(space, region, address, page, census, problem);
    case ENTRY_SWAPPED:
        return (space->table->swaps && vm_region_is_private(region)) ||
               vm_problem_set(problem, "a page is swapped where none can be", address, page->leaf.raw, 0);
    case ENTRY_HELD:
    case ENTRY_ABSENT: /* not found by vm_next_page() */
    case ENTRY_TABLE:
        break;
    }
    return vm_problem_set(problem, "an entry that no space makes", address, page->leaf.raw, 0);
}

/* ---- Regions ---- */

static bool check_region(struct vm_space *space, const struct vm_region *region, struct census *census,
                         struct vm_problem *problem) REQUIRES(space->lock)
{
    struct page_translation page;
    uint64_t end = vm_region_end(region);
    if (region->denied != (uint8_t) ~(region->access & region->before)) {
        return vm_problem_set(problem, "what a region denies", region->base, region->denied, region->access);
    }
    if ((region->source == VM_PAGER) != (region->pager != NULL)) {
        return vm_problem_set(problem, "a region and its pager", region->base, region->source, VM_PAGER);
    }
    for (uint64_t at = region->base; vm_next_page(space->table, &at, end, &page);
         at += page_level_bytes(page.level)) {
        if (at < region->base || at + page_level_bytes(page.level) > end) {
            return vm_problem_set(problem, "a large page that reaches out of its region", at, page.level, 0);
        }
        if (!check_page(space, region, at, &page, census, problem)) {
            return false;
        }
    }
    return true;
}

/* Nothing is mapped in [base, end), where no region lies. */
static bool check_empty(struct vm_space *space, uint64_t base, uint64_t end, struct vm_problem *problem)
    REQUIRES(space->lock)
{
    struct page_translation page;
    return !vm_next_page(space->table, &base, end, &page) ||
           vm_problem_set(problem, "a page without a region", base, vm_page_frame(&page).raw, 0);
}

/* No region of the tree lies in [base, end), but the one on its way in or out may. */
static bool check_gap(struct vm_space *space, uint64_t base, uint64_t end, struct census *census,
                      struct vm_problem *problem) REQUIRES(space->lock)
{
    const struct vm_region *region = space->moving;
    if (!region || region->base < base || region->base >= end) {
        return check_empty(space, base, end, problem);
    }
    return check_empty(space, base, region->base, problem) && check_region(space, region, census, problem) &&
           check_empty(space, vm_region_end(region), end, problem);
}

static bool check_regions(struct vm_space *space, struct census *census, struct vm_problem *problem)
    REQUIRES(space->lock)
{
    uint64_t end = space->base;
    census->resident = 0;
    for (const struct vm_region *region = space->first; region; region = region->next) {
        if (!check_gap(space, end, region->base, census, problem) ||
            !check_region(space, region, census, problem)) {
            return false;
        }
        end = vm_region_end(region);
    }
    if (!check_gap(space, end, space->end, census, problem)) {
        return false;
    }
    return census->resident == space->resident ||
           vm_problem_set(problem, "number of resident pages", 0, space->resident, census->resident);
}

/* Frames that are tables, or were until they began to wait for a flush. */
static uint64_t frames_of(const struct page_table *table)
{
    return table->table_frames + atomic_load_explicit(&table->tables_waiting, memory_order_relaxed);
}

static bool check_space(struct vm_space *space, struct census *census, struct vm_problem *problem)
{
    struct page_table_problem tables;
    spinlock_acquire(&space->lock);
    bool sound = vm_tree_check(space, problem) && check_regions(space, census, problem);
    spinlock_release(&space->lock);
    if (sound && space->user && !page_table_check(space->table, &tables)) {
        return vm_problem_set(problem, tables.what, tables.address.raw, tables.found, tables.expected);
    }
    bool shares = space->own.kernel && space->own.kernel == space->manager->config.kernel;
    census->owned[OWNER_PAGE_TABLES] += shares ? 0 : frames_of(&space->own); /* tables_of() counts these */
    return sound;
}

bool vm_space_check(struct vm_space *space, struct vm_problem *problem)
{
    struct census census = {.manager = space->manager};
    return check_space(space, &census, problem);
}

/* ---- All spaces ---- */

static bool check_ledger(struct vm_manager *manager, const struct census *census, struct vm_problem *problem)
{
    struct frame_ledger ledger;
    frame_pool_ledger(manager->config.frames, &ledger);
    if (ledger.difference != 0) {
        return vm_problem_set(problem, "the ledger does not close", 0, (uint64_t)ledger.difference, 0);
    }
    for (unsigned owner = 0; owner < OWNER_COUNT; owner++) {
        uint64_t shown = census->owned[owner] << FRAME_SHIFT;
        bool exclusive = manager->config.exclusive >> owner & 1;
        if (shown > ledger.owner_bytes[owner]) {
            return vm_problem_set(problem, "pages show more frames than their owner has", owner, shown,
                                  ledger.owner_bytes[owner]);
        }
        if (exclusive && shown < ledger.owner_bytes[owner]) {
            return vm_problem_set(problem, "an owner has frames that no page shows", owner,
                                  ledger.owner_bytes[owner], shown);
        }
    }
    return true;
}

/* The kernel's tables, and those of all that share its half: spaces, and what else there is. */
static uint64_t tables_of(struct page_table *kernel)
{
    uint64_t frames = 0;
    spinlock_acquire(&kernel->lock);
    for (const struct page_table *table = kernel; table; table = table->next_sharer) {
        frames += frames_of(table);
    }
    spinlock_release(&kernel->lock);
    return frames;
}

/* The space that was found by `number`. */
static bool check_found(struct vm_space *space, uint32_t number, struct census *census,
                        struct vm_problem *problem)
{
    if (space->number != number) {
        return vm_problem_set(problem, "a space's number", 0, space->number, number);
    }
    return check_space(space, census, problem);
}

bool vm_manager_check(struct vm_manager *manager, struct vm_problem *problem)
{
    struct census census = {.manager = manager};
    uint32_t spaces = 0;
    for (uint32_t number = 0; number < manager->space_numbers.limit; number++) {
        struct vm_space *space = vm_number_space(manager, number); /* a dying one has pages, too */
        spaces += space != NULL;
        if (space && !check_found(space, number, &census, problem)) {
            return false;
        }
    }
    if (spaces != manager->space_numbers.count) {
        return vm_problem_set(problem, "number of spaces", 0, manager->space_numbers.count, spaces);
    }
    if (!vm_families_check(manager, problem)) {
        return false;
    }
    if (manager->config.kernel) {
        census.owned[OWNER_PAGE_TABLES] += tables_of(manager->config.kernel);
    }
    return check_ledger(manager, &census, problem);
}
