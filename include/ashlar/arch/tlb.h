/*
 * What dropping translations takes from the architecture: arch/x86_64 does it for the machine, tests/host for
 * a model TLB that remembers everything it was not told to forget.
 *
 * All of it concerns the calling CPU, and the tables that it has loaded; preemption is off. What other CPUs
 * must do at the same time is the business of <ashlar/tlb.h>.
 */
#pragma once

#include <ashlar/types.h>

/* Whether the TLB keeps the translations of several tables apart, by a number that each is loaded under. */
bool tlb_has_numbers(void);

/*
 * Drops the translations of `count` (at least 1) pages of `page_bytes` each from `base`, global ones too, and
 * what the paging-structure caches hold for the loaded number.
 */
void tlb_drop_pages(virt_addr_t base, uint64_t page_bytes, uint64_t count);

/* Drops all translations of the loaded number that are not global, and its paging-structure caches. */
void tlb_drop_loaded(void);

/* Drops all translations of all numbers, global ones too. */
void tlb_drop_everything(void);

/*
 * Makes this CPU use the tables at `root`. number: below 4096, and 0 where tlb_has_numbers() is false. Unless
 * `keep` is set, everything that is cached under the number and not global is dropped.
 */
void tlb_load_root(phys_addr_t root, unsigned number, bool keep);
