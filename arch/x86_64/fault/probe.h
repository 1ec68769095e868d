/* Page-table walks of the running machine, for reports and for the boot CPU's guard pages. */
#pragma once

#include "decode.h"

/* Translates `address` by the page tables now in force, without trusting them. */
struct page_walk page_walk_current(virt_addr_t address);

/* The entry that maps the address of `walk`, in the physmap; NULL when it is not mapped. */
uint64_t *page_walk_leaf(const struct page_walk *walk);
