/*
 * Mapping device registers and memory outside the physmap into the kernel's address space.
 */
#pragma once

#include <ashlar/arch/page_table_entry.h>
#include <ashlar/types.h>

/*
 * Maps `bytes` bytes of physical memory from `address` (any alignment) with `access` (PAGE_READ or
 * PAGE_WRITE; never PAGE_EXECUTE) and `cache`, and returns where. The same or a smaller range mapped before
 * in the same way is found again. Mappings stay. Returns NULL, and maps nothing, when the range is empty,
 * wraps, lies beyond the CPU's physical addresses, or there is no room left.
 */
void *device_map(phys_addr_t address, uint64_t bytes, unsigned access, enum page_cache cache);
