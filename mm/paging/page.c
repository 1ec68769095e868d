/* One page at a time, for the page fault: by its address, by its entry, and entries that others write. */
#include "internal.h"
#include "valid.h"

/* One call of page_table_set(). */
struct setting {
    struct page_table *table; /* where */
    uint64_t address;         /* first byte of the page */
    unsigned level;           /* of the leaf */
    page_table_entry_t leaf;  /* what the entry becomes: a page, present or not, or raw 0 for a hole */
    struct tlb_batch *batch;  /* takes what is stale */
};

static enum page_table_error leaf_is_sound(const struct setting *setting)
{
    page_table_entry_t leaf = setting->leaf;
    unsigned level = setting->level;
    if (page_entry_reserved(leaf, level, PAGE_PHYSICAL_BITS_MAX) != 0) {
        return PAGE_TABLE_BAD_ACCESS;
    }
    if (page_entry_leaf_address(leaf, level).raw >= setting->table->physical_end) {
        return PAGE_TABLE_BAD_PHYSICAL;
    }
    return leaf_check(virt_addr(setting->address), page_entry_access(leaf), page_entry_cache(leaf, level));
}

/* Whether the new entry is one that may be set. */
static enum page_table_error entry_is_sound(const struct setting *setting)
{
    switch (page_entry_kind(setting->leaf, setting->level)) {
    case ENTRY_ABSENT:
        return page_entry_is_hole(setting->leaf) ? PAGE_TABLE_OK : PAGE_TABLE_BAD_ACCESS;
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
        return leaf_is_sound(setting);
    case ENTRY_SWAPPED: /* all else in it is 0 */
        return setting->table->swaps &&
                       setting->leaf.raw == page_entry_swapped(page_entry_slot(setting->leaf)).raw
                   ? PAGE_TABLE_OK
                   : PAGE_TABLE_BAD_ACCESS;
    case ENTRY_TABLE:
    case ENTRY_HELD:
        break;
    }
    return PAGE_TABLE_BAD_ACCESS;
}

static enum page_table_error setting_check(const struct setting *setting)
{
    unsigned level = setting->level;
    if (level < PAGE_LEVEL_4K || level > PAGE_LEVEL_2M || level > setting->table->largest_level) {
        return PAGE_TABLE_BAD_ACCESS;
    }
    virt_addr_t base = virt_addr(setting->address);
    enum page_table_error error = range_check(setting->table, base, page_level_bytes(level));
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    if (!is_aligned(base.raw, page_level_bytes(level))) {
        return PAGE_TABLE_UNALIGNED;
    }
    if (touches_foreign(setting->table, base.raw, base.raw)) {
        return PAGE_TABLE_OCCUPIED;
    }
    return entry_is_sound(setting);
}

/* Whether what the walk found, which is no hole, may give way to an entry at `level`: a page of that size. */
static bool gives_way(const struct page_walk_step *found, unsigned level)
{
    switch (page_entry_kind(found->entry, found->level)) {
    case ENTRY_LEAF:
    case ENTRY_INACCESSIBLE:
    case ENTRY_SWAPPED:
        return found->level == level;
    case ENTRY_ABSENT:
    case ENTRY_TABLE:
    case ENTRY_HELD:
        break;
    }
    return false;
}

/* Writes the entry; both sizes are as wanted. */
static page_table_entry_t entry_set(const struct setting *setting, phys_addr_t at)
    REQUIRES(setting->table->lock)
{
    struct page_table *table = setting->table;
    page_table_entry_t *entries = table_open(table, at, setting->address, setting->level);
    unsigned index = page_table_index(virt_addr(setting->address), setting->level);
    page_table_entry_t old =
        entry_replace(&entries[index], setting->address, setting->level, setting->leaf, setting->batch);
    table_close(table, entries);
    table_use(table, at, page_entry_is_hole(old) - page_entry_is_hole(setting->leaf));
    return old;
}

unsigned tables_shrink(struct page_table *table, uint64_t address, unsigned level, struct tlb_batch *batch)
{
    for (; level < table->levels && !is_kept(table, address, level + 1); level++) {
        const struct page_walk_step parent = way_find(table, address, level + 1);
        phys_addr_t child = page_entry_table_address(parent.entry);
        if (table_used(table, child) != 0) {
            break;
        }
        table_drop(table, parent.table, address, level + 1, child, batch);
    }
    return level - 1;
}

static enum page_table_error set_locked(const struct setting *setting, page_table_entry_t *old)
    REQUIRES(setting->table->lock)
{
    struct page_walk_step found = way_find(setting->table, setting->address, setting->level);
    if (!page_entry_is_hole(found.entry) && !gives_way(&found, setting->level)) {
        return PAGE_TABLE_OCCUPIED;
    }
    if (found.level != setting->level) {
        struct table_reserve reserve;
        if (page_entry_is_hole(setting->leaf)) {
            *old = setting->leaf;
            return PAGE_TABLE_OK;
        }
        if (!reserve_fill(setting->table, &reserve, found.level - setting->level)) {
            return PAGE_TABLE_NO_MEMORY;
        }
        found.table = way_make(setting->table, &reserve, setting->address, setting->level);
    }
    *old = entry_set(setting, found.table);
    if (page_entry_is_hole(setting->leaf) && table_used(setting->table, found.table) == 0) {
        tables_shrink(setting->table, setting->address, setting->level, setting->batch);
        tables_settle(setting->table, setting->batch);
    }
    return PAGE_TABLE_OK;
}

enum page_table_error page_table_set(struct page_table *table, virt_addr_t base, page_table_entry_t leaf,
                                     enum page_level level, page_table_entry_t *old, struct tlb_batch *batch)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    VALIDATE_AT_RANDOM(page_table, page_table_check_reachable, table);
    const struct setting setting = {table, base.raw, level, leaf, batch};
    enum page_table_error error = setting_check(&setting);
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    if (!table_reachable(table)) {
        return PAGE_TABLE_UNREACHABLE;
    }
    ASSERT(batch->table == table);
    spinlock_acquire(&setting.table->lock);
    error = set_locked(&setting, old);
    spinlock_release(&setting.table->lock);
    return error;
}

/* ---- Entries that others write ---- */

enum page_table_error page_table_hold(struct page_table *table, virt_addr_t base, uint64_t bytes,
                                      page_table_entry_t **entries)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    enum page_table_error error = range_check(table, base, bytes);
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    uint64_t last = base.raw + bytes - 1;
    if ((base.raw ^ last) >> page_level_shift(PAGE_LEVEL_2M)) {
        return PAGE_TABLE_UNALIGNED;
    }
    if (table->access->open) {
        return PAGE_TABLE_UNREACHABLE;
    }
    /* Mapped to nowhere and taken out again by hand: mapping does all the checks and makes the tables.
     * Inaccessible, so that at no time a CPU that reads ahead finds anything there to be cached. */
    error =
        page_table_map(table, base, phys_addr(0), bytes, PAGE_INACCESSIBLE, CACHE_WRITE_BACK, PAGE_LEVEL_4K);
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    const struct page_walk_step found = way_find(table, base.raw, PAGE_LEVEL_4K);
    *entries = table_open(table, found.table, base.raw, PAGE_LEVEL_4K) + found.index;
    for (uint64_t i = 0; i < bytes >> FRAME_SHIFT; i++) {
        entry_write(&(*entries)[i], page_entry_held());
    }
    return PAGE_TABLE_OK;
}

/* ---- An entry of a table that is there: what nearly every page fault comes to ---- */

/* The same for addresses that 5 levels have and 4 have not. */
static __attribute__((noinline)) page_table_entry_t *slot_far(const struct page_table *table,
                                                              virt_addr_t base)
{
    if (table->access->open) {
        return NULL;
    }
    const struct page_walk_step found = way_find(table, base.raw, PAGE_LEVEL_4K);
    return found.level == PAGE_LEVEL_4K ? only_entries(table, found.table, base.raw) : NULL;
}

page_table_entry_t *page_table_slot(const struct page_table *table, virt_addr_t base)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    if (!virt_is_common(base)) {
        return slot_far(table, base);
    }
    phys_addr_t only = only_table(table, base.raw);
    return only.raw != FRAME_NONE.raw ? only_entries(table, only, base.raw) : NULL;
}

void page_table_fill(struct page_table *table, page_table_entry_t *slot, page_table_entry_t leaf)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    VALIDATE_AT_RANDOM(page_table, page_table_check_reachable, table);
    uint64_t at = align_down((uintptr_t)slot, FRAME_BYTES) - table->access->offset;
    spinlock_acquire(&table->lock);
    DEBUG_ASSERT(page_entry_is_hole(entry_read(slot)) && !page_entry_is_hole(leaf));
    entry_write(slot, leaf);
    table_use(table, phys_addr(at), 1);
    spinlock_release(&table->lock);
}

uint64_t page_table_fill_some(struct page_table *table, page_table_entry_t *slots,
                              const page_table_entry_t *leaves, unsigned count)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    uint64_t at = align_down((uintptr_t)slots, FRAME_BYTES) - table->access->offset;
    int64_t filled = 0;
    spinlock_acquire(&table->lock);
    for (unsigned i = 0; i < count; i++) {
        if (!page_entry_is_hole(leaves[i])) {
            DEBUG_ASSERT(page_entry_is_hole(entry_read(&slots[i])));
            entry_write(&slots[i], leaves[i]);
            filled++;
        }
    }
    table_use(table, phys_addr(at), filled);
    spinlock_release(&table->lock);
    return (uint64_t)filled;
}

void page_table_filled(struct page_table *table, page_table_entry_t *slots, unsigned filled)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    uint64_t at = align_down((uintptr_t)slots, FRAME_BYTES) - table->access->offset;
    spinlock_acquire(&table->lock);
    table_use(table, phys_addr(at), filled);
    spinlock_release(&table->lock);
}

/* All of them are flushed if one loses anything: what is in between is not worth the counting. */
void page_table_close(struct page_table *table, page_table_entry_t *slots, virt_addr_t base, unsigned count,
                      struct tlb_batch *batch)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    uint64_t common = UINT64_MAX;
    spinlock_acquire(&table->lock);
    for (unsigned i = 0; i < count; i++) {
        uint64_t entry = entry_read(&slots[i]).raw;
        if (entry &
            PAGE_ENTRY_WRITE) { /* only leaves have it; the CPU may set accessed and dirty meanwhile */
            __atomic_fetch_and(&slots[i].raw, ~PAGE_ENTRY_WRITE, __ATOMIC_ACQ_REL);
            common &= entry;
        }
    }
    spinlock_release(&table->lock);
    if (common != UINT64_MAX) {
        tlb_batch_add(batch, base, (uint64_t)count << FRAME_SHIFT, PAGE_LEVEL_4K, common & PAGE_ENTRY_GLOBAL);
    }
}

/* What a present entry allows, each right a bit that is set. */
static uint64_t rights(uint64_t entry)
{
    return (entry ^ PAGE_ENTRY_NO_EXECUTE) &
           (PAGE_ENTRY_PRESENT | PAGE_ENTRY_WRITE | PAGE_ENTRY_USER | PAGE_ENTRY_NO_EXECUTE);
}

void page_table_allow(struct page_table *table, page_table_entry_t *slots, virt_addr_t base, unsigned count,
                      unsigned access, struct tlb_batch *batch)
{
    const uint64_t which =
        PAGE_ENTRY_PRESENT | PAGE_ENTRY_WRITE | PAGE_ENTRY_USER | PAGE_ENTRY_GLOBAL | PAGE_ENTRY_NO_EXECUTE;
    const uint64_t bits = page_entry_access_bits(access);
    uint64_t common = UINT64_MAX;
    DEBUG_ASSERT(page_table_is_valid(table));
    spinlock_acquire(&table->lock);
    for (unsigned i = 0; i < count; i++) {
        uint64_t old = entry_read(&slots[i]).raw;
        if ((old & which) == bits || !(old & (PAGE_ENTRY_PRESENT | PAGE_ENTRY_GLOBAL))) {
            continue; /* as it shall be, or no leaf, hidden or not */
        }
        while (!__atomic_compare_exchange_n(&slots[i].raw, &old, (old & ~which) | bits, true,
                                            __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        } /* the CPU has set accessed or dirty meanwhile */
        if (old & PAGE_ENTRY_PRESENT && (rights(old) & ~rights(bits) || (old ^ bits) & PAGE_ENTRY_GLOBAL)) {
            common &= old;
        }
    }
    spinlock_release(&table->lock);
    if (common != UINT64_MAX) {
        tlb_batch_add(batch, base, (uint64_t)count << FRAME_SHIFT, PAGE_LEVEL_4K, common & PAGE_ENTRY_GLOBAL);
    }
}

void page_table_replace(struct page_table *table, page_table_entry_t *slot, virt_addr_t base,
                        page_table_entry_t leaf, struct tlb_batch *batch)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    VALIDATE_AT_RANDOM(page_table, page_table_check_reachable, table);
    spinlock_acquire(&table->lock);
    DEBUG_ASSERT(!page_entry_is_hole(entry_read(slot)) && !page_entry_is_hole(leaf));
    entry_replace(slot, base.raw, PAGE_LEVEL_4K, leaf, batch);
    spinlock_release(&table->lock);
}

/* ---- Pages that go in two steps: hidden, and when that is flushed, cleared ---- */

void page_table_hide(struct page_table *table, page_table_entry_t *slots, virt_addr_t base, unsigned count,
                     struct tlb_batch *batch)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    uint64_t common = UINT64_MAX;
    spinlock_acquire(&table->lock);
    for (unsigned i = 0; i < count; i++) {
        if (page_entry_present(entry_read(&slots[i]))) { /* the CPU may set accessed and dirty meanwhile */
            uint64_t old = __atomic_fetch_and(&slots[i].raw, ~PAGE_ENTRY_PRESENT, __ATOMIC_ACQ_REL);
            entry_write(&slots[i], page_entry_with_access((page_table_entry_t){old}, PAGE_INACCESSIBLE));
            common &= old;
        }
    }
    spinlock_release(&table->lock);
    if (common != UINT64_MAX) {
        tlb_batch_add(batch, base, (uint64_t)count << FRAME_SHIFT, PAGE_LEVEL_4K, common & PAGE_ENTRY_GLOBAL);
    }
}

/* Whether all that an entry above `level` spans around `address` lies in [first, last]. */
static bool spans_only(uint64_t address, unsigned level, uint64_t first, uint64_t last)
{
    uint64_t bytes = page_level_bytes(level + 1);
    uint64_t base = align_down(address, bytes);
    return base >= first && base + (bytes - 1) <= last;
}

void tables_shrink_within(struct page_table *table, phys_addr_t at, uint64_t address,
                          const struct tlb_range *whole, struct tlb_batch *batch)
{
    if (table_used(table, at) != 0) {
        return;
    }
    unsigned level = tables_shrink(table, address, PAGE_LEVEL_4K, batch);
    if (!spans_only(address, level, whole->base.raw, whole->base.raw + whole->bytes - 1)) {
        tlb_batch_finish(batch);
    }
}

void page_table_clear(struct page_table *table, page_table_entry_t *slots, virt_addr_t base, unsigned count,
                      const struct tlb_range *whole, struct tlb_batch *batch)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    phys_addr_t at = phys_addr(align_down((uintptr_t)slots, FRAME_BYTES) - table->access->offset);
    int64_t cleared = 0;
    spinlock_acquire(&table->lock);
    for (unsigned i = 0; i < count; i++) {
        DEBUG_ASSERT(!page_entry_present(entry_read(&slots[i])));
        cleared += !page_entry_is_hole(slots[i]);
        entry_write(&slots[i], (page_table_entry_t){0});
    }
    table_use(table, at, -cleared);
    if (cleared != 0) {
        tables_shrink_within(table, at, base.raw, whole, batch);
    }
    spinlock_release(&table->lock);
}

void page_table_take(struct page_table *table, page_table_entry_t *slots, virt_addr_t base, unsigned count,
                     page_table_entry_t *taken, struct tlb_batch *batch)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    phys_addr_t at = phys_addr(align_down((uintptr_t)slots, FRAME_BYTES) - table->access->offset);
    uint64_t common = UINT64_MAX;
    int64_t cleared = 0;
    spinlock_acquire(&table->lock);
    for (unsigned i = 0; i < count; i++) {
        taken[i] = entry_read(&slots[i]);
        if (page_entry_present(taken[i])) { /* the CPU may set accessed and dirty meanwhile */
            taken[i].raw = __atomic_exchange_n(&slots[i].raw, 0, __ATOMIC_ACQ_REL);
            common &= taken[i].raw;
            cleared++;
        } else if (!page_entry_is_hole(taken[i])) {
            entry_write(&slots[i], (page_table_entry_t){0});
            cleared++;
        }
    }
    table_use(table, at, -cleared);
    if (cleared != 0 && table_used(table, at) == 0) {
        tables_shrink(table, base.raw, PAGE_LEVEL_4K, batch);
    }
    spinlock_release(&table->lock);
    if (common != UINT64_MAX) {
        tlb_batch_add(batch, base, (uint64_t)count << FRAME_SHIFT, PAGE_LEVEL_4K, common & PAGE_ENTRY_GLOBAL);
    }
}
