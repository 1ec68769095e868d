/* Looking at page tables: all leaves of a range, one translation, one walk with every step. */
#include "page_table_internal.h"

struct visit {
    struct page_table *table;  /* where */
    page_table_visitor *visit; /* told of each leaf */
    void *context;             /* for it */
};

static void visit_leaves(const struct visit *visit, phys_addr_t at, uint64_t first, uint64_t last)
{
    page_table_entry_t *entries = table_open(visit->table, at, first, PAGE_LEVEL_4K);
    unsigned end = page_table_index(virt_addr(last), PAGE_LEVEL_4K);
    uint64_t base = align_down(first, FRAME_BYTES);
    for (unsigned i = page_table_index(virt_addr(first), PAGE_LEVEL_4K); i <= end; i++, base += FRAME_BYTES) {
        page_table_entry_t entry = entry_read(&entries[i]);
        if (page_entry_present(entry)) {
            visit->visit(visit->context, virt_addr(base), entry, PAGE_LEVEL_4K);
        }
    }
    table_close(visit->table, entries);
}

static void visit_table(const struct visit *visit, phys_addr_t at, unsigned level, uint64_t first,
                        uint64_t last)
{
    if (level <= PAGE_LEVEL_4K) {
        visit_leaves(visit, at, first, last);
        return;
    }
    for (uint64_t start = first, end;; start = end + 1) {
        end = chunk_last(start, last, level);
        page_table_entry_t entry = table_entry(visit->table, at, start, level);
        if (page_entry_present(entry) && !is_recursive(visit->table, start, level)) {
            if (page_entry_is_leaf(entry, level)) {
                visit->visit(visit->context, virt_addr(align_down(start, page_level_bytes(level))), entry,
                             (enum page_level)level);
            } else {
                visit_table(visit, page_entry_table_address(entry), level - 1, start, end);
            }
        }
        if (end == last) {
            return;
        }
    }
}

enum page_table_error page_table_each(struct page_table *table, virt_addr_t base, uint64_t bytes,
                                      page_table_visitor *visit, void *context)
{
    enum page_table_error error = range_check_look(table, base, bytes);
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    if (!table_reachable(table)) {
        return PAGE_TABLE_UNREACHABLE;
    }
    const struct visit all = {table, visit, context};
    spinlock_acquire(&table->lock);
    visit_table(&all, table->root, table->levels, base.raw, base.raw + bytes - 1);
    spinlock_release(&table->lock);
    return PAGE_TABLE_OK;
}

/* ---- One address ---- */

struct page_walk_end page_walk_slow(const struct page_table *table, virt_addr_t address)
{
    const uint64_t everywhere = PAGE_ENTRY_WRITE | PAGE_ENTRY_USER | PAGE_ENTRY_NO_EXECUTE;
    uint64_t all = everywhere;
    phys_addr_t at = table->root;
    unsigned level = table->levels;
    page_table_entry_t entry = {0};
    preempt_disable();
    for (; virt_is_canonical(address, table->levels); level--) {
        entry = table_entry(table, at, address.raw, level);
        all &= entry.raw ^ PAGE_ENTRY_NO_EXECUTE;
        if (!page_entry_present(entry) || page_entry_is_leaf(entry, level)) {
            break;
        }
        at = page_entry_table_address(entry);
    }
    preempt_enable();
    return (struct page_walk_end){entry, all | (uint64_t)level << PAGE_WALK_LEVEL_SHIFT};
}

unsigned page_table_walk(const struct page_table *table, const struct page_table_access *access,
                         virt_addr_t address, struct page_table_step steps[PAGE_WALK_STEPS_MAX])
{
    struct page_table seen = {.access = access, .root = table->root, .levels = table->levels};
    if (!virt_is_canonical(address, table->levels) || !table_reachable(&seen)) {
        return 0;
    }
    phys_addr_t at = table->root;
    unsigned count = 0;
    preempt_disable();
    for (unsigned level = table->levels; level >= PAGE_LEVEL_4K; level--) {
        page_table_entry_t entry = table_entry(&seen, at, address.raw, level);
        steps[count++] = (struct page_table_step){level, page_table_index(address, level), at, entry};
        if (!page_entry_present(entry) || page_entry_is_leaf(entry, level)) {
            break;
        }
        at = page_entry_table_address(entry);
    }
    preempt_enable();
    return count;
}
