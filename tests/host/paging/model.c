#include "model_internal.h"

#include <ashlar/string.h>

enum table_model_operation {
    MODEL_MAP,
    MODEL_MAP_FRAMES,
    MODEL_UNMAP,
    MODEL_PROTECT,
    MODEL_MERGE,
    MODEL_SET,
    MODEL_USE,
    MODEL_OPERATION_COUNT
};

#define HOARD_LEFT_MAX 4
#define USES_MAX       8 /* pages, in one step */

#define MODEL_BYTES  MIB(32)
#define MODEL_BEYOND GIB(64) /* targets that are no frames of the pool */

void table_model_make(struct table_model *model, unsigned levels, enum page_level largest,
                      unsigned check_every)
{
    static const struct {
        bool of_space;
        uint64_t base;
        unsigned shift;
    } places[MODEL_WINDOWS] = {
        {false, 0xffffd00000000000, 12},                   /* the start of a root entry's part */
        {false, 0xffffd00000000000 + TIB(1) - MIB(3), 12}, /* across two entries of the root */
        {false, 0xffffd00000000000 + GIB(2) - MIB(3), 12}, /* across two tables of level 2 */
        {false, 0 - (MODEL_UNITS << 12), 12},              /* the end of all addresses */
        {true, 0, 12},                                     /* a space's, from 0 */
        {true, GIB(3), 21},                                /* for pages of 1 GiB */
    };
    memset(model, 0, sizeof *model);
    model->check_every = check_every;
    tables_make(&model->tables, MODEL_BYTES, levels, largest);
    for (unsigned i = 0; i < MODEL_WINDOWS; i++) {
        model->windows[i].of_space = places[i].of_space;
        model->windows[i].base = places[i].base;
        model->windows[i].shift = places[i].shift;
    }
    MODEL_CHECK(page_table_init(&model->space, &model->tables.machine.pool, &model->tables.physmap, levels,
                                largest, &model->tables.kernel) == PAGE_TABLE_OK);
    model->space.swaps = true;
    mmu_model_add(&model->space);
    model->hoard = malloc(MODEL_BYTES / FRAME_BYTES * sizeof *model->hoard);
}

/* ---- Scarce memory ---- */

/* Takes all frames but `left`, in blocks as large as there are. */
static void table_model_hoard(struct table_model *model, uint64_t left)
{
    struct frame_pool *pool = &model->tables.machine.pool;
    phys_addr_t kept[HOARD_LEFT_MAX];
    uint64_t count = frame_alloc_batch(pool, left, kept, OWNER_TEST);
    for (unsigned order = FRAME_ORDER_MAX + 1; order-- > 0;) {
        phys_addr_t block;
        while ((block = frame_alloc(pool, order, OWNER_TEST)).raw != 0) {
            model->hoard[model->hoarded++] = (struct table_model_block){block, order};
        }
    }
    frame_free_batch(pool, count, kept);
}

static void table_model_release(struct table_model *model)
{
    while (model->hoarded > 0) {
        const struct table_model_block *block = &model->hoard[--model->hoarded];
        frame_free(&model->tables.machine.pool, block->base, block->order);
    }
}

/* ---- Operations ---- */

static void table_model_put(struct table_model_call *call, struct table_model_page *page)
{
    if (page->owned) {
        tlb_batch_put(call->batch, phys_addr(page->target), 0);
    }
    *page = (struct table_model_page){0};
}

/* A page as a call maps it. */
static struct table_model_page table_model_page_of(const struct table_model_call *call, uint64_t target,
                                                   bool owned)
{
    return (struct table_model_page){.mapped = true,
                                     .owned = owned,
                                     .access = (uint8_t)call->access,
                                     .cache = (uint8_t)call->cache,
                                     .target = target};
}

/* Whether something is there, a page or a slot. */
static bool table_model_any(const struct table_model_call *call)
{
    for (uint64_t i = 0; i < call->count; i++) {
        const struct table_model_page *page = &call->window->pages[call->first + i];
        if (page->mapped || page->swapped) {
            return true;
        }
    }
    return false;
}

/* Whether an answer other than OK is one that scarce memory excuses. */
static bool table_model_short(struct table_model *model, enum page_table_error error)
{
    if (error == PAGE_TABLE_NO_MEMORY) {
        MODEL_CHECK(model->hoarded != 0);
        model->refused++;
        return true;
    }
    return false;
}

static void table_model_map(struct table_model *model, struct table_model_call *call)
{
    uint64_t target = (call->random >> 3 & 0xfff) << call->window->shift;
    if (call->random & 1) { /* so that large pages fit */
        target = align_down(target, MIB(2)) + (call->base & (GIB(1) - 1));
    }
    enum page_level largest = (enum page_level)(1 + (call->random >> 1) % 3);
    if (call->window->shift > FRAME_SHIFT && largest == PAGE_LEVEL_4K) {
        largest = PAGE_LEVEL_1G;
    }
    if (call->window->shift > FRAME_SHIFT) {
        target = align_down(target, call->random & 4 ? GIB(1) : MIB(2)) +
                 (call->random & 4 ? call->base & (GIB(1) - 1) : 0);
    }
    target += MODEL_BEYOND;
    bool occupied = table_model_any(call);
    enum page_table_error error = page_table_map(call->table, virt_addr(call->base), phys_addr(target),
                                                 call->bytes, call->access, call->cache, largest);
    if (table_model_short(model, error)) {
        return;
    }
    MODEL_CHECK(error == (occupied ? PAGE_TABLE_OCCUPIED : PAGE_TABLE_OK));
    for (uint64_t i = 0; i < call->count && !occupied; i++) {
        call->window->pages[call->first + i] =
            table_model_page_of(call, target + (i << call->window->shift), false);
    }
}

static void table_model_map_frames(struct table_model *model, struct table_model_call *call)
{
    phys_addr_t frames[MODEL_UNITS];
    struct frame_pool *pool = &model->tables.machine.pool;
    if (call->window->shift != FRAME_SHIFT) {
        return;
    }
    uint64_t taken = frame_alloc_batch(pool, call->count, frames, OWNER_TEST);
    bool occupied = table_model_any(call);
    enum page_table_error error = PAGE_TABLE_NO_MEMORY;
    if (taken == call->count) {
        error = page_table_map_frames(call->table, virt_addr(call->base), frames, taken, call->access,
                                      call->cache);
    }
    if (error != PAGE_TABLE_OK) {
        frame_free_batch(pool, taken, frames);
        MODEL_CHECK((error == PAGE_TABLE_OCCUPIED && occupied) || taken < call->count ||
                    table_model_short(model, error));
        return;
    }
    MODEL_CHECK(!occupied);
    for (uint64_t i = 0; i < call->count; i++) {
        call->window->pages[call->first + i] = table_model_page_of(call, frames[i].raw, true);
    }
}

struct table_model_removal {
    struct table_model *model;
    struct table_model_call *call;
};

static void table_model_removed(void *context, virt_addr_t base, page_table_entry_t entry,
                                enum page_level level)
{
    const struct table_model_removal *removal = context;
    struct table_model *model = removal->model;
    struct table_model_window *window = removal->call->window;
    uint64_t first = (base.raw - window->base) >> window->shift;
    uint64_t units = page_level_bytes(level) >> window->shift;
    for (uint64_t i = 0; i < units; i++) {
        struct table_model_page *page = &window->pages[first + i];
        MODEL_CHECK((page->mapped || page->swapped) && first + i >= removal->call->first &&
                    first + i < removal->call->first + removal->call->count);
        MODEL_CHECK(page->swapped == (page_entry_kind(entry, level) == ENTRY_SWAPPED));
        MODEL_CHECK(page->target == (page->swapped
                                         ? page_entry_slot(entry)
                                         : page_entry_leaf_address(entry, level).raw + (i << window->shift)));
        MODEL_CHECK(page->swapped || table_model_bits_are_kept(page, entry));
        table_model_put(removal->call, page);
    }
}

static void table_model_unmap(struct table_model *model, struct table_model_call *call)
{
    struct table_model_removal removal = {model, call};
    enum page_table_error error = page_table_unmap(call->table, virt_addr(call->base), call->bytes,
                                                   call->batch, table_model_removed, &removal);
    if (!table_model_short(model, error)) {
        MODEL_CHECK(error == PAGE_TABLE_OK);
        MODEL_CHECK(!table_model_any(call));
    }
}

static void table_model_protect(struct table_model *model, struct table_model_call *call)
{
    enum page_table_error error = page_table_protect(call->table, virt_addr(call->base), call->bytes,
                                                     call->access, call->cache, call->batch);
    if (table_model_short(model, error)) {
        return;
    }
    MODEL_CHECK(error == PAGE_TABLE_OK);
    for (uint64_t i = 0; i < call->count; i++) {
        struct table_model_page *page = &call->window->pages[call->first + i];
        if (page->mapped) {
            page->access = (uint8_t)call->access;
            page->cache = (uint8_t)call->cache;
        }
    }
}

/* What an entry is to become: a leaf, a hole or a slot. */
static page_table_entry_t table_model_entry(const struct table_model_call *call, enum page_level level,
                                            uint64_t target, bool swap)
{
    if (swap) {
        return page_entry_swapped((uint32_t)(call->random >> 3));
    }
    return call->random & 2 ? page_entry_leaf(phys_addr(target), level, call->access, call->cache)
                            : (page_table_entry_t){0};
}

/* One page, or a large one where the choice of the first unit allows. */
static void table_model_set(struct table_model *model, struct table_model_call *call)
{
    bool large = call->window->shift > FRAME_SHIFT || (call->random & 1);
    enum page_level level = large ? PAGE_LEVEL_2M : PAGE_LEVEL_4K;
    uint64_t units = page_level_bytes(level) >> call->window->shift;
    call->first = align_down(call->first, units);
    call->count = units;
    uint64_t base = call->window->base + (call->first << call->window->shift);
    if (!is_aligned(base, page_level_bytes(level))) {
        return;
    }
    uint64_t target =
        MODEL_BEYOND + align_down((call->random >> 3 & 0xfffff) << FRAME_SHIFT, page_level_bytes(level));
    struct mmu_walk walk = mmu_model_walk(call->table, base);
    const struct table_model_page before = call->window->pages[call->first];
    bool whole = (walk.result == MMU_OK || before.swapped) && walk.level == level;
    bool occupied = table_model_any(call) && !whole;
    bool swap = !large && call->table->swaps && (call->random >> 24 & 3) == 0;
    page_table_entry_t leaf = table_model_entry(call, level, target, swap);
    page_table_entry_t old;
    enum page_table_error error =
        page_table_set(call->table, virt_addr(base), leaf, level, &old, call->batch);
    if (table_model_short(model, error)) {
        return;
    }
    MODEL_CHECK(error == (occupied ? PAGE_TABLE_OCCUPIED : PAGE_TABLE_OK));
    if (occupied) {
        return;
    }
    MODEL_CHECK((page_entry_kind(old, level) == ENTRY_LEAF) == (whole && !before.swapped));
    MODEL_CHECK((page_entry_kind(old, level) == ENTRY_SWAPPED) == before.swapped);
    MODEL_CHECK(!before.swapped || page_entry_slot(old) == before.target);
    for (uint64_t i = 0; i < units; i++) {
        struct table_model_page *page = &call->window->pages[call->first + i];
        MODEL_CHECK(!page->mapped || table_model_bits_are_kept(page, old));
        table_model_put(call, page);
        if (page_entry_kind(leaf, level) == ENTRY_LEAF) {
            *page = table_model_page_of(call, target + (i << call->window->shift), false);
        } else if (swap) {
            *page = (struct table_model_page){.swapped = true, .target = page_entry_slot(leaf)};
        }
    }
}

/* The CPU uses a page: through whatever it has cached. */
static void table_model_use_page(struct table_model *model, const struct table_model_call *call,
                                 uint64_t unit)
{
    static const enum mmu_use uses[] = {MMU_READ, MMU_EXECUTE, MMU_WRITE, MMU_WRITE};
    struct table_model_page *page = &call->window->pages[unit];
    uint64_t address = call->window->base + (unit << call->window->shift) + 123;
    enum mmu_use use = uses[call->random >> 4 & 3];
    bool user = (call->random >> 6 & 3) == 0;
    bool allowed = page->mapped && (!user || (page->access & PAGE_USER)) &&
                   (use != MMU_WRITE || (page->access & PAGE_WRITE)) &&
                   (use != MMU_EXECUTE || (page->access & PAGE_EXECUTE));
    uint64_t target = 0;
    enum mmu_result result = mmu_model_access(call->table, address, use, user, &target);
    MODEL_CHECK((result == MMU_OK) == allowed);
    MODEL_CHECK(!allowed || target == page->target + 123);
    page->read |= allowed;
    page->written |= allowed && use == MMU_WRITE;
    struct page_translation translation = page_table_translate(call->table, virt_addr(address));
    MODEL_CHECK(translation.mapped == page->mapped);
    MODEL_CHECK(!page->mapped || (translation.target.raw == page->target + 123 &&
                                  translation.access == page->access && translation.cache == page->cache));
}

/* It uses some, all over the range. */
static void table_model_use(struct table_model *model, struct table_model_call *call)
{
    uint64_t distance = 1 + call->count / USES_MAX;
    for (uint64_t i = (call->random >> 12) % distance; i < call->count; i += distance) {
        table_model_use_page(model, call, call->first + i);
    }
}

/* Whether 512 pages from `first` could be one large one. */
static bool table_model_alike(const struct table_model_window *window, uint64_t first)
{
    const struct table_model_page *page = &window->pages[first];
    if (!page->mapped || !is_aligned(page->target, (uint64_t)PAGE_TABLE_ENTRIES << window->shift)) {
        return false;
    }
    for (uint64_t i = 1; i < PAGE_TABLE_ENTRIES; i++) {
        const struct table_model_page *other = &window->pages[first + i];
        if (!other->mapped || other->access != page->access || other->cache != page->cache ||
            other->target != page->target + (i << window->shift)) {
            return false;
        }
    }
    return true;
}

/* Cuts a page that the CPU has used, and lets it use parts; false when there is no memory for that. */
static bool table_model_cut(struct table_model *model, struct table_model_call *call)
{
    uint64_t at = call->base + ((call->random >> 10) % call->count << call->window->shift);
    table_model_use(model, call);
    enum page_table_error error = page_table_split(call->table, virt_addr(at), call->batch);
    if (table_model_short(model, error)) {
        return false;
    }
    MODEL_CHECK(error == PAGE_TABLE_OK);
    table_model_use(model, call);
    return true;
}

/* Merges what may just have been cut. */
static void table_model_merge(struct table_model *model, struct table_model_call *call)
{
    enum page_level largest = (enum page_level)(1 + call->random % 3);
    if ((call->random >> 9 & 1) && !table_model_cut(model, call)) {
        return;
    }
    page_table_merge(call->table, virt_addr(call->base), call->bytes, largest, call->batch);
    unsigned level = call->window->shift == FRAME_SHIFT ? PAGE_LEVEL_2M : PAGE_LEVEL_1G;
    uint64_t bytes = page_level_bytes(level);
    uint64_t skipped = align_up(call->base, bytes) - call->base;
    for (; skipped + bytes <= call->bytes; skipped += bytes) {
        uint64_t first = call->first + (skipped >> call->window->shift);
        if (level <= largest && level <= call->table->largest_level &&
            table_model_alike(call->window, first)) {
            MODEL_CHECK(mmu_model_walk(call->table, call->base + skipped).level == level);
        }
    }
}

static bool is_checked(const struct table_model *model, uint32_t a, uint32_t b)
{
    uint64_t word = (model->steps ^ ((uint64_t)a << 32 | b)) * 0x9e3779b97f4a7c15ULL;
    return (word >> 40) % model->check_every == 0;
}

void table_model_step(struct table_model *model, unsigned operation, uint8_t what, uint32_t a, uint32_t b)
{
    static table_model_function *const functions[MODEL_OPERATION_COUNT] = {
        table_model_map,   table_model_map_frames, table_model_unmap, table_model_protect,
        table_model_merge, table_model_set,        table_model_use};
    static const uint8_t kinds[] = {PAGE_READ, PAGE_WRITE, PAGE_EXECUTE, PAGE_WRITE};
    static const uint8_t caches[] = {CACHE_WRITE_BACK, CACHE_WRITE_BACK, CACHE_UNCACHED, CACHE_WRITE_THROUGH};
    static struct tlb_batch batch;
    struct table_model_window *window = &model->windows[what % MODEL_WINDOWS];
    uint64_t first = a % MODEL_UNITS;
    uint64_t count = 1 + (a >> 11) % ((a >> 30) ? 12 : MODEL_UNITS);
    operation %= MODEL_OPERATION_COUNT;
    if ((a >> 29 & 1) || operation == MODEL_MERGE) {                          /* whole large pages */
        uint64_t lead = (window->base >> window->shift) % PAGE_TABLE_ENTRIES; /* of the window's first unit */
        first = max_u64(align_down(first + lead, PAGE_TABLE_ENTRIES), lead) - lead;
        count = align_up(count, PAGE_TABLE_ENTRIES);
    }
    count = min_u64(count, MODEL_UNITS - first);
    unsigned foreign = window->of_space ? PAGE_USER : PAGE_GLOBAL;
    struct table_model_call call = {
        .window = window,
        .table = table_model_table(model, window),
        .batch = &batch,
        .first = first,
        .count = count,
        .base = window->base + (first << window->shift),
        .bytes = count << window->shift,
        .access = kinds[b & 3] | (b & 4 ? foreign : 0),
        .cache = (enum page_cache)caches[b >> 3 & 3],
        .random = b >> 5,
    };
    model->steps++;
    bool checked = is_checked(model, a, b) || (operation == MODEL_MERGE && b >> 31);
    if (checked) {
        mmu_model_fill();
    }
    if (what >= 192) {
        table_model_hoard(model, what / MODEL_WINDOWS % (HOARD_LEFT_MAX + 1));
    }
    mmu_model_fill_after_flush(checked && (operation == MODEL_MERGE || model->steps % 4 == 0));
    tlb_batch_start(&batch, call.table);
    functions[operation](model, &call);
    tlb_batch_finish(&batch);
    table_model_release(model);
    if (checked) {
        mmu_model_check();
        tables_check(&model->tables.kernel);
        tables_check(&model->space);
        table_model_agree(model, window);
    }
}

void table_model_finish(struct table_model *model)
{
    for (unsigned i = 0; i < MODEL_WINDOWS; i++) {
        struct table_model_window *window = &model->windows[i];
        struct tlb_batch batch;
        struct table_model_call call = {.window = window,
                                        .table = table_model_table(model, window),
                                        .batch = &batch,
                                        .count = MODEL_UNITS,
                                        .base = window->base,
                                        .bytes = (uint64_t)MODEL_UNITS << window->shift};
        tlb_batch_start(&batch, call.table);
        table_model_unmap(model, &call);
        tlb_batch_finish(&batch);
        table_model_agree(model, window);
    }
    mmu_model_check();
    MODEL_CHECK(model->space.table_frames == 1);
    mmu_model_remove(&model->space);
    page_table_destroy(&model->space);
    free(model->hoard);
    struct frame_ledger ledger;
    frame_pool_ledger(&model->tables.machine.pool, &ledger);
    MODEL_CHECK(ledger.owner_bytes[OWNER_TEST] == 0 && ledger.difference == 0);
    tables_destroy(&model->tables);
}
