/*
 * Free stretches by size: two-level segregated fit. There are 16 classes to a doubling, and one for each size
 * up to 32 pages; two levels of bitmaps lead in two steps to the first class of which every member holds the
 * request. For that the request is rounded up to the next class. So stretches of its own class are passed
 * over, even if they are large enough: they are tried only when nothing larger is left. (Always taking the
 * best fit would need a tree of sizes, and time that grows with the number of stretches.)
 */
#include "internal.h"
#include "valid.h"

#define SUBCLASS_BITS 4

_Static_assert(KVA_SUBCLASSES == 1 << SUBCLASS_BITS, "subclasses are bits of the size");
_Static_assert(KVA_BYTES_MAX >> FRAME_SHIFT == 1ULL << (KVA_DOUBLINGS + SUBCLASS_BITS - 2),
               "an arena that is free as a whole has the first class of the last doubling");

/* Doubling 0 holds sizes 0 .. 15 themselves; doubling n sizes from 16 << (n - 1). */
void kva_class_of(uint64_t pages, unsigned *doubling, unsigned *subclass)
{
    if (pages < KVA_SUBCLASSES) {
        *doubling = 0;
        *subclass = (unsigned)pages;
        return;
    }
    unsigned shift = 63 - (unsigned)__builtin_clzll(pages) - SUBCLASS_BITS;
    *doubling = shift + 1;
    *subclass = (unsigned)(pages >> shift) - KVA_SUBCLASSES;
}

/* The smallest size of the first class all of whose members have `pages` pages. */
static uint64_t class_above(uint64_t pages)
{
    if (pages < KVA_SUBCLASSES) {
        return pages;
    }
    unsigned shift = 63 - (unsigned)__builtin_clzll(pages) - SUBCLASS_BITS;
    return align_up(pages, 1ULL << shift);
}

void kva_space_add(struct kva_arena *arena, struct kva_range *range)
{
    unsigned doubling;
    unsigned subclass;
    kva_class_of(kva_pages(range), &doubling, &subclass);
    struct kva_range **list = &arena->lists[doubling][subclass];
    range->state = KVA_FREE;
    range->guard_pages = 0;
    range->kind = KVA_KINDS;
    range->purpose = NULL;
    range->object = NULL;
    range->previous = NULL;
    range->next = *list;
    if (range->next) {
        range->next->previous = range;
    }
    *list = range;
    arena->subclasses[doubling] |= (uint16_t)(1U << subclass);
    arena->doublings |= 1ULL << doubling;
    arena->free_ranges++;
}

static void remove_free(struct kva_arena *arena, struct kva_range *range) REQUIRES(arena->lock)
{
    unsigned doubling;
    unsigned subclass;
    kva_class_of(kva_pages(range), &doubling, &subclass);
    if (range->next) {
        range->next->previous = range->previous;
    }
    arena->free_ranges--;
    if (range->previous) {
        range->previous->next = range->next;
        return;
    }
    arena->lists[doubling][subclass] = range->next;
    if (!range->next) {
        arena->subclasses[doubling] &= (uint16_t) ~(1U << subclass);
        if (arena->subclasses[doubling] == 0) {
            arena->doublings &= ~(1ULL << doubling);
        }
    }
}

/* ---- Finding ---- */

/* Where in a free range the demand's first byte would be; false when it does not fit. */
static bool fits(const struct kva_arena *arena, const struct kva_range *range,
                 const struct kva_demand *demand, uint64_t *base)
{
    uint64_t guard_bytes = demand->guards << FRAME_SHIFT;
    uint64_t first = kva_start(arena, range) + guard_bytes;
    uint64_t padding = -(arena->base.raw + first) & (demand->alignment - 1);
    uint64_t end = first + padding + (demand->pages << FRAME_SHIFT) + guard_bytes;
    *base = arena->base.raw + first + padding;
    return end <= kva_end(arena, range);
}

/* The first list of a class that is at least (doubling, subclass), or NULL when all are empty. */
static struct kva_range *first_from(const struct kva_arena *arena, unsigned doubling, unsigned subclass)
{
    if (doubling >= KVA_DOUBLINGS) {
        return NULL;
    }
    unsigned subclasses = arena->subclasses[doubling] >> subclass << subclass;
    if (subclasses == 0) {
        uint64_t doublings = arena->doublings >> doubling & ~1ULL;
        if (doublings == 0) {
            return NULL;
        }
        doubling += (unsigned)__builtin_ctzll(doublings);
        subclasses = arena->subclasses[doubling];
    }
    return arena->lists[doubling][__builtin_ctz(subclasses)];
}

/* Searches everything that could hold the demand, smallest class first. */
static struct kva_range *search(struct kva_arena *arena, const struct kva_demand *demand, uint64_t *base)
    REQUIRES(arena->lock)
{
    unsigned doubling;
    unsigned subclass;
    kva_class_of(demand->pages + 2 * demand->guards, &doubling, &subclass);
    for (; doubling < KVA_DOUBLINGS; doubling++, subclass = 0) {
        for (; subclass < KVA_SUBCLASSES; subclass++) {
            struct kva_range *range = arena->lists[doubling][subclass];
            while (range && !fits(arena, range, demand, base)) {
                range = range->next;
            }
            if (range) {
                return range;
            }
        }
    }
    return NULL;
}

struct kva_range *kva_space_find(struct kva_arena *arena, const struct kva_demand *demand, uint64_t *base)
{
    unsigned doubling;
    unsigned subclass;
    uint64_t slack = (demand->alignment >> FRAME_SHIFT) - 1;
    kva_class_of(class_above(demand->pages + 2 * demand->guards + slack), &doubling, &subclass);
    struct kva_range *range = first_from(arena, doubling, subclass);
    if (range && fits(arena, range, demand, base)) {
        return range;
    }
    return search(arena, demand, base);
}

/* ---- Cutting and joining ---- */

/* Links `range` behind `lower`. */
static void link_higher(struct kva_range *lower, struct kva_range *range)
{
    range->lower = lower;
    range->higher = lower->higher;
    if (range->higher) {
        range->higher->lower = range;
    }
    lower->higher = range;
}

/* Gives what lies behind the first `bytes` bytes of a range to the record `rest`. */
static void split(struct kva_range *range, uint64_t bytes, struct kva_range *rest)
{
    rest->base = virt_add(range->base, bytes);
    rest->bytes = range->bytes - bytes;
    range->bytes = bytes;
    link_higher(range, rest);
}

void kva_space_take(struct kva_arena *arena, const struct kva_cut *cut)
{
    struct kva_range *range = cut->from;
    const struct kva_demand *demand = &cut->demand;
    uint64_t start = cut->base - (demand->guards << FRAME_SHIFT);
    remove_free(arena, range);
    if (cut->front) {
        split(range, start - range->base.raw, cut->front);
        kva_space_add(arena, range);
        range = cut->front;
    }
    if (cut->back) {
        split(range, (demand->pages + 2 * demand->guards) << FRAME_SHIFT, cut->back);
        kva_space_add(arena, cut->back);
    }
    range->base = virt_addr(cut->base);
    range->bytes = demand->pages << FRAME_SHIFT;
    range->guard_pages = (uint16_t)demand->guards;
    range->state = KVA_TAKEN;
    range->kind = KVA_KINDS;
    if (demand->pages <= KVA_QUICK_PAGES && demand->guards <= 1) {
        range->kind = (uint8_t)(2 * (demand->pages - 1) + demand->guards);
    }
    arena->taken_ranges++;
    arena->taken_pages += demand->pages;
    arena->guard_pages += 2 * demand->guards;
}

/* Joins the range above, which is free, to `range`. */
static void join_higher(struct kva_arena *arena, struct kva_range *range) REQUIRES(arena->lock)
{
    struct kva_range *higher = range->higher;
    range->bytes += higher->bytes;
    range->higher = higher->higher;
    if (range->higher) {
        range->higher->lower = range;
    }
    kva_record_give(arena, higher);
}

void kva_space_give(struct kva_arena *arena, struct kva_range *range)
{
    DEBUG_ASSERT(kva_range_is_valid(arena, range));
    arena->taken_ranges--;
    arena->taken_pages -= kva_pages(range);
    arena->guard_pages -= 2 * (uint64_t)range->guard_pages;
    range->base = virt_addr(arena->base.raw + kva_start(arena, range));
    range->bytes += (uint64_t)range->guard_pages << (FRAME_SHIFT + 1);
    range->guard_pages = 0;
    if (range->higher && range->higher->state == KVA_FREE) {
        remove_free(arena, range->higher);
        join_higher(arena, range);
    }
    if (range->lower && range->lower->state == KVA_FREE) {
        range = range->lower;
        remove_free(arena, range);
        join_higher(arena, range);
    }
    kva_space_add(arena, range);
}
