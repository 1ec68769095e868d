/*
 * Page tables: what a space's translations are made of.
 *
 * What: a tree of frames, 4 or 5 levels deep, of 512 entries each, that the CPU walks by itself. Here it is
 * built, changed and taken apart; the format of an entry is in <ashlar/arch/page_table_entry.h>.
 *
 * How: every operation goes over its range from the root down and visits each table once, with the table's
 * part of the range. What can fail is found out first (range_check(), a pass that only reads, frames for all
 * tables that will be needed); then the entries are written, and nothing fails any more. The descriptor of a
 * table's frame counts the entries in use, so that an empty table is noticed without a search. Entries of
 * the kernel's half of the root are made once and stay, because every space that shares the half has a copy.
 *
 * A table is reached through the space's access (five ways, docs/paging.md). With those that give a table an
 * address only while it is needed, a table is closed before the next one is opened.
 *
 * Stale translations are noted in the caller's batch as they arise, table by table (mm/paging/tlb_batch.c).
 *
 * Locks: table->lock guards all entries but those that the upper half of a sharer copies, and the list of
 * sharers; a sharer's root is written under the kernel's lock. A space's lock may be held when the kernel's
 * is taken, never the other way round. The frame pool's lock is taken inside.
 *
 * Seeing inside: page_table_check(); `pt walk`, `pt dump`, `pt audit` at the monitor.
 */
#include "internal.h"
#include "valid.h"

#include <ashlar/cpu_request.h>
#include <ashlar/string.h>

static _Atomic(tlb_space_t) spaces_made; /* names given to spaces: each once */

static const char *const error_names[] = {
    [PAGE_TABLE_OK] = "no error",
    [PAGE_TABLE_NO_MEMORY] = "out of memory for page tables",
    [PAGE_TABLE_EMPTY] = "empty range",
    [PAGE_TABLE_UNALIGNED] = "not page-aligned",
    [PAGE_TABLE_WRAPS] = "passes the end of the address space",
    [PAGE_TABLE_NON_CANONICAL] = "not canonical",
    [PAGE_TABLE_BAD_PHYSICAL] = "beyond the physical address space",
    [PAGE_TABLE_BAD_ACCESS] = "impossible access",
    [PAGE_TABLE_WRONG_HALF] = "wrong half of the address space",
    [PAGE_TABLE_OCCUPIED] = "already mapped",
    [PAGE_TABLE_NOT_MAPPED] = "not mapped as 4 KiB pages",
    [PAGE_TABLE_UNREACHABLE] = "tables out of reach",
};
_Static_assert(ARRAY_LENGTH(error_names) == PAGE_TABLE_ERROR_COUNT, "every error has a name");

const char *page_table_error_name(enum page_table_error error)
{
    return (unsigned)error < PAGE_TABLE_ERROR_COUNT ? error_names[error] : "unknown error";
}

static const char *const path_names[] = {
    [PAGE_TABLE_PHYSMAP] = "physmap",     [PAGE_TABLE_IDENTITY] = "identity",
    [PAGE_TABLE_OFFSET] = "offset",       [PAGE_TABLE_TEMPORARY] = "temporary",
    [PAGE_TABLE_RECURSIVE] = "recursive",
};
_Static_assert(ARRAY_LENGTH(path_names) == PAGE_TABLE_PATH_COUNT, "every path has a name");

const char *page_table_path_name(enum page_table_path path)
{
    return (unsigned)path < PAGE_TABLE_PATH_COUNT ? path_names[path] : "unknown path";
}

/* ---- Life ---- */

bool table_reachable(const struct page_table *table)
{
    if (!table->access->open) {
        return true;
    }
    preempt_disable();
    page_table_entry_t *entries =
        table->access->open(table->access, table->root, virt_addr(0), table->levels);
    if (entries) {
        table->access->close(table->access, entries);
    }
    preempt_enable();
    return entries != NULL;
}

/* Remembers the way past the root, where 5 levels have one. */
static void remember_pml4(struct page_table *table, unsigned index, page_table_entry_t entry)
{
    if (table->levels == PAGE_LEVEL_PML5 && (index == 0 || index == PAGE_TABLE_ENTRIES - 1)) {
        entry_write(&table->pml4[index != 0], entry);
    }
}

/* Gives a new sharer the kernel's half of the root. Written through the pool: the root is not in use yet. */
static void share_upper_half(struct page_table *table, struct page_table *kernel)
{
    page_table_entry_t *mine = frame_pointer(table->frames, table->root);
    spinlock_acquire(&kernel->lock);
    page_table_entry_t *theirs = table_open(kernel, kernel->root, 0, kernel->levels);
    memcpy(&mine[PAGE_TABLE_ENTRIES / 2], &theirs[PAGE_TABLE_ENTRIES / 2], FRAME_BYTES / 2);
    table_close(kernel, theirs);
    remember_pml4(table, PAGE_TABLE_ENTRIES - 1, mine[PAGE_TABLE_ENTRIES - 1]);
    if (kernel->recursive_slot != 0) {
        mine[kernel->recursive_slot] = (page_table_entry_t){0};
    }
    table->next_sharer = kernel->next_sharer;
    kernel->next_sharer = table;
    spinlock_release(&kernel->lock);
}

/* One word has room for the CPUs of most machines; more of them have the memory for a frame. */
static bool make_set(struct page_table *table)
{
    unsigned cpus = cpus_present();
    if (cpu_set_words(cpus) == 1) {
        cpu_set_init(&table->loaded, &table->loaded_word, cpus);
        return true;
    }
    ASSERT(cpu_set_words(cpus) * sizeof(uint64_t) <= FRAME_BYTES);
    phys_addr_t frame = frame_alloc(table->frames, 0, OWNER_POOL);
    if (frame.raw == FRAME_NONE.raw) {
        return false;
    }
    cpu_set_init(&table->loaded, frame_pointer(table->frames, frame), cpus);
    table->loaded_frame = frame;
    return true;
}

static void drop_set(struct page_table *table)
{
    ASSERT(cpu_set_count(&table->loaded) == 0);
    if (table->loaded_frame.raw != FRAME_NONE.raw) {
        frame_free(table->frames, table->loaded_frame, 0);
    }
}

enum page_table_error page_table_init(struct page_table *table, struct frame_pool *frames,
                                      const struct page_table_access *access, unsigned levels,
                                      enum page_level largest_level, struct page_table *kernel)
{
    ASSERT(levels == PAGE_LEVEL_PML4 || levels == PAGE_LEVEL_PML5);
    ASSERT(largest_level >= PAGE_LEVEL_4K && largest_level <= PAGE_LEVEL_1G);
    ASSERT(!kernel || (kernel->levels == levels && !kernel->kernel));
    phys_addr_t root = frame_alloc_zeroed(frames, OWNER_POOL); /* until it is among those that are counted */
    if (root.raw == FRAME_NONE.raw) {
        return PAGE_TABLE_NO_MEMORY;
    }
    *table = (struct page_table){
        .root = root,
        .levels = levels,
        .largest_level = largest_level,
        .physical_end = kernel ? kernel->physical_end : PAGE_PHYSICAL_END,
        .access = access,
        .frames = frames,
        .space = kernel ? atomic_fetch_add(&spaces_made, 1) + 1 : TLB_SPACE_KERNEL,
        .kernel = kernel,
        .lock = SPINLOCK_INITIALIZER(LOCK_PAGE_TABLE),
        .table_frames = 1,
    };
    if (levels == PAGE_LEVEL_PML4) {
        table->pml4[0] = table->pml4[1] = page_entry_table(root, true);
    }
    if (kernel && !make_set(table)) {
        frame_free(frames, root, 0);
        return PAGE_TABLE_NO_MEMORY;
    }
    preempt_disable();
    frame_change_owner(frames, root, OWNER_POOL, OWNER_PAGE_TABLES);
    frame_note_set_root(frame_descriptor(frames, root), table);
    if (kernel) {
        share_upper_half(table, kernel);
    }
    preempt_enable();
    return PAGE_TABLE_OK;
}

static void leave_sharers(struct page_table *table)
{
    struct page_table *kernel = table->kernel;
    spinlock_acquire(&kernel->lock);
    struct page_table **link = &kernel->next_sharer;
    while (*link != table) {
        link = &(*link)->next_sharer;
    }
    *link = table->next_sharer;
    spinlock_release(&kernel->lock);
}

/* Frees the tables of the upper half that stayed although they are empty. */
static void free_kept_tables(struct page_table *table)
{
    page_table_entry_t *entries = frame_pointer(table->frames, table->root);
    for (unsigned i = PAGE_TABLE_ENTRIES / 2; i < PAGE_TABLE_ENTRIES; i++) {
        if (page_entry_kind(entries[i], table->levels) == ENTRY_TABLE && i != table->recursive_slot) {
            phys_addr_t child = page_entry_table_address(entries[i]);
            ASSERT(table_used(table, child) == 0);
            frame_free(table->frames, child, 0);
            table->table_frames--;
        }
    }
}

void page_table_destroy(struct page_table *table)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    if (table->kernel) {
        leave_sharers(table);
        drop_set(table);
    } else {
        ASSERT(!table->next_sharer && table->lent.raw == 0);
        free_kept_tables(table);
    }
    if (table->table_frames != 1) {
        panic("page tables: destroyed with %" PRIu64 " tables still in use", table->table_frames - 1);
    }
    frame_free(table->frames, table->root, 0);
}

void page_table_make_recursive(struct page_table *table, unsigned slot)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    ASSERT(slot >= PAGE_TABLE_ENTRIES / 2 && slot < PAGE_TABLE_ENTRIES);
    spinlock_acquire(&table->lock);
    page_table_entry_t *root = frame_pointer(table->frames, table->root);
    ASSERT(table->recursive_slot == 0 && page_entry_is_hole(entry_read(&root[slot])));
    entry_write(&root[slot], page_entry_recursive(table->root));
    table->recursive_slot = slot;
    spinlock_release(&table->lock);
}

void page_table_end_recursive(struct page_table *table)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    spinlock_acquire(&table->lock);
    ASSERT(table->recursive_slot != 0);
    page_table_entry_t *root = frame_pointer(table->frames, table->root);
    entry_write(&root[table->recursive_slot], (page_table_entry_t){0});
    tlb_flush(table, NULL, 0, false);
    table->recursive_slot = 0;
    spinlock_release(&table->lock);
}

void page_table_lend(struct page_table *table, virt_addr_t base, phys_addr_t lower)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    ASSERT(is_upper(base.raw) && is_aligned(base.raw, page_level_bytes(PAGE_LEVEL_PML4)));
    spinlock_acquire(&table->lock);
    ASSERT(table->lent.raw == 0 && !table->next_sharer);
    phys_addr_t at = table->root;
    if (table->levels == PAGE_LEVEL_PML5) {
        page_table_entry_t above = table_entry(table, at, base.raw, PAGE_LEVEL_PML5);
        ASSERT(page_entry_kind(above, PAGE_LEVEL_PML5) == ENTRY_TABLE);
        at = page_entry_table_address(above);
        table_use(table, at, 1);
    }
    ASSERT(page_entry_is_hole(table_entry(table, at, base.raw, PAGE_LEVEL_PML4)));
    table_link(table, at, base.raw, PAGE_LEVEL_PML4, page_entry_table(lower, false));
    table->lent = base;
    spinlock_release(&table->lock);
}

/* ---- Linking tables ---- */

/* Every root that shares the upper half gets the entry; through the pool, whichever root is loaded. */
static void tell_sharers(struct page_table *kernel, uint64_t address, page_table_entry_t entry)
    REQUIRES(kernel->lock)
{
    unsigned index = page_table_index(virt_addr(address), kernel->levels);
    for (struct page_table *sharer = kernel->next_sharer; sharer; sharer = sharer->next_sharer) {
        page_table_entry_t *root = frame_pointer(sharer->frames, sharer->root);
        entry_write(&root[index], entry);
        remember_pml4(sharer, index, entry);
    }
}

void table_link(struct page_table *table, phys_addr_t at, uint64_t address, unsigned level,
                page_table_entry_t entry)
{
    page_table_entry_t *entries = table_open(table, at, address, level);
    entry_write(&entries[page_table_index(virt_addr(address), level)], entry);
    table_close(table, entries);
    if (level == PAGE_LEVEL_PML5) {
        remember_pml4(table, page_table_index(virt_addr(address), level), entry);
    }
    if (is_kept(table, address, level)) {
        tell_sharers(table, address, entry);
    }
}
