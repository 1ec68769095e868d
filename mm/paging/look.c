/* Looking at page tables: all leaves of a range, one translation, one walk with every step. */
#include "internal.h"

struct visit {
    struct page_table *table;  /* where */
    page_table_visitor *visit; /* told of each leaf */
    void *context;             /* for it */
    const bool *enough;        /* set by the visitor when it wants to see no more */
};

/* Tells the visitor of an entry that names no table, if the CPU can use it. */
static void visit_page(const struct visit *visit, uint64_t base, page_table_entry_t entry, unsigned level)
{
    switch (page_entry_kind(entry, level)) {
    case ENTRY_LEAF:
        visit->visit(visit->context, virt_addr(base), entry, (enum page_level)level);
        break;
    case ENTRY_ABSENT:
    case ENTRY_TABLE:
    case ENTRY_INACCESSIBLE:
    case ENTRY_SWAPPED:
    case ENTRY_HELD:
        break;
    }
}

static void visit_leaves(const struct visit *visit, phys_addr_t at, uint64_t first, uint64_t last)
{
    page_table_entry_t *entries = table_open(visit->table, at, first, PAGE_LEVEL_4K);
    unsigned end = page_table_index(virt_addr(last), PAGE_LEVEL_4K);
    uint64_t base = align_down(first, FRAME_BYTES);
    unsigned i = page_table_index(virt_addr(first), PAGE_LEVEL_4K);
    for (; i <= end && !*visit->enough; i++, base += FRAME_BYTES) {
        page_table_entry_t entry = entry_read(&entries[i]);
        visit_page(visit, base, entry, PAGE_LEVEL_4K);
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
        if (page_entry_kind(entry, level) != ENTRY_TABLE) {
            visit_page(visit, align_down(start, page_level_bytes(level)), entry, level);
        } else if (!is_recursive(visit->table, start, level)) {
            visit_table(visit, page_entry_table_address(entry), level - 1, start, end);
        }
        if (end == last || *visit->enough) {
            return;
        }
    }
}

static enum page_table_error visit_range(const struct visit *visit, virt_addr_t base, uint64_t bytes)
{
    struct page_table *table = visit->table;
    enum page_table_error error = range_check_look(table, base, bytes);
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    if (!table_reachable(table)) {
        return PAGE_TABLE_UNREACHABLE;
    }
    spinlock_acquire(&table->lock);
    visit_table(visit, table->root, table->levels, base.raw, base.raw + bytes - 1);
    spinlock_release(&table->lock);
    return PAGE_TABLE_OK;
}

enum page_table_error page_table_each(struct page_table *table, virt_addr_t base, uint64_t bytes,
                                      page_table_visitor *visit, void *context)
{
    static const bool never = false;
    const struct visit all = {table, visit, context, &never};
    return visit_range(&all, base, bytes);
}

/* ---- Runs ---- */

struct gathering {
    struct page_run *run; /* what belongs together so far; 0 bytes to begin with */
    bool enough;          /* a leaf came by that does not continue it */
};

static bool continues(const struct page_run *run, const struct page_run *leaf)
{
    return run->base.raw + run->bytes == leaf->base.raw && run->target.raw + run->bytes == leaf->target.raw &&
           run->access == leaf->access && run->cache == leaf->cache && run->level == leaf->level;
}

static void gather(void *context, virt_addr_t base, page_table_entry_t entry, enum page_level level)
{
    struct gathering *gathering = context;
    struct page_run *run = gathering->run;
    const struct page_run leaf = {base,
                                  page_level_bytes(level),
                                  page_entry_leaf_address(entry, level),
                                  page_entry_access(entry),
                                  page_entry_cache(entry, level),
                                  level};
    if (run->bytes == 0) {
        *run = leaf;
    } else if (continues(run, &leaf)) {
        run->bytes += leaf.bytes;
    } else {
        gathering->enough = true;
    }
}

/* The first run in one half of the address space, from `first` (in that half) to `last` at most. */
static bool run_in_half(struct page_table *table, uint64_t first, uint64_t last, struct page_run *run)
{
    struct gathering gathering = {.run = run};
    const struct visit visit = {table, gather, &gathering, &gathering.enough};
    uint64_t base = align_down(first, FRAME_BYTES);
    *run = (struct page_run){.bytes = 0};
    visit_range(&visit, virt_addr(base), align_down(last - base, FRAME_BYTES) + FRAME_BYTES);
    return run->bytes != 0;
}

bool page_runs_next(struct page_runs *walk, struct page_run *run)
{
    uint64_t half = 1ULL << (page_level_shift(walk->table->levels + 1) - 1);
    bool found = !walk->done && walk->next < half &&
                 run_in_half(walk->table, walk->next, min_u64(walk->last, half - 1), run);
    if (!found && !walk->done && walk->last >= 0 - half) {
        found = run_in_half(walk->table, max_u64(walk->next, 0 - half), walk->last, run);
    }
    walk->next = found ? run->base.raw + run->bytes : 0;
    walk->done = !found || walk->next == 0 || walk->next > walk->last;
    return found;
}

/* ---- One address ---- */

struct page_walk_last page_walk_slow(const struct page_table *table, virt_addr_t address)
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
        if (page_entry_kind(entry, level) != ENTRY_TABLE) {
            break;
        }
        at = page_entry_table_address(entry);
    }
    preempt_enable();
    return (struct page_walk_last){entry, all | (uint64_t)level << PAGE_WALK_LEVEL_SHIFT};
}

static bool read_step(void *tables, virt_addr_t address, struct page_walk_step *step)
{
    step->entry = table_entry(tables, step->table, address.raw, step->level);
    return true;
}

unsigned page_table_walk(const struct page_table *table, const struct page_table_access *access,
                         virt_addr_t address, struct page_walk_step steps[PAGE_WALK_STEPS_MAX])
{
    struct page_table seen = {.access = access, .root = table->root, .levels = table->levels};
    if (!table_reachable(&seen)) {
        return 0;
    }
    preempt_disable();
    struct page_walk walk =
        page_walk(read_step, &seen, seen.root, seen.levels, PAGE_PHYSICAL_BITS_MAX, address);
    preempt_enable();
    for (unsigned i = 0; i < walk.step_count; i++) {
        steps[i] = walk.steps[i];
    }
    return walk.step_count;
}

void page_translation_uncover(struct page_translation *page, virt_addr_t address)
{
    uint64_t offset = address.raw & (page_level_bytes(page->level) - 1);
    page->mapped = true;
    page->access = PAGE_INACCESSIBLE;
    page->cache = page_entry_cache(page->leaf, page->level);
    page->target = phys_add(page_entry_leaf_address(page->leaf, page->level), offset);
}
