/*
 * Splitting: a large page that an operation cuts becomes a table of smaller ones that translate the same.
 *
 * A range cuts at most two large pages, where it begins and where it ends, each at most twice: from 1 GiB to
 * 2 MiB pages and from those to 4 KiB ones. The tables for both ends are reserved before either is split.
 */
#include "internal.h"
#include "valid.h"

page_table_entry_t leaf_with_change(page_table_entry_t leaf, unsigned level, const struct leaf_change *change)
{
    return page_entry_with_access(page_entry_with_cache(leaf, level, change->cache), change->access);
}

/* A cut: the address it goes through, and the page there. */
struct cut {
    uint64_t address;        /* first byte behind the cut */
    phys_addr_t table;       /* holds the leaf */
    unsigned level;          /* of the leaf; PAGE_LEVEL_4K when nothing is cut */
    page_table_entry_t leaf; /* as it is */
};

/* Whether what the walk to the cut ended at is a large page that has to be split. */
static bool is_cut(const struct cut *cut, const struct leaf_change *change)
{
    if (is_aligned(cut->address, page_level_bytes(cut->level))) {
        return false;
    }
    switch (page_entry_kind(cut->leaf, cut->level)) {
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
        return !change || leaf_with_change(cut->leaf, cut->level, change).raw != cut->leaf.raw;
    case ENTRY_ABSENT:
    case ENTRY_TABLE:   /* somebody else's */
    case ENTRY_SWAPPED: /* these two are of level 1 */
    case ENTRY_HELD:
        break;
    }
    return false;
}

/* Finds the large page that would be cut in front of `address`. */
static struct cut cut_find(const struct page_table *table, uint64_t address, const struct leaf_change *change)
{
    struct cut cut = {.address = address, .table = table->root, .level = table->levels};
    for (; !is_aligned(address, page_level_bytes(cut.level)) && cut.level > PAGE_LEVEL_4K; cut.level--) {
        cut.leaf = table_entry(table, cut.table, address, cut.level);
        if (page_entry_kind(cut.leaf, cut.level) != ENTRY_TABLE || is_foreign(table, address, cut.level)) {
            break;
        }
        cut.table = page_entry_table_address(cut.leaf);
    }
    if (!is_cut(&cut, change)) {
        cut.level = PAGE_LEVEL_4K;
    }
    return cut;
}

/* Tables that the cut takes: one for each size of page it does not fall between two of. */
static unsigned cut_tables(const struct cut *cut)
{
    unsigned count = 0;
    for (unsigned level = cut->level; level > PAGE_LEVEL_4K; level--) {
        count += !is_aligned(cut->address, page_level_bytes(level));
    }
    return count;
}

/* Of those, how many the other cut brings already. */
static unsigned cut_tables_shared(const struct cut *a, const struct cut *b)
{
    unsigned count = 0;
    if (a->level != b->level) {
        return 0;
    }
    for (unsigned level = a->level; level > PAGE_LEVEL_4K; level--) {
        uint64_t bytes = page_level_bytes(level);
        count += align_down(a->address, bytes) == align_down(b->address, bytes) &&
                 !is_aligned(a->address, bytes) && !is_aligned(b->address, bytes);
    }
    return count;
}

/* Fills a table that nobody reaches yet, through the pool. */
static void fill_table(struct page_table *table, phys_addr_t at, page_table_entry_t leaf, unsigned level)
{
    page_table_entry_t *entries = frame_pointer(table->frames, at);
    for (unsigned i = 0; i < PAGE_TABLE_ENTRIES; i++) {
        entries[i] = page_entry_part(leaf, level, i);
    }
    table_use(table, at, PAGE_TABLE_ENTRIES);
}

/* Takes the large leaf out of its table, so that no CPU has it any more, and returns it. */
static page_table_entry_t cut_take(const struct page_table *table, const struct cut *cut,
                                   page_table_entry_t leaf, struct tlb_batch *batch)
{
    if (!page_entry_present(leaf)) { /* an inaccessible one is cached nowhere */
        return leaf;
    }
    page_table_entry_t *entries = table_open(table, cut->table, cut->address, cut->level);
    page_table_entry_t *entry = &entries[page_table_index(virt_addr(cut->address), cut->level)];
    leaf = leaf_take(entry, align_down(cut->address, page_level_bytes(cut->level)), cut->level, batch);
    table_close(table, entries);
    return leaf;
}

/* Splits the leaf, and again what is cut of it: cleared, flushed, and set as a table (replace.c). */
static void cut_perform(struct page_table *table, struct cut cut, struct table_reserve *reserve,
                        struct tlb_batch *batch) REQUIRES(table->lock)
{
    for (; cut.level > PAGE_LEVEL_4K; cut.level--) {
        if (is_aligned(cut.address, page_level_bytes(cut.level))) {
            return;
        }
        page_table_entry_t leaf = table_entry(table, cut.table, cut.address, cut.level);
        if (page_entry_kind(leaf, cut.level) == ENTRY_TABLE) { /* the other cut was through the same page */
            cut.table = page_entry_table_address(leaf);
            continue;
        }
        phys_addr_t child = reserve_take(table, reserve);
        fill_table(table, child, cut_take(table, &cut, leaf, batch), cut.level);
        table_link(table, cut.table, cut.address, cut.level, page_entry_table(child, !is_upper(cut.address)));
        cut.table = child;
    }
}

enum page_table_error split_ends(struct page_table *table, uint64_t first, uint64_t last,
                                 const struct leaf_change *change, struct tlb_batch *batch)
{
    struct cut start = cut_find(table, first, change);
    struct cut end = cut_find(table, last + 1, change);
    unsigned needed = cut_tables(&start) + cut_tables(&end) - cut_tables_shared(&start, &end);
    if (needed == 0) {
        return PAGE_TABLE_OK;
    }
    struct table_reserve reserve;
    if (!reserve_fill(table, &reserve, needed)) {
        return PAGE_TABLE_NO_MEMORY;
    }
    cut_perform(table, start, &reserve, batch);
    cut_perform(table, end, &reserve, batch);
    DEBUG_ASSERT(reserve.first.raw == FRAME_NONE.raw);
    return PAGE_TABLE_OK;
}

/* ---- For its own sake: the owner of what lies behind wants to deal with its parts ---- */

enum page_table_error page_table_split(struct page_table *table, virt_addr_t address, struct tlb_batch *batch)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    VALIDATE_AT_RANDOM(page_table, page_table_check_reachable, table);
    enum page_table_error error = range_check(table, address, FRAME_BYTES);
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    if (!table_reachable(table)) {
        return PAGE_TABLE_UNREACHABLE;
    }
    /* The range from the address to the end of any page it can lie in is cut at one end only. */
    uint64_t last = address.raw | (page_level_bytes(PAGE_LEVEL_1G) - 1);
    spinlock_acquire(&table->lock);
    error = split_ends(table, address.raw, last, NULL, batch);
    spinlock_release(&table->lock);
    return error;
}
