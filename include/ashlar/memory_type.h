/*
 * Reading the normalised memory map (struct memory_range, <ashlar/boot_info.h>): names of the types, sums,
 * and which range an address lies in. Pure functions: no locks, no state; the loader and the kernel share
 * them.
 */
#pragma once

#include <ashlar/boot_info.h>

/* x86-64 page tables hold physical addresses of at most 52 bits (SDM volume 3, 4.1.4): no range ends above
 * this. */
#define PHYSICAL_END ((uint64_t)1 << 52)

/* Whether memory of this type is RAM, which the physmap shows, whoever has it. */
static inline bool memory_type_is_ram(enum memory_type type)
{
    return type < MEMORY_MMIO;
}

/* The name people see, such as "boot-reclaimable"; "unknown" for a value that is no enum memory_type. */
const char *memory_type_name(enum memory_type type);

/*
 * Checks that `count` ranges are what the contract promises: sorted, page-aligned, disjoint, merged, of known
 * types, none empty and none past PHYSICAL_END.
 * Returns NULL when all is well, else a sentence fragment that says what is wrong; then *at (`at` may be
 * NULL) is the index of the first wrong range.
 */
const char *memory_ranges_check(const struct memory_range *ranges, size_t count, size_t *at);

/* Adds up the bytes of each type into `totals`, which is cleared first. Returns the sum over all types. */
uint64_t memory_ranges_totals(const struct memory_range *ranges, size_t count,
                              uint64_t totals[MEMORY_TYPE_COUNT]);

/* The range that holds `address`, or NULL when none does. `ranges` is a normalised map. O(log count). */
const struct memory_range *memory_ranges_find(const struct memory_range *ranges, size_t count,
                                              phys_addr_t address);

/* Whether all of [base, base + bytes) is RAM. `ranges` is a normalised map; `bytes` is not 0, and nothing
 * wraps. */
bool memory_ranges_are_ram(const struct memory_range *ranges, size_t count, phys_addr_t base, uint64_t bytes);
