/*
 * The fast path of <ashlar/page_table.h>, which includes this: page_table_translate() goes down without a
 * call, so that what the caller does not use is not computed.
 */
#pragma once

#include <ashlar/page_table.h>

/* Where a walk ended. Two words, which are returned in registers. */
struct page_walk_last {
    page_table_entry_t leaf; /* the last entry; 0 for an address that is not canonical */
    uint64_t all; /* as for page_translation_of(), and the level of `leaf` in the bits from here: */
#define PAGE_WALK_LEVEL_SHIFT 8
};

/* For all others: by way of the root, whatever the address, and however tables are reached. */
struct page_walk_last page_walk_slow(const struct page_table *table, virt_addr_t address);

/*
 * Reads the entry for `address` in the table at `level` that the entry `above` names, where tables lie at
 * `offset` + their physical address. With a constant level: one shift, two masks and a load.
 */
static inline page_table_entry_t page_walk_direct(uint64_t offset, page_table_entry_t above,
                                                  virt_addr_t address, unsigned level)
{
    uint64_t at = page_table_offset(address, level);
    const uint64_t *entry = (const uint64_t *)(uintptr_t)(offset + (above.raw & PAGE_ENTRY_ADDRESS) + at);
    return (page_table_entry_t){__atomic_load_n(entry, __ATOMIC_RELAXED)};
}

/*
 * What a walk that ended at `leaf` found. `all`: the entries of all levels and'ed, no-execute turned round:
 * writing and user where each does, executing where none forbids it; global is the leaf's own (SDM volume 3,
 * 4.6 and 4.10.2.4).
 */
static inline __attribute__((always_inline)) struct page_translation
page_translation_of(uint64_t all, page_table_entry_t leaf, unsigned level, virt_addr_t address)
{
    if (!page_entry_present(leaf)) {
        return (struct page_translation){.level = (enum page_level)level, .leaf = leaf};
    }
    const uint64_t everywhere = PAGE_ENTRY_WRITE | PAGE_ENTRY_USER | PAGE_ENTRY_NO_EXECUTE;
    page_table_entry_t together = {
        (((all & everywhere) | (leaf.raw & PAGE_ENTRY_GLOBAL)) ^ PAGE_ENTRY_NO_EXECUTE) | PAGE_ENTRY_PRESENT};
    return (struct page_translation){
        .mapped = true,
        .level = (enum page_level)level,
        .target = phys_add(page_entry_leaf_address(leaf, level), address.raw & (page_level_bytes(level) - 1)),
        .access = page_entry_access(together),
        .cache = page_entry_cache(leaf, level),
        .leaf = leaf,
    };
}

static inline __attribute__((always_inline)) struct page_translation
page_table_translate(const struct page_table *table, virt_addr_t address)
{
    page_table_entry_t entry = {__atomic_load_n(&table->pml4[address.raw >> 63].raw, __ATOMIC_RELAXED)};
    if (!virt_is_common(address) || __builtin_expect(table->access->open != NULL || entry.raw == 0, false)) {
        struct page_walk_last end = page_walk_slow(table, address);
        return page_translation_of(end.all, end.leaf, end.all >> PAGE_WALK_LEVEL_SHIFT & 7, address);
    }
    uint64_t offset = table->access->offset;
    uint64_t all = entry.raw ^ PAGE_ENTRY_NO_EXECUTE;
    entry = page_walk_direct(offset, entry, address, PAGE_LEVEL_PML4);
    all &= entry.raw ^ PAGE_ENTRY_NO_EXECUTE;
    if (page_entry_kind(entry, PAGE_LEVEL_PML4) != ENTRY_TABLE) {
        return (struct page_translation){.level = PAGE_LEVEL_PML4, .leaf = entry};
    }
    entry = page_walk_direct(offset, entry, address, PAGE_LEVEL_1G);
    all &= entry.raw ^ PAGE_ENTRY_NO_EXECUTE;
    if (page_entry_kind(entry, PAGE_LEVEL_1G) != ENTRY_TABLE) {
        return page_translation_of(all, entry, PAGE_LEVEL_1G, address);
    }
    entry = page_walk_direct(offset, entry, address, PAGE_LEVEL_2M);
    all &= entry.raw ^ PAGE_ENTRY_NO_EXECUTE;
    if (page_entry_kind(entry, PAGE_LEVEL_2M) != ENTRY_TABLE) {
        return page_translation_of(all, entry, PAGE_LEVEL_2M, address);
    }
    entry = page_walk_direct(offset, entry, address, PAGE_LEVEL_4K);
    all &= entry.raw ^ PAGE_ENTRY_NO_EXECUTE;
    return page_translation_of(all, entry, PAGE_LEVEL_4K, address);
}
