#include "device_claims.h"

#include <string.h>

static unsigned claim_kind(unsigned access, enum page_cache cache)
{
    if (access & ~(unsigned)(PAGE_WRITE | PAGE_EXECUTE)) {
        panic("a claim for access %#x", access);
    }
    return access * 8 + cache;
}

static struct claimed_page *claimed_page(struct device_claims *claims, uint64_t frame)
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

unsigned claims_on(struct device_claims *claims, uint64_t address, unsigned access, enum page_cache cache)
{
    return claimed_page(claims, address >> FRAME_SHIFT)->count[claim_kind(access, cache)];
}

static bool claim_conflicts(struct device_claims *claims, uint64_t frame, enum page_cache cache)
{
    const struct claimed_page *page = claimed_page(claims, frame);
    for (unsigned kind = 0; kind < CLAIM_KINDS; kind++) {
        if (kind % 8 != (unsigned)cache && page->count[kind] != 0) {
            return true;
        }
    }
    return false;
}

bool device_claim(void *context, phys_addr_t base, uint64_t bytes, unsigned access, enum page_cache cache)
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

void device_release(void *context, phys_addr_t base, uint64_t bytes, unsigned access, enum page_cache cache)
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
