/*
 * What others want to know of a space that need not be theirs, page by page: who gives its pages, which are
 * in memory, and what stands in them. <ashlar/vm_space.h> says who may call what.
 */
#pragma once

#include <ashlar/vm_space.h>

/* The same as vm_space_find(), with a reference to the region's pager for the caller, if it has one. */
bool vm_space_find_pager(struct vm_space *space, virt_addr_t address, struct vm_region_facts *facts,
                         struct vm_pager **pager) EXCLUDES(space->lock);

#define VM_RESIDENCY_PAGES VM_HOLD_PAGES /* of one question */

/*
 * Which pages from `base` on are in memory: present[i] becomes 1 for those that a table shows, the zero page
 * included, and for those that the region's pager has at hand; else 0. `pages`: at most VM_RESIDENCY_PAGES.
 * Returns how many it could tell of: up to the first that belongs to no region.
 */
unsigned vm_space_residency(struct vm_space *space, virt_addr_t base, unsigned pages, uint8_t *present)
    EXCLUDES(space->lock);

/*
 * Copy between the kernel's memory and a space that need not be loaded, as its program could: at most `bytes`
 * bytes, and no further than the end of the page at `address`. Faults are resolved as they come. Return how
 * many bytes; 0 where the program could not reach the page. One page is copied in one hold of the spinlock.
 */
uint64_t vm_space_read(struct vm_space *space, virt_addr_t address, void *to, uint64_t bytes)
    EXCLUDES(space->lock);
uint64_t vm_space_write(struct vm_space *space, virt_addr_t address, const void *from, uint64_t bytes)
    EXCLUDES(space->lock);
