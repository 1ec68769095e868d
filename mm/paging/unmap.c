/* Unmapping. */
#include "internal.h"
#include "valid.h"

/* One call of page_table_unmap(). */
struct unmapping {
    struct page_table *table;    /* where */
    struct tlb_batch *batch;     /* takes what is stale */
    page_table_visitor *removed; /* told of each leaf; or NULL */
    void *context;               /* for `removed` */
};

/* Takes one page out. It is noted before the visitor knows of it: the visitor may put a frame to the batch,
 * and a full batch flushes. Of one that is not present no TLB knows. Without a visitor nobody would be left
 * to know a slot. */
static inline __attribute__((always_inline)) void
clear_leaf(const struct unmapping *unmapping, page_table_entry_t *entry, uint64_t base, unsigned level)
{
    page_table_entry_t old = entry_exchange(entry, (page_table_entry_t){0});
    if (page_entry_present(old)) {
        tlb_batch_add(unmapping->batch, virt_addr(base), page_level_bytes(level), (enum page_level)level,
                      old.raw & PAGE_ENTRY_GLOBAL);
    } else {
        ASSERT(unmapping->removed || page_entry_kind(old, level) != ENTRY_SWAPPED);
    }
    if (unmapping->removed) {
        unmapping->removed(unmapping->context, virt_addr(base), old, (enum page_level)level);
    }
}

/* Takes out what an entry of level 1 has; returns whether there was something. */
static inline __attribute__((always_inline)) bool clear_small(const struct unmapping *unmapping,
                                                              page_table_entry_t *entry, uint64_t base)
{
    switch (page_entry_kind(entry_read(entry), PAGE_LEVEL_4K)) {
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
    case ENTRY_SWAPPED:
        clear_leaf(unmapping, entry, base, PAGE_LEVEL_4K);
        return true;
    case ENTRY_ABSENT:
    case ENTRY_TABLE: /* not at level 1 */
    case ENTRY_HELD:  /* stays for good */
        break;
    }
    return false;
}

/* Clears a level 1 table's part of the range; returns how many entries went. */
static uint64_t clear_leaves(struct unmapping *unmapping, phys_addr_t at, uint64_t first, uint64_t last)
{
    page_table_entry_t *entries = table_open(unmapping->table, at, first, PAGE_LEVEL_4K);
    uint64_t cleared = 0;
    unsigned end = page_table_index(virt_addr(last), PAGE_LEVEL_4K);
    for (unsigned i = page_table_index(virt_addr(first), PAGE_LEVEL_4K); i <= end;
         i++, first += FRAME_BYTES) {
        cleared += clear_small(unmapping, &entries[i], first);
    }
    table_close(unmapping->table, entries);
    return cleared;
}

static void clear_large_leaf(struct unmapping *unmapping, phys_addr_t at, uint64_t base, unsigned level)
{
    page_table_entry_t *entries = table_open(unmapping->table, at, base, level);
    clear_leaf(unmapping, &entries[page_table_index(virt_addr(base), level)], base, level);
    table_close(unmapping->table, entries);
}

static uint64_t clear(struct unmapping *unmapping, phys_addr_t at, unsigned level, uint64_t first,
                      uint64_t last) REQUIRES(unmapping->table->lock);

/* Clears the part of the range that the table `child` spans, and drops the table if it is empty then. */
static void clear_below(struct unmapping *unmapping, phys_addr_t at, unsigned level, phys_addr_t child,
                        uint64_t first, uint64_t last) REQUIRES(unmapping->table->lock)
{
    struct page_table *table = unmapping->table;
    uint64_t cleared = clear(unmapping, child, level - 1, first, last);
    if (cleared != 0) {
        table_use(table, child, -(int64_t)cleared);
    }
    if (table_used(table, child) == 0 && !is_kept(table, first, level)) {
        table_drop(unmapping->table, at, first, level, child, unmapping->batch);
    }
}

/*
 * Clears what one entry above level 1 spans of the range; returns whether the entry itself went with a leaf.
 */
static bool clear_entry(struct unmapping *unmapping, phys_addr_t at, unsigned level, uint64_t first,
                        uint64_t last) REQUIRES(unmapping->table->lock)
{
    page_table_entry_t entry = table_entry(unmapping->table, at, first, level);
    switch (page_entry_kind(entry, level)) {
    case ENTRY_TABLE:
        if (!is_foreign(unmapping->table, first, level)) {
            clear_below(unmapping, at, level, page_entry_table_address(entry), first, last);
        }
        break;
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
        clear_large_leaf(unmapping, at, first, level);
        return true;
    case ENTRY_ABSENT:
    case ENTRY_SWAPPED: /* these two are of level 1 */
    case ENTRY_HELD:
        break;
    }
    return false;
}

/* Clears a table's part of the range; returns how many leaves went: tables that went are counted already. */
static uint64_t clear(struct unmapping *unmapping, phys_addr_t at, unsigned level, uint64_t first,
                      uint64_t last)
{
    if (level == PAGE_LEVEL_4K) {
        return clear_leaves(unmapping, at, first, last);
    }
    uint64_t cleared = 0;
    for (uint64_t start = first, end;; start = end + 1) {
        end = chunk_last(start, last, level);
        cleared += clear_entry(unmapping, at, level, start, end);
        if (end == last) {
            return cleared;
        }
    }
}

static enum page_table_error unmap_locked(struct unmapping *unmapping, uint64_t first, uint64_t last)
    REQUIRES(unmapping->table->lock)
{
    struct page_table *table = unmapping->table;
    if (split_ends(unmapping->table, first, last, NULL, unmapping->batch) != PAGE_TABLE_OK) {
        return PAGE_TABLE_NO_MEMORY;
    }
    clear(unmapping, table->root, table->levels, first, last);
    tables_settle(unmapping->table, unmapping->batch);
    return PAGE_TABLE_OK;
}

/* The shortest way: a page that is mapped, in a table which keeps others. Returns whether that is so; if not,
 * nothing has changed. */
static inline __attribute__((always_inline)) bool unmap_page(struct page_table *table, uint64_t address,
                                                             struct tlb_batch *batch) REQUIRES(table->lock)
{
    phys_addr_t only = only_table(table, address);
    if (only.raw == FRAME_NONE.raw) {
        return false;
    }
    struct frame_descriptor *descriptor = frame_descriptor(table->frames, only);
    page_table_entry_t *entry = only_entries(table, only, address);
    if (!frame_note_used_exceeds(descriptor, 1) || !page_entry_present(entry_read(entry))) {
        return false;
    }
    page_table_entry_t old = entry_exchange(entry, (page_table_entry_t){0});
    tlb_batch_add(batch, virt_addr(address), FRAME_BYTES, PAGE_LEVEL_4K, old.raw & PAGE_ENTRY_GLOBAL);
    frame_note_use(descriptor, -1);
    return true;
}

/* The short way: pages of one table which keeps others. Returns whether that is all; if not, nothing has
 * changed. */
static bool unmap_short(struct unmapping *unmapping, uint64_t address, uint64_t count)
    REQUIRES(unmapping->table->lock)
{
    struct page_table *table = unmapping->table;
    phys_addr_t only = only_table(table, address);
    if (only.raw == FRAME_NONE.raw) {
        return false;
    }
    struct frame_descriptor *descriptor = frame_descriptor(table->frames, only);
    if (!frame_note_used_exceeds(descriptor, count)) {
        return false;
    }
    page_table_entry_t *entries = only_entries(table, only, address);
    int64_t cleared = 0;
    for (uint64_t i = 0; i < count; i++, address += FRAME_BYTES) {
        cleared += clear_small(unmapping, &entries[i], address);
    }
    frame_note_use(descriptor, -cleared);
    return true;
}

static __attribute__((noinline)) enum page_table_error unmap_long(struct page_table *table, uint64_t first,
                                                                  uint64_t bytes, struct tlb_batch *batch,
                                                                  page_table_visitor *removed, void *context)
{
    enum page_table_error error = range_check(table, virt_addr(first), bytes);
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    if (!table_reachable(table)) {
        return PAGE_TABLE_UNREACHABLE;
    }
    struct unmapping unmapping = {table, batch, removed, context};
    spinlock_acquire(&unmapping.table->lock);
    bool done = range_is_short(table, first, bytes) && unmap_short(&unmapping, first, bytes >> FRAME_SHIFT);
    if (!done) {
        error = unmap_locked(&unmapping, first, first + bytes - 1);
    }
    spinlock_release(&unmapping.table->lock);
    return error;
}

enum page_table_error page_table_unmap(struct page_table *table, virt_addr_t base, uint64_t bytes,
                                       struct tlb_batch *batch, page_table_visitor *removed, void *context)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    DEBUG_ASSERT(batch->table == table);
    VALIDATE_AT_RANDOM(page_table, page_table_check_reachable, table);
    bool one_page = ((base.raw & (FRAME_BYTES - 1)) | bytes) == FRAME_BYTES; /* and aligned */
    if (one_page && address_is_ours(table, base.raw)) {
        spinlock_acquire(&table->lock);
        bool done = removed == NULL && unmap_page(table, base.raw, batch);
        spinlock_release(&table->lock);
        if (done) {
            return PAGE_TABLE_OK;
        }
    }
    return unmap_long(table, base.raw, bytes, batch, removed, context);
}

/* ---- Frames, as they were mapped ---- */

/*
 * The short way; all pages are noted as one range. Returns whether that is all; if not, nothing has changed.
 */
static inline __attribute__((always_inline)) bool take_short(struct page_table *table, uint64_t base,
                                                             uint64_t count, struct tlb_batch *batch,
                                                             phys_addr_t *frames) REQUIRES(table->lock)
{
    phys_addr_t only = only_table(table, base);
    if (only.raw == FRAME_NONE.raw) {
        return false;
    }
    struct frame_descriptor *descriptor = frame_descriptor(table->frames, only);
    page_table_entry_t *entries = only_entries(table, only, base);
    uint64_t common = UINT64_MAX;
    for (uint64_t i = 0; i < count; i++) {
        common &= entry_read(&entries[i]).raw;
    }
    if (!frame_note_used_exceeds(descriptor, count) || !(common & PAGE_ENTRY_PRESENT)) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        frames[i] =
            page_entry_leaf_address(entry_exchange(&entries[i], (page_table_entry_t){0}), PAGE_LEVEL_4K);
    }
    tlb_batch_add(batch, virt_addr(base), count << FRAME_SHIFT, PAGE_LEVEL_4K, common & PAGE_ENTRY_GLOBAL);
    frame_note_use(descriptor, -(int64_t)count);
    return true;
}

/* The table of level 1 for `address`, among those that may be changed; none when there is not. */
static phys_addr_t small_table(const struct page_table *table, uint64_t address)
{
    const struct page_walk_step found = way_find(table, address, PAGE_LEVEL_4K);
    bool ours = found.level == PAGE_LEVEL_4K && !touches_foreign(table, address, address);
    return ours ? found.table : FRAME_NONE;
}

/* Whether a level 1 table maps all of [first, last], its part of the range. */
static bool table_is_full(const struct page_table *table, phys_addr_t at, uint64_t first, uint64_t last)
{
    page_table_entry_t *entries = table_open(table, at, first, PAGE_LEVEL_4K);
    unsigned end = page_table_index(virt_addr(last), PAGE_LEVEL_4K);
    uint64_t common = UINT64_MAX;
    for (unsigned i = page_table_index(virt_addr(first), PAGE_LEVEL_4K); i <= end; i++) {
        common &= entry_read(&entries[i]).raw;
    }
    table_close(table, entries);
    return common & PAGE_ENTRY_PRESENT;
}

/* Whether all of [first, last] is mapped as 4 KiB pages, in tables that may be changed. */
static bool all_small_pages(const struct page_table *table, uint64_t first, uint64_t last)
{
    for (uint64_t start = first, end;; start = end + 1) {
        end = chunk_last(start, last, PAGE_LEVEL_2M);
        phys_addr_t at = small_table(table, start);
        if (at.raw == FRAME_NONE.raw || !table_is_full(table, at, start, end)) {
            return false;
        }
        if (end == last) {
            return true;
        }
    }
}

static void take_leaf(void *context, virt_addr_t base, page_table_entry_t entry, enum page_level level)
{
    phys_addr_t **next = context;
    (void)base;
    *(*next)++ = page_entry_leaf_address(entry, level);
}

static enum page_table_error take_locked(struct unmapping *unmapping, uint64_t first, uint64_t last)
    REQUIRES(unmapping->table->lock)
{
    return all_small_pages(unmapping->table, first, last) ? unmap_locked(unmapping, first, last)
                                                          : PAGE_TABLE_NOT_MAPPED;
}

/* What spans tables or empties one, and tells what is wrong. */
static enum page_table_error take_long(struct page_table *table, virt_addr_t base, uint64_t bytes,
                                       struct tlb_batch *batch, phys_addr_t *frames)
{
    enum page_table_error error = range_check(table, base, bytes);
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    if (!table_reachable(table)) {
        return PAGE_TABLE_UNREACHABLE;
    }
    struct unmapping unmapping = {table, batch, take_leaf, &frames};
    spinlock_acquire(&unmapping.table->lock);
    error = take_locked(&unmapping, base.raw, base.raw + bytes - 1);
    spinlock_release(&unmapping.table->lock);
    return error;
}

static __attribute__((noinline)) enum page_table_error take_many(struct page_table *table, virt_addr_t base,
                                                                 uint64_t count, struct tlb_batch *batch,
                                                                 phys_addr_t *frames)
{
    uint64_t bytes = count << FRAME_SHIFT;
    bool done = false;
    if (count > UINT64_MAX >> FRAME_SHIFT) {
        return PAGE_TABLE_WRAPS;
    }
    if (range_is_short(table, base.raw, bytes)) {
        spinlock_acquire(&table->lock);
        done = take_short(table, base.raw, count, batch, frames);
        spinlock_release(&table->lock);
    }
    return done ? PAGE_TABLE_OK : take_long(table, base, bytes, batch, frames);
}

enum page_table_error page_table_unmap_frames(struct page_table *table, virt_addr_t base, uint64_t count,
                                              struct tlb_batch *batch, phys_addr_t *frames)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    DEBUG_ASSERT(batch->table == table);
    bool done = false;
    if (count == 1 && is_aligned(base.raw, FRAME_BYTES) && address_is_ours(table, base.raw)) {
        spinlock_acquire(&table->lock);
        done = take_short(table, base.raw, 1, batch, frames); /* no loop is left */
        spinlock_release(&table->lock);
    }
    return done ? PAGE_TABLE_OK : take_many(table, base, count, batch, frames);
}
