/* Changing what mapped memory allows, and making large pages of small ones. */
#include "internal.h"
#include "valid.h"

/* One call of page_table_protect(). */
struct protection {
    struct page_table *table;  /* where */
    struct tlb_batch *batch;   /* takes what is stale */
    struct leaf_change change; /* what leaves become */
};

/* Changes one leaf and notes it when a TLB may know more than it allows now. The CPU may set accessed and
 * dirty meanwhile: these are kept. Another cache kind is a change like that of a frame, page by page. */
static void change_leaf(const struct protection *protection, page_table_entry_t *entry, uint64_t base,
                        unsigned level)
{
    page_table_entry_t old = entry_read(entry);
    page_table_entry_t now;
    do {
        now = leaf_with_change(old, level, &protection->change);
        if (leaf_moves(old, now)) {
            old = leaf_take(entry, base, level, protection->batch);
            entry_write(entry, leaf_with_change(old, level, &protection->change));
            return;
        }
    } while (!__atomic_compare_exchange_n(&entry->raw, &old.raw, now.raw, true, __ATOMIC_ACQ_REL,
                                          __ATOMIC_RELAXED));
    if (leaf_narrows(old, now)) {
        tlb_batch_add(protection->batch, virt_addr(base), page_level_bytes(level), (enum page_level)level,
                      page_entry_access(old) & PAGE_GLOBAL);
    }
}

/* What a swapped page allows is said when it is back: its slot is kept. */
static void change_entry(const struct protection *protection, page_table_entry_t *entry, uint64_t base)
{
    switch (page_entry_kind(entry_read(entry), PAGE_LEVEL_4K)) {
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
        change_leaf(protection, entry, base, PAGE_LEVEL_4K);
        break;
    case ENTRY_ABSENT:
    case ENTRY_TABLE: /* not at level 1 */
    case ENTRY_SWAPPED:
    case ENTRY_HELD:
        break;
    }
}

static void change_leaves(const struct protection *protection, phys_addr_t at, uint64_t first, uint64_t last)
{
    page_table_entry_t *entries = table_open(protection->table, at, first, PAGE_LEVEL_4K);
    unsigned end = page_table_index(virt_addr(last), PAGE_LEVEL_4K);
    for (unsigned i = page_table_index(virt_addr(first), PAGE_LEVEL_4K); i <= end;
         i++, first += FRAME_BYTES) {
        change_entry(protection, &entries[i], first);
    }
    table_close(protection->table, entries);
}

/* A large leaf that is only partly in the range is one that the change leaves as it is. */
static void change_large_leaf(const struct protection *protection, phys_addr_t at, uint64_t first,
                              uint64_t last, unsigned level)
{
    if (!chunk_is_whole(first, last, level)) {
        return;
    }
    page_table_entry_t *entries = table_open(protection->table, at, first, level);
    change_leaf(protection, &entries[page_table_index(virt_addr(first), level)], first, level);
    table_close(protection->table, entries);
}

static void change_table(const struct protection *protection, phys_addr_t at, unsigned level, uint64_t first,
                         uint64_t last);

/* Changes what one entry above level 1 spans of the range. */
static void change_span(const struct protection *protection, phys_addr_t at, unsigned level, uint64_t first,
                        uint64_t last)
{
    page_table_entry_t entry = table_entry(protection->table, at, first, level);
    switch (page_entry_kind(entry, level)) {
    case ENTRY_TABLE:
        if (!is_foreign(protection->table, first, level)) {
            change_table(protection, page_entry_table_address(entry), level - 1, first, last);
        }
        break;
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
        change_large_leaf(protection, at, first, last, level);
        break;
    case ENTRY_ABSENT:
    case ENTRY_SWAPPED: /* these two are of level 1 */
    case ENTRY_HELD:
        break;
    }
}

static void change_table(const struct protection *protection, phys_addr_t at, unsigned level, uint64_t first,
                         uint64_t last)
{
    if (level <= PAGE_LEVEL_4K) {
        change_leaves(protection, at, first, last);
        return;
    }
    for (uint64_t start = first, end;; start = end + 1) {
        end = chunk_last(start, last, level);
        change_span(protection, at, level, start, end);
        if (end == last) {
            return;
        }
    }
}

enum page_table_error page_table_protect(struct page_table *table, virt_addr_t base, uint64_t bytes,
                                         unsigned access, enum page_cache cache, struct tlb_batch *batch)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    VALIDATE_AT_RANDOM(page_table, page_table_check_reachable, table);
    enum page_table_error error = range_check(table, base, bytes);
    if (error == PAGE_TABLE_OK) {
        error = leaf_check(base, access, cache);
    }
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    if (!table_reachable(table)) {
        return PAGE_TABLE_UNREACHABLE;
    }
    ASSERT(batch->table == table);
    const struct protection protection = {table, batch, {access, cache}};
    uint64_t last = base.raw + bytes - 1;
    spinlock_acquire(&table->lock);
    error = split_ends(table, base.raw, last, &protection.change, batch);
    if (error == PAGE_TABLE_OK) {
        change_table(&protection, table->root, table->levels, base.raw, last);
    }
    spinlock_release(&table->lock);
    return error;
}

/* ---- Merging ---- */

/* Whether the table holds the 512 parts of one large leaf at `level`, accessed and dirty aside; it goes to
 * *whole. */
static bool parts_of_one(const page_table_entry_t *entries, unsigned level, page_table_entry_t *whole)
{
    page_table_entry_t first = entry_read(&entries[0]);
    if (page_entry_kind(first, level - 1) != ENTRY_LEAF ||
        !is_aligned(page_entry_leaf_address(first, level - 1).raw, page_level_bytes(level))) {
        return false;
    }
    *whole = page_entry_whole(first, level);
    for (unsigned i = 0; i < PAGE_TABLE_ENTRIES; i++) {
        page_table_entry_t part = page_entry_part(*whole, level, i);
        if ((entry_read(&entries[i]).raw ^ part.raw) & ~PAGE_ENTRY_SET_BY_CPU) {
            return false;
        }
    }
    return true;
}

/*
 * Merges the table below the entry for `address` at `level`, if it can be: cleared, flushed, and set as a
 * leaf (replace.c). Up to the flush a CPU may set accessed and dirty in the old table, which is gone then: so
 * the large page counts as accessed and, when it can be written, as dirty.
 */
static bool merge_table(struct page_table *table, phys_addr_t at, uint64_t address, unsigned level,
                        phys_addr_t child, struct tlb_batch *batch) REQUIRES(table->lock)
{
    page_table_entry_t whole;
    page_table_entry_t *entries = table_open(table, child, address, level - 1);
    bool fits = parts_of_one(entries, level, &whole);
    table_close(table, entries);
    if (!fits) {
        return false;
    }
    whole.raw |= PAGE_ENTRY_ACCESSED | (whole.raw & PAGE_ENTRY_WRITE ? PAGE_ENTRY_DIRTY : 0);
    table_link(table, at, address, level, (page_table_entry_t){0});
    table->table_frames--;
    tlb_batch_add(batch, virt_addr(address), page_level_bytes(level), (enum page_level)(level - 1),
                  page_entry_access(whole) & PAGE_GLOBAL);
    /* As tlb_batch_put_table() does it, but that this table is not empty. */
    atomic_fetch_add_explicit(&table->tables_waiting, 1, memory_order_relaxed);
    batch->local = true;
    tlb_batch_put(batch, child, 0);
    tlb_batch_finish(batch);
    atomic_fetch_sub_explicit(&table->tables_waiting, 1, memory_order_relaxed);
    table_link(table, at, address, level, whole);
    return true;
}

/* One call of page_table_merge(). */
struct merging {
    struct page_table *table; /* where */
    unsigned largest;         /* largest page to make */
    struct tlb_batch *batch;  /* takes what is stale, and the tables */
};

static uint64_t merge_range(const struct merging *merging, phys_addr_t at, unsigned level, uint64_t first,
                            uint64_t last) REQUIRES(merging->table->lock)
{
    struct page_table *table = merging->table;
    uint64_t merged = 0;
    for (uint64_t start = first, end; level > PAGE_LEVEL_4K; start = end + 1) {
        end = chunk_last(start, last, level);
        page_table_entry_t entry = table_entry(table, at, start, level);
        if (page_entry_kind(entry, level) == ENTRY_TABLE && !is_foreign(table, start, level)) {
            phys_addr_t child = page_entry_table_address(entry);
            merged += merge_range(merging, child, level - 1, start, end);
            if (level <= merging->largest && chunk_is_whole(start, end, level)) {
                merged += merge_table(merging->table, at, start, level, child, merging->batch);
            }
        }
        if (end == last) {
            break;
        }
    }
    return merged;
}

uint64_t page_table_merge(struct page_table *table, virt_addr_t base, uint64_t bytes, enum page_level largest,
                          struct tlb_batch *batch)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    VALIDATE_AT_RANDOM(page_table, page_table_check_reachable, table);
    if (range_check(table, base, bytes) != PAGE_TABLE_OK || !table_reachable(table)) {
        return 0;
    }
    ASSERT(batch->table == table);
    const struct merging merging = {table, largest < table->largest_level ? largest : table->largest_level,
                                    batch};
    spinlock_acquire(&merging.table->lock);
    uint64_t merged = merge_range(&merging, table->root, table->levels, base.raw, base.raw + bytes - 1);
    spinlock_release(&merging.table->lock);
    return merged;
}
