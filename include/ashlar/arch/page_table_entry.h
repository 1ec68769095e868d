/*
 * The x86-64 page-table entry: every bit of it has its name here and nowhere else. Pure functions on one
 * word, the same for the loader, the kernel and the host tests (Intel SDM volume 3, sections 4.5 and 4.9).
 *
 * Levels are numbered from the leaf up: 1 page table (4 KiB pages), 2 page directory (2 MiB), 3
 * page-directory-pointer table (1 GiB), 4 PML4, 5 PML5.
 */
#pragma once

#include <ashlar/types.h>

#define PAGE_TABLE_ENTRIES 512

typedef struct {
    uint64_t raw;
} page_table_entry_t;

enum page_level {
    PAGE_LEVEL_4K = 1,
    PAGE_LEVEL_2M = 2,
    PAGE_LEVEL_1G = 3,
    PAGE_LEVEL_PML4 = 4,
    PAGE_LEVEL_PML5 = 5,
};

/* What may be done through a mapping; reading always may. */
enum page_access {
    PAGE_READ = 0,
    PAGE_WRITE = 1 << 0,
    PAGE_EXECUTE = 1 << 1,
    PAGE_USER = 1 << 2,
    PAGE_GLOBAL = 1 << 3, /* kept in the TLB when CR3 is loaded */
};

/*
 * How the CPU caches a mapping: an index into the page attribute table, which Ashlar programs with
 * PAGE_ATTRIBUTE_TABLE. The first four need no PAT bit, so they are the same on a CPU that lost its PAT but
 * for write-combining, which then is write-through.
 */
enum page_cache {
    CACHE_WRITE_BACK = 0,
    CACHE_WRITE_COMBINING = 1,
    CACHE_UNCACHED_WEAK = 2, /* UC-: an MTRR may make it write-combining */
    CACHE_UNCACHED = 3,
    CACHE_WRITE_PROTECTED = 5,
    CACHE_WRITE_THROUGH = 7,
};

/* IA32_PAT: byte n is the memory type of index n (SDM volume 3, table 11-10): WB WC UC- UC WB WP UC- WT. */
#define PAGE_ATTRIBUTE_TABLE 0x0407050600070106ULL

#define PAGE_ENTRY_PRESENT       (1ULL << 0)
#define PAGE_ENTRY_WRITE         (1ULL << 1)
#define PAGE_ENTRY_USER          (1ULL << 2)
#define PAGE_ENTRY_WRITE_THROUGH (1ULL << 3) /* bit 0 of the PAT index */
#define PAGE_ENTRY_CACHE_DISABLE (1ULL << 4) /* bit 1 of the PAT index */
#define PAGE_ENTRY_ACCESSED      (1ULL << 5)
#define PAGE_ENTRY_DIRTY         (1ULL << 6)
#define PAGE_ENTRY_LARGE         (1ULL << 7) /* a leaf at level 2 or 3 */
#define PAGE_ENTRY_PAT_4K        (1ULL << 7) /* bit 2 of the PAT index at level 1 */
#define PAGE_ENTRY_GLOBAL        (1ULL << 8)
#define PAGE_ENTRY_PAT_LARGE     (1ULL << 12) /* bit 2 of the PAT index at levels 2 and 3 */
#define PAGE_ENTRY_NO_EXECUTE    (1ULL << 63)
#define PAGE_ENTRY_ADDRESS       0x000ffffffffff000ULL

/* Bits of an address below the span of one entry at `level`. */
static inline unsigned page_level_shift(unsigned level)
{
    return FRAME_SHIFT + 9 * (level - 1);
}

/* Bytes that one entry at `level` spans. */
static inline uint64_t page_level_bytes(unsigned level)
{
    return 1ULL << page_level_shift(level);
}

/* Which entry of a table at `level` translates `address`. */
static inline unsigned page_table_index(virt_addr_t address, unsigned level)
{
    return (unsigned)(address.raw >> page_level_shift(level)) & (PAGE_TABLE_ENTRIES - 1);
}

/* Whether bits 63..(47 or 56) are all equal, as the CPU demands with `levels` levels. */
static inline bool virt_is_canonical(virt_addr_t address, unsigned levels)
{
    unsigned unused = 64 - (FRAME_SHIFT + 9 * levels);
    return (uint64_t)((int64_t)(address.raw << unused) >> unused) == address.raw;
}

/* An entry that names the next lower table. It restricts nothing: the leaves decide. */
static inline page_table_entry_t page_entry_table(phys_addr_t table, bool user)
{
    return (page_table_entry_t){table.raw | PAGE_ENTRY_PRESENT | PAGE_ENTRY_WRITE |
                                (user ? PAGE_ENTRY_USER : 0)};
}

/* The cache bits of a leaf at `level`. */
static inline uint64_t page_entry_cache_bits(unsigned level, enum page_cache cache)
{
    unsigned index = cache;
    uint64_t bits = (index & 1 ? PAGE_ENTRY_WRITE_THROUGH : 0) | (index & 2 ? PAGE_ENTRY_CACHE_DISABLE : 0);
    if (index & 4) {
        bits |= level == PAGE_LEVEL_4K ? PAGE_ENTRY_PAT_4K : PAGE_ENTRY_PAT_LARGE;
    }
    return bits;
}

/*
 * A leaf: maps page_level_bytes(level) at `target`, which is aligned to that. `access` is a set of enum
 * page_access. Accessed and dirty are set from the start where nobody will ask: it saves the CPU a locked
 * write.
 */
static inline page_table_entry_t page_entry_leaf(phys_addr_t target, unsigned level, unsigned access,
                                                 enum page_cache cache)
{
    uint64_t raw = target.raw | PAGE_ENTRY_PRESENT | page_entry_cache_bits(level, cache);
    raw |= level > PAGE_LEVEL_4K ? PAGE_ENTRY_LARGE : 0;
    raw |= access & PAGE_WRITE ? PAGE_ENTRY_WRITE : 0;
    raw |= access & PAGE_EXECUTE ? 0 : PAGE_ENTRY_NO_EXECUTE;
    raw |= access & PAGE_USER ? PAGE_ENTRY_USER : 0;
    raw |= access & PAGE_GLOBAL ? PAGE_ENTRY_GLOBAL : 0;
    return (page_table_entry_t){raw};
}

static inline bool page_entry_present(page_table_entry_t entry)
{
    return entry.raw & PAGE_ENTRY_PRESENT;
}

/* Whether a present entry at `level` maps memory rather than naming a table. */
static inline bool page_entry_is_leaf(page_table_entry_t entry, unsigned level)
{
    return level == PAGE_LEVEL_4K || (level <= PAGE_LEVEL_1G && (entry.raw & PAGE_ENTRY_LARGE));
}

/* The table that a non-leaf entry names. */
static inline phys_addr_t page_entry_table_address(page_table_entry_t entry)
{
    return phys_addr(entry.raw & PAGE_ENTRY_ADDRESS);
}

/* The first byte that a leaf at `level` maps. */
static inline phys_addr_t page_entry_leaf_address(page_table_entry_t entry, unsigned level)
{
    return phys_addr(align_down(entry.raw & PAGE_ENTRY_ADDRESS, page_level_bytes(level)));
}

/* What a leaf allows by itself: a set of enum page_access. The tables above it may allow less. */
static inline unsigned page_entry_access(page_table_entry_t entry)
{
    return (entry.raw & PAGE_ENTRY_WRITE ? PAGE_WRITE : 0u) |
           (entry.raw & PAGE_ENTRY_NO_EXECUTE ? 0u : PAGE_EXECUTE) |
           (entry.raw & PAGE_ENTRY_USER ? PAGE_USER : 0u) |
           (entry.raw & PAGE_ENTRY_GLOBAL ? PAGE_GLOBAL : 0u);
}

/* How a leaf at `level` is cached. Index 4 and 6 of the table repeat 0 and 2. */
static inline enum page_cache page_entry_cache(page_table_entry_t entry, unsigned level)
{
    uint64_t pat_bit = level == PAGE_LEVEL_4K ? PAGE_ENTRY_PAT_4K : PAGE_ENTRY_PAT_LARGE;
    unsigned index = (entry.raw & PAGE_ENTRY_WRITE_THROUGH ? 1u : 0u) |
                     (entry.raw & PAGE_ENTRY_CACHE_DISABLE ? 2u : 0u) | (entry.raw & pat_bit ? 4u : 0u);
    return (enum page_cache)(index == 4 || index == 6 ? index - 4 : index);
}
