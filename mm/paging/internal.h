/*
 * Inside the page tables (mm/paging/): reaching a table, reading and writing its entries, its use
 * count, and walking a range table by table.
 *
 * A range is a pair of addresses, first and last byte, so that the very end of the address space needs no
 * special case.
 */
#pragma once

#include <ashlar/assert.h>
#include <ashlar/page_table.h>

/* ---- Reaching a table: at most two are open at once, by the contract of struct page_table_access ---- */

/* The entries of the table at `at`. Where tables have addresses for good this is one addition. */
static inline page_table_entry_t *table_open(const struct page_table *table, phys_addr_t at, uint64_t address,
                                             unsigned level)
{
    const struct page_table_access *access = table->access;
    if (__builtin_expect(access->open == NULL, true)) {
        return (page_table_entry_t *)(uintptr_t)(access->offset + at.raw);
    }
    page_table_entry_t *entries = access->open(access, at, virt_addr(address), level);
    ASSERT(entries != NULL);
    return entries;
}

static inline void table_close(const struct page_table *table, page_table_entry_t *entries)
{
    if (__builtin_expect(table->access->open != NULL, false)) {
        table->access->close(table->access, entries);
    }
}

/*
 * ---- Entries: the CPU reads them at any time and sets accessed and dirty, so each access is one access ----
 */

static inline page_table_entry_t entry_read(const page_table_entry_t *entry)
{
    return (page_table_entry_t){__atomic_load_n(&entry->raw, __ATOMIC_RELAXED)};
}

/* What the entry names is written before the entry can be seen. */
static inline void entry_write(page_table_entry_t *entry, page_table_entry_t value)
{
    cpu_interleave();
    __atomic_store_n(&entry->raw, value.raw, __ATOMIC_RELEASE);
    cpu_interleave();
}

/* Writes and returns what was there, with the accessed and dirty bits as they were in that instant. */
static inline page_table_entry_t entry_exchange(page_table_entry_t *entry, page_table_entry_t value)
{
    cpu_interleave();
    page_table_entry_t before = {__atomic_exchange_n(&entry->raw, value.raw, __ATOMIC_ACQ_REL)};
    cpu_interleave();
    return before;
}

static inline page_table_entry_t table_entry(const struct page_table *table, phys_addr_t at, uint64_t address,
                                             unsigned level)
{
    page_table_entry_t *entries = table_open(table, at, address, level);
    page_table_entry_t entry = entry_read(&entries[page_table_index(virt_addr(address), level)]);
    table_close(table, entries);
    return entry;
}

/* ---- Use counts: entries in use of a table that is not a root, in the note of its frame ---- */

static inline uint64_t table_used(const struct page_table *table, phys_addr_t at)
{
    return frame_note_used(frame_descriptor(table->frames, at));
}

static inline void table_use(const struct page_table *table, phys_addr_t at, int64_t more)
{
    frame_note_use(frame_descriptor(table->frames, at), more);
}

/* ---- Ranges ---- */

/* Last byte of [first, last] that the entry at `level` for `first` spans. */
static inline uint64_t chunk_last(uint64_t first, uint64_t last, unsigned level)
{
    return min_u64(first | (page_level_bytes(level) - 1), last);
}

/* Whether [first, last] is all that one entry at `level` spans. */
static inline bool chunk_is_whole(uint64_t first, uint64_t last, unsigned level)
{
    return last - first == page_level_bytes(level) - 1 && is_aligned(first, page_level_bytes(level));
}

/* Upper half: bit 63, in canonical addresses. */
static inline bool is_upper(uint64_t address)
{
    return address >> 63;
}

/* Whether the entry for `address` in a table at `level` is the one by which the root names itself. */
static inline bool is_recursive(const struct page_table *table, uint64_t address, unsigned level)
{
    return level == table->levels && table->recursive_slot != 0 &&
           page_table_index(virt_addr(address), level) == table->recursive_slot;
}

/* Whether the tables below the entry for `address` at `level` are somebody else's. */
static inline bool is_lent(const struct page_table *table, uint64_t address, unsigned level)
{
    return level == PAGE_LEVEL_PML4 && table->lent.raw != 0 &&
           align_down(address, page_level_bytes(PAGE_LEVEL_PML4)) == table->lent.raw;
}

/* Whether nothing is to be changed below the entry for `address` at `level`. */
static inline bool is_foreign(const struct page_table *table, uint64_t address, unsigned level)
{
    return is_recursive(table, address, level) || is_lent(table, address, level);
}

/* Whether [first, last] reaches into the room of the recursive entry or that of lent tables. */
static inline bool touches_foreign(const struct page_table *table, uint64_t first, uint64_t last)
{
    if (!is_upper(first)) {
        return false;
    }
    if (table->recursive_slot == 0 && table->lent.raw == 0) {
        return false;
    }
    bool recursive = table->recursive_slot != 0 &&
                     page_table_index(virt_addr(first), table->levels) <= table->recursive_slot &&
                     page_table_index(virt_addr(last), table->levels) >= table->recursive_slot;
    uint64_t lent_last = table->lent.raw | (page_level_bytes(PAGE_LEVEL_PML4) - 1);
    return recursive || (table->lent.raw != 0 && first <= lent_last && last >= table->lent.raw);
}

/* Whether the table below the entry for `address` at `level` stays when it is empty: sharers have copies of
 * the entry. */
static inline bool is_kept(const struct page_table *table, uint64_t address, unsigned level)
{
    return level == table->levels && is_upper(address);
}

/* ---- The short way, for ranges within one table of level 1 that exists ---- */

/* Whether an address is one that 4 levels have too, in a half that may be changed. */
static inline __attribute__((always_inline)) bool address_is_ours(const struct page_table *table,
                                                                  uint64_t address)
{
    return virt_is_common(virt_addr(address)) && (!is_upper(address) || table->kernel == NULL);
}

/*
 * Whether a range is surely sound, may be changed, and lies within one table of level 1: in few branches.
 * Where it says no, range_check() tells why.
 */
static inline bool range_is_short(const struct page_table *table, uint64_t base, uint64_t bytes)
{
    uint64_t last = base + bytes - 1;
    return last >= base && (base ^ last) >> page_level_shift(PAGE_LEVEL_2M) == 0 &&
           is_aligned(base | bytes, FRAME_BYTES) && address_is_ours(table, base);
}

/*
 * The table of level 1 for `first`, if it exists, is reached directly, and lies in a room that is ours; none
 * otherwise.
 */
static inline __attribute__((always_inline)) phys_addr_t only_table(const struct page_table *table,
                                                                    uint64_t first)
{
    uint64_t offset = table->access->offset;
    virt_addr_t address = virt_addr(first);
    page_table_entry_t entry = entry_read(&table->pml4[is_upper(first)]);
    if (table->access->open || entry.raw == 0 ||
        (is_upper(first) &&
         (is_recursive(table, first, table->levels) || is_lent(table, first, PAGE_LEVEL_PML4)))) {
        return FRAME_NONE;
    }
    entry = page_walk_direct(offset, entry, address, PAGE_LEVEL_PML4);
    if (page_entry_kind(entry, PAGE_LEVEL_PML4) != ENTRY_TABLE) {
        return FRAME_NONE;
    }
    entry = page_walk_direct(offset, entry, address, PAGE_LEVEL_1G);
    if (page_entry_kind(entry, PAGE_LEVEL_1G) != ENTRY_TABLE) {
        return FRAME_NONE;
    }
    entry = page_walk_direct(offset, entry, address, PAGE_LEVEL_2M);
    if (page_entry_kind(entry, PAGE_LEVEL_2M) != ENTRY_TABLE) {
        return FRAME_NONE;
    }
    return page_entry_table_address(entry);
}

/* The level 1 entries from the one for `address` on, in the table that only_table() found. */
static inline page_table_entry_t *only_entries(const struct page_table *table, phys_addr_t at,
                                               uint64_t address)
{
    uint64_t offset = page_table_offset(virt_addr(address), PAGE_LEVEL_4K);
    return (page_table_entry_t *)(uintptr_t)(table->access->offset + at.raw + offset);
}

/* ---- What comes in ---- */

/* Checks a range by itself, where nothing will be changed: the shared half may be looked at. */
static inline enum page_table_error range_check_look(const struct page_table *table, virt_addr_t base,
                                                     uint64_t bytes)
{
    uint64_t last = base.raw + bytes - 1;
    if (bytes == 0) {
        return PAGE_TABLE_EMPTY;
    }
    if (!is_aligned(base.raw | bytes, FRAME_BYTES)) {
        return PAGE_TABLE_UNALIGNED;
    }
    if (last < base.raw) {
        return PAGE_TABLE_WRAPS;
    }
    /* The last byte is in the same half when it differs below the half's sign bits only. */
    bool one_half = (base.raw ^ last) >> (page_level_shift(table->levels + 1) - 1) == 0;
    return one_half && virt_is_canonical(base, table->levels) ? PAGE_TABLE_OK : PAGE_TABLE_NON_CANONICAL;
}

/* The same where something will be. */
static inline enum page_table_error range_check(const struct page_table *table, virt_addr_t base,
                                                uint64_t bytes)
{
    enum page_table_error error = range_check_look(table, base, bytes);
    if (error == PAGE_TABLE_OK && table->kernel && is_upper(base.raw)) {
        return PAGE_TABLE_WRONG_HALF;
    }
    return error;
}

/* Checks what a leaf in the half of `base` may allow, and how it may be cached. */
static inline enum page_table_error leaf_check(virt_addr_t base, unsigned access, enum page_cache cache)
{
    bool both = (access & (PAGE_WRITE | PAGE_EXECUTE)) == (PAGE_WRITE | PAGE_EXECUTE);
    bool unknown = access & ~(unsigned)PAGE_ACCESS_ALL && access != PAGE_INACCESSIBLE;
    if (unknown || both || !page_cache_exists(cache)) {
        return PAGE_TABLE_BAD_ACCESS;
    }
    unsigned foreign = is_upper(base.raw) ? PAGE_USER : PAGE_GLOBAL;
    return access & foreign ? PAGE_TABLE_WRONG_HALF : PAGE_TABLE_OK;
}

/* ---- table.c ---- */

/* Whether the table's way of access works now. */
bool table_reachable(const struct page_table *table);

/* Writes the entry for `address` in the table at `at`; a new one in the kernel's half of the root goes to all
 * who share it. */
void table_link(struct page_table *table, phys_addr_t at, uint64_t address, unsigned level,
                page_table_entry_t entry) REQUIRES(table->lock);

/* ---- reserve.c ---- */

/* Takes `count`, or none at all and returns false. */
bool reserve_fill(struct page_table *table, struct table_reserve *reserve, uint64_t count);
/* One of them, its use count 0; there is one. */
phys_addr_t reserve_take(struct page_table *table, struct table_reserve *reserve) REQUIRES(table->lock);
void reserve_empty(struct page_table *table, struct table_reserve *reserve);

/* Unlinks an empty table from the entry for `address` at `level` in `parent`; the batch frees it. */
void table_drop(struct page_table *table, phys_addr_t parent, uint64_t address, unsigned level,
                phys_addr_t child, struct tlb_batch *batch) REQUIRES(table->lock);

/*
 * Flushes if tables of the kernel's have been dropped; the last step of whatever drops any, before the lock
 * is let go. A CPU may have the entry that named the table cached. Were another table put there for a
 * neighbouring address before that is gone, the CPU would look into the old one, find nothing, and fault. The
 * kernel must not; in a space the fault finds the page there, and has itself dropped what was cached of the
 * way to it (SDM volume 3, 4.10.4.1). So a space's tables wait in the batch.
 */
static inline void tables_settle(struct page_table *table, struct tlb_batch *batch) REQUIRES(table->lock)
{
    if (!table->kernel && batch->tables.raw != FRAME_NONE.raw) {
        tlb_batch_finish(batch);
    }
}

/* ---- page.c ---- */

/* Takes out the tables on the way to `address` that are empty, from `level` up; returns the level of the last
 * one's entries, or one below if none went. */
unsigned tables_shrink(struct page_table *table, uint64_t address, unsigned level, struct tlb_batch *batch)
    REQUIRES(table->lock);

/* The same for the table `at` of level 1 of whose pages, around `address`, some have gone. Of `whole`, which
 * they are a part of, nobody but the caller changes anything before the batch is flushed: a table that spans
 * more is flushed at once. */
void tables_shrink_within(struct page_table *table, phys_addr_t at, uint64_t address,
                          const struct tlb_range *whole, struct tlb_batch *batch) REQUIRES(table->lock);

/* ---- way.c ---- */

/*
 * The entry for `address` at `level`. Where a table is missing on the way or something else lies in it, the
 * result has the level of that, which is higher.
 */
struct page_walk_step way_find(const struct page_table *table, uint64_t address, unsigned level);

/*
 * The table at `level` that has the entry for `address`, with the tables that are missing taken from
 * `reserve`, which has enough; way_find() met nothing else in the way.
 */
phys_addr_t way_make(struct page_table *table, struct table_reserve *reserve, uint64_t address,
                     unsigned level) REQUIRES(table->lock);

/* ---- replace.c ---- */

/*
 * Whether a CPU with the leaf `old` in its TLB and one that reads `now`, of the same size, would see
 * different memory or cache it differently: then only clear, flush, set will do. The bits that say so are the
 * same at every level: where one size has its PAT bit, the other has a bit of the address or LARGE.
 */
static inline bool leaf_moves(page_table_entry_t old, page_table_entry_t now)
{
    const uint64_t where = PAGE_ENTRY_ADDRESS | PAGE_ENTRY_WRITE_THROUGH | PAGE_ENTRY_CACHE_DISABLE |
                           PAGE_ENTRY_PAT_4K | PAGE_ENTRY_PAT_LARGE;
    return (old.raw & now.raw & PAGE_ENTRY_PRESENT) && ((old.raw ^ now.raw) & where);
}

/*
 * Whether a TLB that holds `old` could do something with it that `now`, which leads to the same memory, does
 * not allow, or miss a bit to set.
 */
bool leaf_narrows(page_table_entry_t old, page_table_entry_t now);

/*
 * Clears a present leaf at `level` that maps `base` and flushes it, with all that the batch has noted;
 * returns it as it was, accessed and dirty bits final.
 */
page_table_entry_t leaf_take(page_table_entry_t *entry, uint64_t base, unsigned level,
                             struct tlb_batch *batch);

/* entry_replace() where a present leaf is. */
page_table_entry_t leaf_replace(page_table_entry_t *entry, uint64_t base, unsigned level,
                                page_table_entry_t now, struct tlb_batch *batch);

/*
 * Gives the entry of the page at `base` another value, neither of them a table; returns the old one. What
 * leads elsewhere is flushed before, together with all that the batch has noted; what narrows is noted.
 */
static inline page_table_entry_t entry_replace(page_table_entry_t *entry, uint64_t base, unsigned level,
                                               page_table_entry_t now, struct tlb_batch *batch)
{
    page_table_entry_t old = entry_read(entry);
    if (page_entry_present(old)) {
        return leaf_replace(entry, base, level, now, batch);
    }
    entry_write(entry, now); /* cached nowhere */
    return old;
}

/* ---- split.c ---- */

/* What protecting gives a leaf; unmapping passes none. */
struct leaf_change {
    unsigned access;       /* enum page_access */
    enum page_cache cache; /* how it is cached */
};

/* The leaf with its access and cache kind replaced, all else kept. */
page_table_entry_t leaf_with_change(page_table_entry_t leaf, unsigned level,
                                    const struct leaf_change *change);

/*
 * Splits the large pages that begin before `first` or end behind `last`, but for those that `change` (or
 * NULL) leaves as they are. All or nothing: PAGE_TABLE_NO_MEMORY.
 */
enum page_table_error split_ends(struct page_table *table, uint64_t first, uint64_t last,
                                 const struct leaf_change *change, struct tlb_batch *batch)
    REQUIRES(table->lock);
