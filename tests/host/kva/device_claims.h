/*
 * Who answers for physical memory, for tests: counts the claims on every page by access and cache kind, and
 * refuses what is claimed in another cache kind already. A release need not fit the claims: it may be of a
 * part, or of several side by side. By then the TLB knows the pages no more.
 */
#pragma once

#include <ashlar/vm_space.h>
#include <string.h>

#include "tests/host/support/mmu_model.h"

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

static inline unsigned claim_kind(unsigned access, enum page_cache cache)
{
    if (access & ~(unsigned)(PAGE_WRITE | PAGE_EXECUTE)) {
        panic("a claim for access %#x", access);
    }
    return access * 8 + cache;
}

static inline struct claimed_page *claimed_page(struct device_claims *claims, uint64_t frame)
{
    for (unsigned i = 0; i < claims->used; i++) {
        if (claims->pages[i].frame == frame) {
            return &claims->pages[i];
        }
    }
    if (claims->used == CLAIMED_PAGES_MAX) {
        panic("claims on too many pages");
    }
    struct claimed_page *page = &claims->pages[claims->used++];
    *page = (struct claimed_page){.frame = frame};
    return page;
}

static inline unsigned claims_on(struct device_claims *claims, uint64_t address, unsigned access,
                                 enum page_cache cache)
{
    return claimed_page(claims, address >> FRAME_SHIFT)->count[claim_kind(access, cache)];
}

static inline bool claim_conflicts(struct device_claims *claims, uint64_t frame, enum page_cache cache)
{
    const struct claimed_page *page = claimed_page(claims, frame);
    for (unsigned kind = 0; kind < CLAIM_KINDS; kind++) {
        if (kind % 8 != (unsigned)cache && page->count[kind] != 0) {
            return true;
        }
    }
    return false;
}

static inline bool device_claim(void *context, phys_addr_t base, uint64_t bytes, unsigned access,
                                enum page_cache cache)
{
    struct device_claims *claims = context;
    if (bytes == 0 || ++claims->calls == claims->refuse_at) {
        return false;
    }
    for (uint64_t at = 0; at < bytes; at += FRAME_BYTES) {
        if (claim_conflicts(claims, (base.raw + at) >> FRAME_SHIFT, cache)) {
            return false;
        }
    }
    for (uint64_t at = 0; at < bytes; at += FRAME_BYTES) {
        claimed_page(claims, (base.raw + at) >> FRAME_SHIFT)->count[claim_kind(access, cache)]++;
        claims->claimed++;
    }
    return true;
}

static inline void device_release(void *context, phys_addr_t base, uint64_t bytes, unsigned access,
                                  enum page_cache cache)
{
    struct device_claims *claims = context;
    mmu_model_check();
    for (uint64_t at = 0; at < bytes; at += FRAME_BYTES) {
        struct claimed_page *page = claimed_page(claims, (base.raw + at) >> FRAME_SHIFT);
        if (page->count[claim_kind(access, cache)]-- == 0) {
            panic("%#" PRIx64 " is released and was not claimed", base.raw + at);
        }
        claims->claimed--;
    }
}
