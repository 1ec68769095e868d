/* Mapping: a pass that reads and counts the tables that are missing, then one that writes. */
#include <ashlar/page_build.h>

#include "internal.h"
#include "valid.h"

/* One call of page_table_map() or page_table_map_frames(). */
struct mapping {
    struct page_table *table;     /* where */
    const phys_addr_t *frames;    /* targets page by page; NULL when they are one after the other */
    uint64_t base;                /* first virtual address */
    uint64_t distance;            /* target minus virtual address, without `frames` */
    unsigned largest;             /* largest leaf */
    unsigned access;              /* enum page_access */
    enum page_cache cache;        /* how leaves are cached */
    struct table_reserve reserve; /* tables to be linked */
};

/* Leaves of one size in one table: as much of the range as is done at once. */
struct stretch {
    uint64_t first, last; /* bytes */
    unsigned level;       /* of the leaves, and of the table */
    unsigned count;       /* of leaves */
};

/* The stretch that begins at `first`, of what is left up to `last`. */
static struct stretch stretch_at(const struct mapping *mapping, uint64_t first, uint64_t last)
{
    unsigned level = page_leaf_level(virt_addr(first), phys_addr(first + mapping->distance), last - first + 1,
                                     mapping->largest);
    uint64_t in_table = chunk_last(first, last, level + 1) - first + 1;
    unsigned count = (unsigned)(in_table >> page_level_shift(level));
    return (struct stretch){first, first + ((uint64_t)count << page_level_shift(level)) - 1, level, count};
}

/*
 * How many tables the stretch brings, where the entry at `level` on its way is a hole: those of which the
 * range has nothing before it. For the others a stretch before has been counted.
 */
static unsigned tables_missing(const struct mapping *mapping, const struct stretch *stretch, unsigned level)
{
    unsigned count = 0;
    while (--level >= stretch->level) {
        count += stretch->first == mapping->base || is_aligned(stretch->first, page_level_bytes(level + 1));
    }
    return count;
}

/* Whether all entries for the stretch, in the table at `at`, are holes. */
static bool entries_free(const struct page_table *table, phys_addr_t at, const struct stretch *stretch)
{
    page_table_entry_t *entries = table_open(table, at, stretch->first, stretch->level);
    unsigned index = page_table_index(virt_addr(stretch->first), stretch->level);
    unsigned i = 0;
    while (i < stretch->count && page_entry_is_hole(entry_read(&entries[index + i]))) {
        i++;
    }
    table_close(table, entries);
    return i == stretch->count;
}

/* The reading pass, up to the byte `last`: how many tables are missing. */
static enum page_table_error plan(const struct mapping *mapping, uint64_t last, uint64_t *missing)
{
    const struct page_table *table = mapping->table;
    struct stretch stretch;
    *missing = 0;
    for (uint64_t first = mapping->base;; first = stretch.last + 1) {
        stretch = stretch_at(mapping, first, last);
        const struct page_walk_step found = way_find(table, first, stretch.level);
        if (!page_entry_is_hole(found.entry)) {
            return PAGE_TABLE_OCCUPIED;
        }
        if (found.level != stretch.level) {
            *missing += tables_missing(mapping, &stretch, found.level);
        } else if (!entries_free(table, found.table, &stretch)) {
            return PAGE_TABLE_OCCUPIED;
        }
        if (stretch.last == last) {
            return PAGE_TABLE_OK;
        }
    }
}

/* Fills the stretch's part of the table at `at`. */
static void fill_leaves(const struct mapping *mapping, phys_addr_t at, const struct stretch *stretch)
    REQUIRES(mapping->table->lock)
{
    struct page_table *table = mapping->table;
    page_table_entry_t *entries = table_open(table, at, stretch->first, stretch->level);
    page_table_entry_t *entry = entries + page_table_index(virt_addr(stretch->first), stretch->level);
    page_table_entry_t form = page_entry_leaf(phys_addr(0), stretch->level, mapping->access, mapping->cache);
    if (mapping->frames) {
        const phys_addr_t *frames = &mapping->frames[(stretch->first - mapping->base) >> FRAME_SHIFT];
        for (unsigned i = 0; i < stretch->count; i++) {
            entry_write(&entry[i], (page_table_entry_t){form.raw | frames[i].raw});
        }
    } else {
        uint64_t raw = form.raw | (stretch->first + mapping->distance);
        for (unsigned i = 0; i < stretch->count; i++, raw += page_level_bytes(stretch->level)) {
            entry_write(&entry[i], (page_table_entry_t){raw});
        }
    }
    table_close(table, entries);
    table_use(table, at, stretch->count);
}

/* The writing pass. */
static void fill(struct mapping *mapping, uint64_t last) REQUIRES(mapping->table->lock)
{
    struct stretch stretch;
    for (uint64_t first = mapping->base;; first = stretch.last + 1) {
        stretch = stretch_at(mapping, first, last);
        fill_leaves(mapping, way_make(mapping->table, &mapping->reserve, first, stretch.level), &stretch);
        if (stretch.last == last) {
            return;
        }
    }
}

static enum page_table_error map_locked(struct mapping *mapping, uint64_t last) REQUIRES(mapping->table->lock)
{
    uint64_t missing;
    if (touches_foreign(mapping->table, mapping->base, last)) {
        return PAGE_TABLE_OCCUPIED;
    }
    enum page_table_error error = plan(mapping, last, &missing);
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    if (!reserve_fill(mapping->table, &mapping->reserve, missing)) {
        return PAGE_TABLE_NO_MEMORY;
    }
    fill(mapping, last);
    DEBUG_ASSERT(mapping->reserve.first.raw == FRAME_NONE.raw);
    return PAGE_TABLE_OK;
}

/* Both mapping functions' long way. */
static __attribute__((noinline)) enum page_table_error map_checked(struct mapping *mapping, uint64_t bytes)
{
    enum page_table_error error;
    if (!table_reachable(mapping->table)) {
        return PAGE_TABLE_UNREACHABLE;
    }
    spinlock_acquire(&mapping->table->lock);
    error = map_locked(mapping, mapping->base + bytes - 1);
    spinlock_release(&mapping->table->lock);
    return error;
}

/*
 * A 4 KiB leaf without its address if leaf_check() surely finds nothing; 0 otherwise, and for cache kinds
 * that need the PAT bit, which are rare.
 */
static inline __attribute__((always_inline)) page_table_entry_t leaf_form(uint64_t base, unsigned access,
                                                                          enum page_cache cache)
{
#define FORM(bits) (PAGE_ENTRY_PRESENT | (bits))
    static const uint64_t forms[2][PAGE_ACCESS_ALL + 1] = {
        {
            [PAGE_READ] = FORM(PAGE_ENTRY_NO_EXECUTE),
            [PAGE_WRITE] = FORM(PAGE_ENTRY_WRITE | PAGE_ENTRY_NO_EXECUTE),
            [PAGE_EXECUTE] = FORM(0),
            [PAGE_USER] = FORM(PAGE_ENTRY_USER | PAGE_ENTRY_NO_EXECUTE),
            [PAGE_USER | PAGE_WRITE] = FORM(PAGE_ENTRY_USER | PAGE_ENTRY_WRITE | PAGE_ENTRY_NO_EXECUTE),
            [PAGE_USER | PAGE_EXECUTE] = FORM(PAGE_ENTRY_USER),
        },
        {
            [PAGE_READ] = FORM(PAGE_ENTRY_NO_EXECUTE),
            [PAGE_WRITE] = FORM(PAGE_ENTRY_WRITE | PAGE_ENTRY_NO_EXECUTE),
            [PAGE_EXECUTE] = FORM(0),
            [PAGE_GLOBAL] = FORM(PAGE_ENTRY_GLOBAL | PAGE_ENTRY_NO_EXECUTE),
            [PAGE_GLOBAL | PAGE_WRITE] = FORM(PAGE_ENTRY_GLOBAL | PAGE_ENTRY_WRITE | PAGE_ENTRY_NO_EXECUTE),
            [PAGE_GLOBAL | PAGE_EXECUTE] = FORM(PAGE_ENTRY_GLOBAL),
        },
    };
#undef FORM
    if (access > PAGE_ACCESS_ALL || (unsigned)cache > CACHE_UNCACHED) {
        return (page_table_entry_t){0};
    }
    return (page_table_entry_t){forms[is_upper(base)][access] | page_entry_cache_bits_common(cache)};
}

/*
 * The short way, where the only table there can be exists: `leaf` is the first one. Returns whether that is
 * all; if not, nothing has changed. A table that exists has entries in use, so a larger page never fits
 * instead. Inline: for one page no loop is left.
 */
static inline __attribute__((always_inline)) bool map_short(struct page_table *table, uint64_t base,
                                                            uint64_t count, page_table_entry_t leaf)
    REQUIRES(table->lock)
{
    phys_addr_t only = only_table(table, base);
    if (only.raw == FRAME_NONE.raw) {
        return false;
    }
    page_table_entry_t *entries = only_entries(table, only, base);
    for (uint64_t i = 0; i < count; i++) {
        if (!page_entry_is_hole(entry_read(&entries[i]))) {
            return false;
        }
    }
    for (uint64_t i = 0; i < count; i++, leaf.raw += FRAME_BYTES) {
        entry_write(&entries[i], leaf);
    }
    table_use(table, only, (int64_t)count);
    return true;
}

/* Maps more than a page, or what has no table yet, and tells what is wrong. */
static __attribute__((noinline)) enum page_table_error map_long(struct page_table *table, virt_addr_t base,
                                                                phys_addr_t target, uint64_t bytes,
                                                                unsigned access, enum page_cache cache,
                                                                enum page_level largest)
{
    enum page_table_error error = range_check(table, base, bytes);
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    if (!is_aligned(target.raw, FRAME_BYTES)) {
        return PAGE_TABLE_UNALIGNED;
    }
    if (target.raw >= table->physical_end || bytes > table->physical_end - target.raw) {
        return PAGE_TABLE_BAD_PHYSICAL;
    }
    if (largest < PAGE_LEVEL_4K || largest > PAGE_LEVEL_1G) {
        return PAGE_TABLE_BAD_ACCESS;
    }
    error = leaf_check(base, access, cache);
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    if (bytes != FRAME_BYTES && range_is_short(table, base.raw, bytes)) {
        page_table_entry_t leaf = page_entry_leaf(target, PAGE_LEVEL_4K, access, cache);
        spinlock_acquire(&table->lock);
        bool done = map_short(table, base.raw, bytes >> FRAME_SHIFT, leaf);
        spinlock_release(&table->lock);
        if (done) {
            return PAGE_TABLE_OK;
        }
    }
    struct mapping mapping = {.table = table,
                              .base = base.raw,
                              .distance = target.raw - base.raw,
                              .largest = largest < table->largest_level ? largest : table->largest_level,
                              .access = access,
                              .cache = cache};
    return map_checked(&mapping, bytes);
}

enum page_table_error page_table_map(struct page_table *table, virt_addr_t base, phys_addr_t target,
                                     uint64_t bytes, unsigned access, enum page_cache cache,
                                     enum page_level largest)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    VALIDATE_AT_RANDOM(page_table, page_table_check_reachable, table);
    page_table_entry_t leaf = leaf_form(base.raw, access, cache);
    if (bytes == FRAME_BYTES && leaf.raw != 0 && is_aligned(base.raw | target.raw, FRAME_BYTES) &&
        address_is_ours(table, base.raw) && target.raw + (FRAME_BYTES - 1) < table->physical_end &&
        largest >= PAGE_LEVEL_4K && largest <= PAGE_LEVEL_1G) {
        leaf.raw |= target.raw;
        spinlock_acquire(&table->lock);
        bool done = map_short(table, base.raw, 1, leaf);
        spinlock_release(&table->lock);
        if (done) {
            return PAGE_TABLE_OK;
        }
    }
    return map_long(table, base, target, bytes, access, cache, largest);
}

/* The short way for frames, which are checked here. */
static inline bool map_frames_short(struct page_table *table, uint64_t base, const phys_addr_t *frames,
                                    uint64_t count, page_table_entry_t form) REQUIRES(table->lock)
{
    phys_addr_t only = only_table(table, base);
    if (only.raw == FRAME_NONE.raw) {
        return false;
    }
    page_table_entry_t *entries = only_entries(table, only, base);
    uint64_t end = table->physical_end;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t frame = frames[i].raw;
        if (!is_aligned(frame, FRAME_BYTES) || frame >= end || !page_entry_is_hole(entry_read(&entries[i]))) {
            return false;
        }
    }
    for (uint64_t i = 0; i < count; i++) {
        entry_write(&entries[i], (page_table_entry_t){form.raw | frames[i].raw});
    }
    table_use(table, only, (int64_t)count);
    return true;
}

/* Maps frames into more than one table, or where one is missing, and tells what is wrong. */
static __attribute__((noinline)) enum page_table_error
map_frames_long(struct page_table *table, virt_addr_t base, const phys_addr_t *frames, uint64_t count,
                unsigned access, enum page_cache cache)
{
    if (count > UINT64_MAX >> FRAME_SHIFT) {
        return PAGE_TABLE_WRAPS;
    }
    enum page_table_error error = range_check(table, base, count << FRAME_SHIFT);
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!is_aligned(frames[i].raw, FRAME_BYTES)) {
            return PAGE_TABLE_UNALIGNED;
        }
        if (frames[i].raw >= table->physical_end) {
            return PAGE_TABLE_BAD_PHYSICAL;
        }
    }
    error = leaf_check(base, access, cache);
    if (error != PAGE_TABLE_OK) {
        return error;
    }
    struct mapping mapping = {.table = table,
                              .frames = frames,
                              .base = base.raw,
                              .largest = PAGE_LEVEL_4K,
                              .access = access,
                              .cache = cache};
    return map_checked(&mapping, count << FRAME_SHIFT);
}

enum page_table_error page_table_map_frames(struct page_table *table, virt_addr_t base,
                                            const phys_addr_t *frames, uint64_t count, unsigned access,
                                            enum page_cache cache)
{
    DEBUG_ASSERT(page_table_is_valid(table));
    VALIDATE_AT_RANDOM(page_table, page_table_check_reachable, table);
    page_table_entry_t form = leaf_form(base.raw, access, cache);
    if (count <= PAGE_TABLE_ENTRIES && form.raw != 0 &&
        range_is_short(table, base.raw, count << FRAME_SHIFT)) {
        spinlock_acquire(&table->lock);
        bool done = map_frames_short(table, base.raw, frames, count, form);
        spinlock_release(&table->lock);
        if (done) {
            return PAGE_TABLE_OK;
        }
    }
    return map_frames_long(table, base, frames, count, access, cache);
}
