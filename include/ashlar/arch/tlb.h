/*
 * What dropping translations takes from the architecture: arch/x86_64 does it for the machine, tests/host for
 * a model TLB that remembers everything it was not told to forget.
 *
 * Today these act on the calling CPU. With more CPUs running they are what the receiver of a shootdown runs.
 */
#pragma once

#include <ashlar/types.h>

/* Names an address space to the TLB: a PCID where the CPU has them, else always TLB_SPACE_KERNEL. */
typedef uint16_t tlb_space_t;

#define TLB_SPACE_KERNEL ((tlb_space_t)0) /* also the kernel's own tables */

/*
 * Drops the translations of `count` pages of `page_bytes` each from `base`, global ones too, and what the
 * paging-structure caches hold for the space. TLB_SPACE_KERNEL: of all spaces, as they share its tables.
 */
void tlb_flush_pages(tlb_space_t space, virt_addr_t base, uint64_t page_bytes, uint64_t count);

/* The same for pages that were all mapped PAGE_GLOBAL, by tables that stay: no other space holds a copy. */
void tlb_flush_global_pages(virt_addr_t base, uint64_t page_bytes, uint64_t count);

/* Drops all translations of `space` that are not global, and its part of the paging-structure caches. */
void tlb_flush_space(tlb_space_t space);

/* Drops all translations of all spaces, global ones too. */
void tlb_flush_everything(void);

/*
 * A name for a new space, under which no CPU uses an old translation. TLB_SPACE_KERNEL when the CPU has no
 * PCIDs, or all are given out: then loading the space drops translations each time. Any number may be given
 * back with tlb_space_free() once the space is loaded nowhere.
 */
tlb_space_t tlb_space_alloc(void);
void tlb_space_free(tlb_space_t space);

/*
 * Makes this CPU use the tables at `root` under the name `space`, and keeps what it knows of them if it may.
 */
void tlb_space_load(phys_addr_t root, tlb_space_t space);
