/* Verifying a set of page tables: every rule that the operations keep, looked at from the tables alone. */
#include "internal.h"

/* One call of page_table_check(). */
struct inspection {
    const struct page_table *table;     /* what is looked at */
    struct page_table_problem *problem; /* what is wrong first */
    uint64_t tables;                    /* found so far */
};

static bool wrong(const struct inspection *inspection, const char *what, uint64_t address, uint64_t found,
                  uint64_t expected)
{
    *inspection->problem = (struct page_table_problem){what, virt_addr(address), found, expected};
    return false;
}

/* The frame of a table: allocated, ours, and named once. */
static bool frame_is_sound(struct inspection *inspection, phys_addr_t at, uint64_t address)
{
    struct frame_facts facts;
    frame_pool_look(inspection->table->frames, at, &facts);
    if (!facts.managed || facts.state != FRAME_ALLOCATED || facts.block.raw != at.raw) {
        return wrong(inspection, "a table's frame is not allocated", address, at.raw, 0);
    }
    if (facts.owner != OWNER_PAGE_TABLES) {
        return wrong(inspection, "a table's frame has another owner", address, facts.owner,
                     OWNER_PAGE_TABLES);
    }
    if (facts.references != 1) {
        return wrong(inspection, "a table's frame is shared", address, facts.references, 1);
    }
    inspection->tables++;
    return true;
}

static bool leaf_is_right(const struct inspection *inspection, page_table_entry_t leaf, unsigned level,
                          uint64_t address)
{
    unsigned access = page_entry_access(leaf);
    if (page_entry_reserved(leaf, level, PAGE_PHYSICAL_BITS_MAX) != 0) {
        return wrong(inspection, "reserved bits are set", address, leaf.raw, 0);
    }
    if ((access & PAGE_WRITE) && (access & PAGE_EXECUTE)) {
        return wrong(inspection, "a page is writable and executable", address, leaf.raw, 0);
    }
    if (access & (is_upper(address) ? PAGE_USER : PAGE_GLOBAL)) {
        return wrong(inspection, "a page has the other half's access", address, leaf.raw, 0);
    }
    if (level > inspection->table->largest_level) {
        return wrong(inspection, "a page is larger than the CPU has", address, level,
                     inspection->table->largest_level);
    }
    if (page_entry_leaf_address(leaf, level).raw >= inspection->table->physical_end) {
        return wrong(inspection, "a page lies beyond the physical addresses", address, leaf.raw, 0);
    }
    return true;
}

static bool table_is_right(struct inspection *inspection, phys_addr_t at, unsigned level, uint64_t address);

static bool child_is_right(struct inspection *inspection, page_table_entry_t entry, unsigned level,
                           uint64_t address)
{
    const struct page_table *table = inspection->table;
    phys_addr_t child = page_entry_table_address(entry);
    ASSERT(level > PAGE_LEVEL_4K); /* no entry of level 1 names a table */
    if (page_entry_reserved(entry, level, PAGE_PHYSICAL_BITS_MAX) != 0) {
        return wrong(inspection, "reserved bits are set", address, entry.raw, 0);
    }
    if (entry.raw & PAGE_ENTRY_NO_EXECUTE || !(entry.raw & PAGE_ENTRY_WRITE)) {
        return wrong(inspection, "a table entry restricts what leaves allow", address, entry.raw, 0);
    }
    if (!(entry.raw & PAGE_ENTRY_USER) != is_upper(address)) {
        return wrong(inspection, "a table entry has the other half's user bit", address, entry.raw, 0);
    }
    if (is_lent(table, address, level)) {
        return true;
    }
    if (!frame_is_sound(inspection, child, address)) {
        return false;
    }
    if (table_used(table, child) == 0 && !is_kept(table, address, level)) {
        return wrong(inspection, "an empty table is linked", address, child.raw, 0);
    }
    return table_is_right(inspection, child, level - 1, address);
}

/* An entry without any bits but those that its kind has: `expected`. */
static bool bits_are_right(const struct inspection *inspection, page_table_entry_t entry,
                           page_table_entry_t expected, uint64_t address)
{
    return entry.raw == expected.raw ||
           wrong(inspection, "an absent entry holds bits", address, entry.raw, expected.raw);
}

/* An entry that names no table. */
static bool end_is_right(const struct inspection *inspection, page_table_entry_t entry, unsigned level,
                         uint64_t address)
{
    switch (page_entry_kind(entry, level)) {
    case ENTRY_ABSENT:
        return bits_are_right(inspection, entry, (page_table_entry_t){0}, address);
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
        return leaf_is_right(inspection, entry, level, address);
    case ENTRY_SWAPPED:
        if (!inspection->table->swaps) {
            return wrong(inspection, "a page is swapped where none can be", address, entry.raw, 0);
        }
        return bits_are_right(inspection, entry, page_entry_swapped(page_entry_slot(entry)), address);
    case ENTRY_HELD:
        return bits_are_right(inspection, entry, page_entry_held(), address);
    case ENTRY_TABLE: /* looked at by child_is_right() */
        break;
    }
    return true;
}

/* Entries of one table that name tables: one bit each, so that the table need not stay open while these are
 * looked at. */
struct children {
    uint64_t bits[PAGE_TABLE_ENTRIES / 64];
};

/* All entries of an open table but for the tables below. */
static bool entries_are_right(const struct inspection *inspection, const page_table_entry_t *entries,
                              unsigned level, uint64_t address, struct children *children, uint64_t *used)
{
    for (unsigned i = 0; i < PAGE_TABLE_ENTRIES; i++, address += page_level_bytes(level)) {
        page_table_entry_t entry = entry_read(&entries[i]);
        *used += !page_entry_is_hole(entry);
        if (page_entry_kind(entry, level) == ENTRY_TABLE) {
            children->bits[i / 64] |= 1ULL << i % 64;
        } else if (!end_is_right(inspection, entry, level, address)) {
            return false;
        }
    }
    return true;
}

static bool table_is_right(struct inspection *inspection, phys_addr_t at, unsigned level, uint64_t address)
{
    const struct page_table *table = inspection->table;
    struct children children = {0};
    uint64_t used = 0;
    page_table_entry_t *entries = table_open(table, at, address, level);
    bool right = entries_are_right(inspection, entries, level, address, &children, &used);
    table_close(table, entries);
    if (right && table_used(table, at) != used) {
        return wrong(inspection, "a use count is wrong", address, table_used(table, at), used);
    }
    for (unsigned i = 0; right && i < PAGE_TABLE_ENTRIES; i++) {
        if (children.bits[i / 64] >> i % 64 & 1) {
            uint64_t below = address + i * page_level_bytes(level);
            right = child_is_right(inspection, table_entry(table, at, below, level), level, below);
        }
    }
    return right;
}

/* The root's own entry for itself, and a sharer's copies. */
static bool special_is_right(const struct inspection *inspection, page_table_entry_t entry, unsigned index,
                             uint64_t address)
{
    const struct page_table *table = inspection->table;
    if (table->recursive_slot == index && index != 0) {
        phys_addr_t named = page_entry_table_address(entry);
        return (page_entry_present(entry) && named.raw == table->root.raw) ||
               wrong(inspection, "the recursive entry does not name the root", address, entry.raw,
                     table->root.raw);
    }
    if (table->kernel->recursive_slot == index) {
        return entry.raw == 0 ||
               wrong(inspection, "a space shares the recursive entry", address, entry.raw, 0);
    }
    page_table_entry_t theirs = table_entry(table->kernel, table->kernel->root, address, table->levels);
    return !((entry.raw ^ theirs.raw) & ~PAGE_ENTRY_SET_BY_CPU) ||
           wrong(inspection, "a shared entry differs from the kernel's", address, entry.raw, theirs.raw);
}

/* What is remembered of the root is what it says. */
static bool pml4_is_right(const struct inspection *inspection, bool upper)
{
    const struct page_table *table = inspection->table;
    uint64_t address = upper ? UINT64_MAX : 0;
    page_table_entry_t expected = page_entry_table(table->root, true);
    if (table->levels == PAGE_LEVEL_PML5) {
        expected = table_entry(table, table->root, address, PAGE_LEVEL_PML5);
    }
    return !((expected.raw ^ table->pml4[upper].raw) & ~PAGE_ENTRY_SET_BY_CPU) ||
           wrong(inspection, "the way past the root is remembered wrong", address, table->pml4[upper].raw,
                 expected.raw);
}

static bool root_entry_is_right(struct inspection *inspection, unsigned index)
{
    const struct page_table *table = inspection->table;
    unsigned unused = 64 - page_level_shift(table->levels + 1);
    uint64_t shifted = (uint64_t)index << page_level_shift(table->levels) << unused;
    uint64_t address = (uint64_t)((int64_t)shifted >> unused);
    page_table_entry_t entry = table_entry(table, table->root, address, table->levels);
    bool special =
        index >= PAGE_TABLE_ENTRIES / 2 && (table->kernel != NULL || (table->recursive_slot == index));
    if (special) {
        return special_is_right(inspection, entry, index, address);
    }
    return page_entry_kind(entry, table->levels) == ENTRY_TABLE
               ? child_is_right(inspection, entry, table->levels, address)
               : end_is_right(inspection, entry, table->levels, address);
}

bool page_table_check(struct page_table *table, struct page_table_problem *problem)
{
    struct inspection inspection = {.table = table, .problem = problem};
    spinlock_acquire(&table->lock);
    bool right = frame_is_sound(&inspection, table->root, 0);
    for (unsigned i = 0; right && i < PAGE_TABLE_ENTRIES; i++) {
        right = root_entry_is_right(&inspection, i);
    }
    right = right && pml4_is_right(&inspection, false) && pml4_is_right(&inspection, true);
    if (right && inspection.tables != table->table_frames) {
        right = wrong(&inspection, "the count of tables is wrong", 0, table->table_frames, inspection.tables);
    }
    spinlock_release(&table->lock);
    return right;
}
