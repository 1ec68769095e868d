/*
 * Claims: physical memory that others map, as address spaces do for their device regions. A claim checks
 * whether they may, and notes it, so that the memory is not mapped with another cache kind as well.
 *
 * Each call of mmio_claim() makes a record. mmio_release() shortens or removes any record of the same cache
 * kind that holds the memory, whichever call made it: such records are interchangeable.
 */
#include "mmio_internal.h"
#include "valid.h"

#include <ashlar/assert.h>
#include <ashlar/shortage.h>

/* Whether the access contradicts what the physmap allows. */
static enum mmio_error check_access(const struct mmio *mmio, phys_addr_t base, uint64_t bytes,
                                    unsigned access, enum page_cache cache)
{
    struct mmio_memory memory = mmio_memory(mmio, base, bytes);
    bool both = (access & (PAGE_WRITE | PAGE_EXECUTE)) == (PAGE_WRITE | PAGE_EXECUTE);
    if ((access & ~(unsigned)PAGE_ACCESS_ALL) || both) {
        return MMIO_BAD_ACCESS;
    }
    if (memory.ram != 0 && cache != CACHE_WRITE_BACK) {
        return MMIO_RAM;
    }
    if ((access & PAGE_WRITE) && memory.read_only != 0) {
        return MMIO_READ_ONLY;
    }
    return (access & PAGE_EXECUTE) && memory.read_only != bytes ? MMIO_WRITABLE : MMIO_OK;
}

/* Adds a claim to the list; NULL when there is no memory. */
static struct mmio_claim *add(struct mmio *mmio, phys_addr_t base, uint64_t bytes, enum page_cache cache)
    REQUIRES(mmio->lock)
{
    struct mmio_claim *claim = slab_cache_alloc(&mmio->claims);
    if (claim) {
        *claim = (struct mmio_claim){base, bytes, cache, mmio->claimed};
        mmio->claimed = claim;
    }
    return claim;
}

static enum mmio_error claim_once(struct mmio *mmio, phys_addr_t base, uint64_t bytes, enum page_cache cache)
{
    enum mmio_error error = MMIO_OK;
    spinlock_acquire(&mmio->lock);
    if (mmio_cached_otherwise(mmio, base, bytes, cache)) {
        error = MMIO_CONFLICT;
    } else if (!add(mmio, base, bytes, cache)) {
        error = MMIO_NO_MEMORY;
    }
    spinlock_release(&mmio->lock);
    return error;
}

enum mmio_error mmio_claim(struct mmio *mmio, phys_addr_t base, uint64_t bytes, unsigned access,
                           enum page_cache cache)
{
    DEBUG_ASSERT(mmio_is_valid(mmio));
    enum mmio_error error = mmio_range_check(mmio, &base, &bytes, cache);
    if (error == MMIO_OK) {
        error = check_access(mmio, base, bytes, access, cache);
    }
    if (error != MMIO_OK) {
        return error;
    }
    return COLLECTING(mmio->config.table->frames, MMIO_NO_MEMORY, claim_once(mmio, base, bytes, cache));
}

/* ---- Giving up ---- */

/* The link to a claim of this kind that holds the address; the link at the end when there is none. */
static struct mmio_claim **link_of(struct mmio *mmio, phys_addr_t address, enum page_cache cache)
    REQUIRES(mmio->lock)
{
    struct mmio_claim **link = &mmio->claimed;
    while (*link && ((*link)->cache != cache || address.raw - (*link)->base.raw >= (*link)->bytes)) {
        link = &(*link)->next;
    }
    return link;
}

static void forget(struct mmio *mmio, struct mmio_claim **link) REQUIRES(mmio->lock)
{
    struct mmio_claim *claim = *link;
    *link = claim->next;
    slab_cache_free(&mmio->claims, claim);
}

/* Takes [first, end), which lies inside, out of the claim. */
static void cut(struct mmio *mmio, struct mmio_claim **link, uint64_t first, uint64_t end)
    REQUIRES(mmio->lock)
{
    struct mmio_claim *claim = *link;
    uint64_t before = first - claim->base.raw;
    uint64_t behind = claim->base.raw + claim->bytes - end;
    if (before == 0 && behind == 0) {
        forget(mmio, link);
    } else if (before == 0) {
        claim->base = phys_addr(end);
        claim->bytes = behind;
    } else if (behind == 0 || add(mmio, phys_addr(end), behind, claim->cache)) {
        claim->bytes = before;
    }
}

void mmio_release(struct mmio *mmio, phys_addr_t base, uint64_t bytes, enum page_cache cache)
{
    DEBUG_ASSERT(mmio_is_valid(mmio));
    enum mmio_error error = mmio_range_check(mmio, &base, &bytes, cache);
    ASSERT(error == MMIO_OK);
    uint64_t end = base.raw + bytes;
    spinlock_acquire(&mmio->lock);
    for (uint64_t at = base.raw; at < end;) {
        struct mmio_claim **link = link_of(mmio, phys_addr(at), cache);
        ASSERT(*link);
        uint64_t until = min_u64(end, (*link)->base.raw + (*link)->bytes);
        cut(mmio, link, at, until);
        at = until;
    }
    spinlock_release(&mmio->lock);
}
