/*
 * The x86-64 page-table entry: every bit of it has its name here and nowhere else. Pure functions on one
 * word, the same for the loader, the kernel and the host tests (Intel SDM volume 3, sections 4.5 and 4.9).
 * What an entry is, of those kinds that the system tells apart, says <ashlar/arch/page_entry_kind.h>.
 *
 * Levels are numbered from the leaf up: 1 page table (4 KiB pages), 2 page directory (2 MiB), 3
 * page-directory-pointer table (1 GiB), 4 PML4, 5 PML5.
 */
#pragma once

#include <ashlar/types.h>

#define PAGE_TABLE_ENTRIES 512
#define PAGE_ENTRY_SHIFT   3 /* an entry has 8 bytes */

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

/* What may be done through a mapping; reading may unless it is inaccessible. */
enum page_access {
    PAGE_READ = 0,
    PAGE_WRITE = 1 << 0,
    PAGE_EXECUTE = 1 << 1,
    PAGE_USER = 1 << 2,
    PAGE_GLOBAL = 1 << 3,       /* kept in the TLB when CR3 is loaded */
    PAGE_INACCESSIBLE = 1 << 4, /* by itself: nothing, by nobody, the kernel included */
    PAGE_ACCESS_ALL = PAGE_WRITE | PAGE_EXECUTE | PAGE_USER | PAGE_GLOBAL,
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

/* Whether there is such a kind: 4 and 6 repeat 0 and 2, and have no name. */
static inline bool page_cache_exists(unsigned cache)
{
    return cache <= CACHE_WRITE_THROUGH && cache != 4 && cache != 6;
}

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
#define PAGE_ENTRY_SOFTWARE_LOW  (7ULL << 9)     /* left to the system, 3 bits */
#define PAGE_ENTRY_SOFTWARE_HIGH (0x7fULL << 52) /* and 7 */
#define PAGE_ENTRY_KEY           (0xfULL << 59)  /* protection key of a user leaf (4.6.2) */
#define PAGE_ENTRY_KEY_SHIFT     59
#define PAGE_ENTRY_SET_BY_CPU    (PAGE_ENTRY_ACCESSED | PAGE_ENTRY_DIRTY)
#define PAGE_PHYSICAL_BITS_MAX   52
#define PAGE_PHYSICAL_END        (1ULL << PAGE_PHYSICAL_BITS_MAX) /* the format has no more address bits */
#define PAGE_SOFTWARE_MAX        0x3ffu                           /* 10 bits left to the system */
#define PAGE_KEY_MAX             15

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

/* Where that entry lies in its table, in bytes: the index without a detour, in one shift and one mask. */
static inline uint64_t page_table_offset(virt_addr_t address, unsigned level)
{
    const uint64_t places = (uint64_t)(PAGE_TABLE_ENTRIES - 1) << PAGE_ENTRY_SHIFT;
    return address.raw >> (page_level_shift(level) - PAGE_ENTRY_SHIFT) & places;
}

/* Whether bits 63..(47 or 56) are all equal, as the CPU demands with `levels` levels. */
static inline bool virt_is_canonical(virt_addr_t address, unsigned levels)
{
    unsigned unused = 64 - (FRAME_SHIFT + 9 * levels);
    return (uint64_t)((int64_t)(address.raw << unused) >> unused) == address.raw;
}

/* Whether it is canonical with 4 levels, and so with 5: where all of the kernel and nearly all users are. */
static inline __attribute__((always_inline)) bool virt_is_common(virt_addr_t address)
{
    const uint64_t half = 1ULL << 47;
    return __builtin_expect(address.raw + half < 2 * half, true);
}

/* An entry that names the next lower table. It restricts nothing: the leaves decide. */
static inline page_table_entry_t page_entry_table(phys_addr_t table, bool user)
{
    return (page_table_entry_t){table.raw | PAGE_ENTRY_PRESENT | PAGE_ENTRY_WRITE |
                                (user ? PAGE_ENTRY_USER : 0)};
}

/* The entry of a root that names the root itself: tables appear as pages, which nobody executes. */
static inline page_table_entry_t page_entry_recursive(phys_addr_t root)
{
    return (page_table_entry_t){page_entry_table(root, false).raw | PAGE_ENTRY_NO_EXECUTE};
}

/* The cache bits of a leaf for one of the first four kinds: at every level the same. */
static inline uint64_t page_entry_cache_bits_common(enum page_cache cache)
{
    return (uint64_t)cache << 3;
}

/* The cache bits of a leaf at `level`. */
static inline uint64_t page_entry_cache_bits(unsigned level, enum page_cache cache)
{
    uint64_t index = cache;
    uint64_t pat_bit = level == PAGE_LEVEL_4K ? (index & 4) << 5 : (index & 4) << 10;
    return page_entry_cache_bits_common((enum page_cache)(index & 3)) | pat_bit;
}

/*
 * The bits of a leaf that say what it allows; each has its place, so there is nothing to decide. An
 * inaccessible leaf is absent for the CPU and keeps all else; PAGE_ENTRY_GLOBAL, which an absent entry has no
 * use for, tells it from a hole. What it names is the space's own memory, so that reading ahead through it
 * (L1TF) shows nobody anything that is not his.
 */
static inline uint64_t page_entry_access_bits(unsigned access)
{
    uint64_t bits = access;
    return (~bits & PAGE_INACCESSIBLE) >> 4 | (bits & PAGE_WRITE) << 1 | (~bits & PAGE_EXECUTE) << 62 |
           (bits & PAGE_USER) | (bits & PAGE_GLOBAL) << 5 | (bits & PAGE_INACCESSIBLE) << 4;
}

/*
 * A leaf: maps page_level_bytes(level) at `target`, which is aligned to that. `access` is a set of enum
 * page_access. Accessed and dirty are clear.
 */
static inline __attribute__((always_inline)) page_table_entry_t
page_entry_leaf(phys_addr_t target, unsigned level, unsigned access, enum page_cache cache)
{
    return (page_table_entry_t){target.raw | page_entry_cache_bits(level, cache) |
                                page_entry_access_bits(access) |
                                (level > PAGE_LEVEL_4K ? PAGE_ENTRY_LARGE : 0)};
}

/* Whether the CPU uses the entry. What it is otherwise, page_entry_kind() tells. */
static inline bool page_entry_present(page_table_entry_t entry)
{
    return entry.raw & PAGE_ENTRY_PRESENT;
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

/*
 * What a leaf, inaccessible or not, allows by itself: a set of enum page_access. The tables above it may
 * allow less.
 */
static inline unsigned page_entry_access(page_table_entry_t entry)
{
    if ((entry.raw & (PAGE_ENTRY_PRESENT | PAGE_ENTRY_GLOBAL)) == PAGE_ENTRY_GLOBAL) {
        return PAGE_INACCESSIBLE;
    }
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

/* ---- What else an entry carries ---- */

/* The leaf with another set of enum page_access. */
static inline page_table_entry_t page_entry_with_access(page_table_entry_t leaf, unsigned access)
{
    uint64_t kept = leaf.raw & ~(PAGE_ENTRY_PRESENT | PAGE_ENTRY_WRITE | PAGE_ENTRY_USER | PAGE_ENTRY_GLOBAL |
                                 PAGE_ENTRY_NO_EXECUTE);
    return (page_table_entry_t){kept | page_entry_access_bits(access)};
}

/* The leaf at `level` cached another way. */
static inline page_table_entry_t page_entry_with_cache(page_table_entry_t leaf, unsigned level,
                                                       enum page_cache cache)
{
    uint64_t pat_bit = level == PAGE_LEVEL_4K ? PAGE_ENTRY_PAT_4K : PAGE_ENTRY_PAT_LARGE;
    uint64_t kept = leaf.raw & ~(PAGE_ENTRY_WRITE_THROUGH | PAGE_ENTRY_CACHE_DISABLE | pat_bit);
    return (page_table_entry_t){kept | page_entry_cache_bits(level, cache)};
}

/* Whether the CPU has used the entry, or written through the leaf, since the bit was last cleared. */
static inline bool page_entry_accessed(page_table_entry_t entry)
{
    return entry.raw & PAGE_ENTRY_ACCESSED;
}

static inline bool page_entry_dirty(page_table_entry_t leaf)
{
    return leaf.raw & PAGE_ENTRY_DIRTY;
}

static inline page_table_entry_t page_entry_with_used(page_table_entry_t entry, bool accessed, bool dirty)
{
    return (page_table_entry_t){(entry.raw & ~PAGE_ENTRY_SET_BY_CPU) | (accessed ? PAGE_ENTRY_ACCESSED : 0) |
                                (dirty ? PAGE_ENTRY_DIRTY : 0)};
}

/*
 * The protection key of a leaf, 0 .. PAGE_KEY_MAX; it means something where PAGE_USER is set and CR4.PKE is.
 */
static inline unsigned page_entry_key(page_table_entry_t leaf)
{
    return (unsigned)((leaf.raw & PAGE_ENTRY_KEY) >> PAGE_ENTRY_KEY_SHIFT);
}

static inline page_table_entry_t page_entry_with_key(page_table_entry_t leaf, unsigned key)
{
    return (page_table_entry_t){(leaf.raw & ~PAGE_ENTRY_KEY) |
                                ((uint64_t)key << PAGE_ENTRY_KEY_SHIFT & PAGE_ENTRY_KEY)};
}

/* The bits that the CPU leaves to the system, in any entry: a number up to PAGE_SOFTWARE_MAX. */
static inline unsigned page_entry_software(page_table_entry_t entry)
{
    return (unsigned)((entry.raw & PAGE_ENTRY_SOFTWARE_LOW) >> 9 |
                      (entry.raw & PAGE_ENTRY_SOFTWARE_HIGH) >> 49);
}

static inline page_table_entry_t page_entry_with_software(page_table_entry_t entry, unsigned value)
{
    uint64_t kept = entry.raw & ~(PAGE_ENTRY_SOFTWARE_LOW | PAGE_ENTRY_SOFTWARE_HIGH);
    return (page_table_entry_t){kept | ((uint64_t)value << 9 & PAGE_ENTRY_SOFTWARE_LOW) |
                                ((uint64_t)value << 49 & PAGE_ENTRY_SOFTWARE_HIGH)};
}

/* ---- Sizes: a leaf and its 512 parts one level below ---- */

/* Part `index` of a leaf at `level` 2 or 3: the leaf at level - 1 that translates its share the same way. */
static inline page_table_entry_t page_entry_part(page_table_entry_t leaf, unsigned level, unsigned index)
{
    uint64_t raw = leaf.raw;
    if (level == PAGE_LEVEL_2M) {
        raw &= ~(PAGE_ENTRY_LARGE | PAGE_ENTRY_PAT_LARGE);
        raw |= leaf.raw & PAGE_ENTRY_PAT_LARGE ? PAGE_ENTRY_PAT_4K : 0;
    }
    return (page_table_entry_t){raw + index * page_level_bytes(level - 1)};
}

/* The leaf at `level` whose part 0 is `first`; its address is aligned to the larger size. */
static inline page_table_entry_t page_entry_whole(page_table_entry_t first, unsigned level)
{
    if (level != PAGE_LEVEL_2M) {
        return first;
    }
    uint64_t raw = first.raw | PAGE_ENTRY_LARGE;
    return (page_table_entry_t){raw | (first.raw & PAGE_ENTRY_PAT_4K ? PAGE_ENTRY_PAT_LARGE : 0)};
}

/* ---- What the CPU refuses ---- */

/*
 * Bits of a present entry at `level` that are set although they are reserved on a CPU with `physical_bits`
 * address bits: using the entry would fault with the RSVD bit (tables 4-15 to 4-20).
 */
static inline uint64_t page_entry_reserved(page_table_entry_t entry, unsigned level, unsigned physical_bits)
{
    uint64_t reserved = PAGE_ENTRY_ADDRESS & ~((1ULL << physical_bits) - 1);
    if (level >= PAGE_LEVEL_PML4) {
        reserved |= PAGE_ENTRY_LARGE;
    } else if (level > PAGE_LEVEL_4K && (entry.raw & PAGE_ENTRY_LARGE)) {
        reserved |= (page_level_bytes(level) - 1) & PAGE_ENTRY_ADDRESS & ~PAGE_ENTRY_PAT_LARGE;
    }
    return entry.raw & reserved;
}
