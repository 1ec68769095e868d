/*
 * Who answers for physical memory, for tests: counts the claims on every page by access and cache kind, and
 * refuses what is claimed in another cache kind already. A release need not fit the claims: it may be of a
 * part, or of several side by side. By then the TLB knows the pages no more.
 */
#pragma once

#include "tests/host/support/mmu_model.h"
#include <ashlar/vm_space.h>

#define CLAIMED_PAGES_MAX 4096
#define CLAIM_KINDS       (4 * 8) /* access, cache kind */

struct claimed_page {
    uint64_t frame;              /* number */
    unsigned count[CLAIM_KINDS]; /* claims by kind */
};

struct device_claims {
    struct claimed_page pages[CLAIMED_PAGES_MAX];
    unsigned used;      /* entries in use */
    unsigned calls;     /* claims asked for */
    unsigned refuse_at; /* the call that is refused, 1 for the first; 0 for none */
    uint64_t claimed;   /* pages claimed now, each as often as it is */
};

unsigned claims_on(struct device_claims *claims, uint64_t address, unsigned access, enum page_cache cache);
bool device_claim(void *context, phys_addr_t base, uint64_t bytes, unsigned access, enum page_cache cache);
void device_release(void *context, phys_addr_t base, uint64_t bytes, unsigned access, enum page_cache cache);
