/*
 * Device mappings; see <ashlar/device_map.h>. They grow from ARENA_BASE upwards, one unmapped page between
 * any two, in 4 KiB pages. The page tables come from a few frames inside the kernel image, so that this works
 * before there is an allocator: registers and firmware tables together need some dozens of pages.
 *
 * One lock guards all; nothing is locked under it.
 */
#include <ashlar/boot.h>
#include <ashlar/device_map.h>
#include <ashlar/layout.h>
#include <ashlar/lock.h>
#include <x86/cpuid.h>

#define TABLES_MAX   8
#define MAPPINGS_MAX 96
#define ARENA_PAGES  1536 /* in all: 6 MiB, three lowest-level tables */

struct mapping {
    phys_addr_t base;      /* page-aligned */
    uint64_t bytes;        /* page-aligned */
    virt_addr_t where;     /* of base */
    unsigned access;       /* as asked for */
    enum page_cache cache; /* as asked for */
};

static struct spinlock map_lock = SPINLOCK_INITIALIZER;
static page_table_entry_t tables[TABLES_MAX][PAGE_TABLE_ENTRIES] __attribute__((aligned(4096)));
static unsigned tables_used GUARDED_BY(map_lock);
static struct mapping mappings[MAPPINGS_MAX] GUARDED_BY(map_lock);
static unsigned mapping_count GUARDED_BY(map_lock);
static uint64_t pages_used GUARDED_BY(map_lock);

/* The image is physically contiguous. */
static phys_addr_t image_address(const void *pointer)
{
    const struct boot_kernel *kernel = &boot_info()->kernel;
    return phys_add(kernel->physical_base, virt_of(pointer).raw - kernel->virtual_base.raw);
}

/* The table that `entry` names; makes one where there is none. NULL when the frames are used up. */
static page_table_entry_t *next_table(page_table_entry_t *entry) REQUIRES(map_lock)
{
    if (!page_entry_present(*entry)) {
        if (tables_used == TABLES_MAX) {
            return NULL;
        }
        *entry = page_entry_table(image_address(tables[tables_used++]), false);
    }
    return physmap_pointer(page_entry_table_address(*entry));
}

/* The lowest-level entry for `address`. */
static page_table_entry_t *leaf_entry(virt_addr_t address) REQUIRES(map_lock)
{
    const struct boot_paging *paging = &boot_info()->paging;
    page_table_entry_t *table = physmap_pointer(paging->root);
    for (unsigned level = paging->levels; table != NULL && level > PAGE_LEVEL_4K; level--) {
        table = next_table(&table[page_table_index(address, level)]);
    }
    return table != NULL ? &table[page_table_index(address, PAGE_LEVEL_4K)] : NULL;
}

static const struct mapping *find_mapping(const struct mapping *wanted) REQUIRES(map_lock)
{
    for (unsigned i = 0; i < mapping_count; i++) {
        const struct mapping *known = &mappings[i];
        uint64_t offset = wanted->base.raw - known->base.raw;
        if (known->access == wanted->access && known->cache == wanted->cache && offset < known->bytes &&
            wanted->bytes <= known->bytes - offset) {
            return known;
        }
    }
    return NULL;
}

/* Maps a range in two steps: all tables first, which may fail, then the entries. */
static bool map_pages(const struct mapping *mapping) REQUIRES(map_lock)
{
    for (uint64_t at = 0; at < mapping->bytes; at += FRAME_BYTES) {
        if (leaf_entry(virt_add(mapping->where, at)) == NULL) {
            return false;
        }
    }
    for (uint64_t at = 0; at < mapping->bytes; at += FRAME_BYTES) {
        *leaf_entry(virt_add(mapping->where, at)) = page_entry_leaf(
            phys_add(mapping->base, at), PAGE_LEVEL_4K, mapping->access | PAGE_GLOBAL, mapping->cache);
    }
    return true;
}

static const struct mapping *add_mapping(struct mapping *wanted) REQUIRES(map_lock)
{
    uint64_t pages = wanted->bytes / FRAME_BYTES + 1; /* and the unmapped one after it */
    if (mapping_count == MAPPINGS_MAX || pages > ARENA_PAGES - pages_used) {
        return NULL;
    }
    wanted->where = virt_addr(ARENA_BASE + pages_used * FRAME_BYTES);
    if (!map_pages(wanted)) {
        return NULL;
    }
    pages_used += pages;
    mappings[mapping_count] = *wanted;
    return &mappings[mapping_count++];
}

void *device_map(phys_addr_t address, uint64_t bytes, unsigned access, enum page_cache cache)
{
    uint64_t limit = (uint64_t)1 << cpu_physical_address_bits();
    if (bytes == 0 || address.raw >= limit || bytes > limit - address.raw || (access & PAGE_EXECUTE)) {
        return NULL;
    }
    uint64_t first = align_down(address.raw, FRAME_BYTES);
    struct mapping wanted = {.base = phys_addr(first),
                             .bytes = align_up(address.raw + bytes, FRAME_BYTES) - first,
                             .access = access,
                             .cache = cache};
    spinlock_acquire(&map_lock);
    const struct mapping *found = find_mapping(&wanted);
    if (found == NULL) {
        found = add_mapping(&wanted);
    }
    void *where = found ? virt_pointer(virt_add(found->where, address.raw - found->base.raw)) : NULL;
    spinlock_release(&map_lock);
    return where;
}
