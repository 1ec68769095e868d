/*
 * Pages that move to another address: entries are taken out of one table and put into another, and the memory
 * behind them stays where it is. A CPU that uses an old translation meanwhile uses the same memory, until the
 * batch is flushed.
 */
#include "internal.h"
#include "valid.h"

bool page_table_reserve(struct page_table *table, struct table_reserve *reserve, uint64_t count)
{
    reserve->first = FRAME_NONE;
    for (uint64_t i = 0; i < count; i++) {
        struct table_reserve one;
        spinlock_acquire(&table->lock); /* whoever counts all frames finds it counted */
        bool filled = reserve_fill(table, &one, 1);
        if (filled) {
            frame_note_set_next(frame_descriptor(table->frames, one.first), reserve->first);
            reserve->first = one.first;
            atomic_fetch_add_explicit(&table->tables_waiting, 1, memory_order_relaxed);
        }
        spinlock_release(&table->lock);
        if (!filled) {
            page_table_unreserve(table, reserve);
            return false;
        }
    }
    return true;
}

void page_table_unreserve(struct page_table *table, struct table_reserve *reserve)
{
    while (reserve->first.raw != FRAME_NONE.raw) {
        struct table_reserve one = *reserve;
        spinlock_acquire(&table->lock);
        reserve->first = frame_note_next(frame_descriptor(table->frames, one.first));
        frame_note_set_next(frame_descriptor(table->frames, one.first), FRAME_NONE);
        reserve_empty(table, &one);
        atomic_fetch_sub_explicit(&table->tables_waiting, 1, memory_order_relaxed);
        spinlock_release(&table->lock);
    }
}

/* way_make(), where the reserve's frames count as waiting. */
static phys_addr_t make_way(struct page_table *table, struct table_reserve *reserve, uint64_t address,
                            unsigned level) REQUIRES(table->lock)
{
    uint64_t before = table->table_frames;
    phys_addr_t at = way_make(table, reserve, address, level);
    atomic_fetch_sub_explicit(&table->tables_waiting, table->table_frames - before, memory_order_relaxed);
    return at;
}

/* Makes holes of `count` slots, whose entries go to moved[]; returns how many were none. *common: the bits
 * that all have which the CPU may have cached. */
static unsigned take_entries(page_table_entry_t *slots, unsigned count, page_table_entry_t *moved,
                             uint64_t *common)
{
    unsigned taken = 0;
    *common = UINT64_MAX;
    for (unsigned i = 0; i < count; i++) {
        moved[i] = entry_read(&slots[i]);
        if (page_entry_is_hole(moved[i])) {
            continue;
        }
        if (page_entry_present(moved[i])) { /* the CPU may set accessed and dirty meanwhile */
            moved[i] = entry_exchange(&slots[i], (page_table_entry_t){0});
            *common &= moved[i].raw;
        } else {
            entry_write(&slots[i], (page_table_entry_t){0});
        }
        taken++;
    }
    return taken;
}

/* Writes the entries that are no holes to the table at `at`, from the slot for `to` on. */
static void put_entries(struct page_table *table, phys_addr_t at, uint64_t to,
                        const page_table_entry_t *moved, unsigned count) REQUIRES(table->lock)
{
    page_table_entry_t *entries = table_open(table, at, to, PAGE_LEVEL_4K);
    page_table_entry_t *slots = entries + page_table_index(virt_addr(to), PAGE_LEVEL_4K);
    for (unsigned i = 0; i < count; i++) {
        if (!page_entry_is_hole(moved[i])) {
            DEBUG_ASSERT(page_entry_is_hole(entry_read(&slots[i])));
            entry_write(&slots[i], moved[i]);
        }
    }
    table_close(table, entries);
}

unsigned page_table_move(struct page_table *table, virt_addr_t from, virt_addr_t to, unsigned count,
                         struct table_reserve *reserve, page_table_entry_t *moved,
                         const struct tlb_range *whole, struct tlb_batch *batch)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    uint64_t common;
    page_table_entry_t *slots = page_table_slot(table, from);
    ASSERT(slots && batch->table == table);
    phys_addr_t old = phys_addr(align_down((uintptr_t)slots, FRAME_BYTES) - table->access->offset);
    spinlock_acquire(&table->lock);
    unsigned taken = take_entries(slots, count, moved, &common);
    if (taken != 0) {
        phys_addr_t new = make_way(table, reserve, to.raw, PAGE_LEVEL_4K);
        put_entries(table, new, to.raw, moved, count);
        table_use(table, new, taken);
        table_use(table, old, -(int64_t)taken);
        if (common != UINT64_MAX) {
            tlb_batch_add(batch, from, (uint64_t)count << FRAME_SHIFT, PAGE_LEVEL_4K,
                          common & PAGE_ENTRY_GLOBAL);
        }
        tables_shrink_within(table, old, from.raw, whole, batch);
    }
    spinlock_release(&table->lock);
    return taken;
}

page_table_entry_t page_table_move_large(struct page_table *table, virt_addr_t from, virt_addr_t to,
                                         struct table_reserve *reserve, struct tlb_batch *batch)
{
    DEBUG_ASSERT(page_table_is_valid(table) && is_aligned(from.raw | to.raw, MIB(2)));
    spinlock_acquire(&table->lock);
    const struct page_walk_step found = way_find(table, from.raw, PAGE_LEVEL_2M);
    ASSERT(found.level == PAGE_LEVEL_2M && batch->table == table);
    page_table_entry_t *entries = table_open(table, found.table, from.raw, PAGE_LEVEL_2M);
    page_table_entry_t leaf = entry_exchange(&entries[found.index], (page_table_entry_t){0});
    table_close(table, entries);
    if (page_entry_present(leaf)) {
        tlb_batch_add(batch, from, MIB(2), PAGE_LEVEL_2M, leaf.raw & PAGE_ENTRY_GLOBAL);
    }
    phys_addr_t at = make_way(table, reserve, to.raw, PAGE_LEVEL_2M);
    entries = table_open(table, at, to.raw, PAGE_LEVEL_2M);
    entry_write(&entries[page_table_index(to, PAGE_LEVEL_2M)], leaf);
    table_close(table, entries);
    table_use(table, at, 1);
    table_use(table, found.table, -1);
    if (table_used(table, found.table) == 0) {
        tables_shrink(table, from.raw, PAGE_LEVEL_2M, batch);
        tlb_batch_finish(batch);
    }
    spinlock_release(&table->lock);
    return leaf;
}
