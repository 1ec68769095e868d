/* The validator of an arena: every rule by name, the first broken one reported. */
#include "internal.h"

/* What the walks over the structures add up. */
struct tally {
    uint64_t records;     /* of ranges */
    uint64_t taken;       /* ranges taken or held */
    uint64_t taken_pages; /* in them */
    uint64_t guard_pages; /* around them */
    uint64_t held;        /* ranges held */
    uint64_t free;        /* ranges free */
    uint64_t nodes;       /* of the tree */
};

static bool complain(struct kva_problem *problem, const char *what, const struct kva_range *range,
                     uint64_t found, uint64_t expected)
{
    *problem = (struct kva_problem){what, range ? range->base : virt_addr(0), found, expected};
    return false;
}

static bool counts_as(struct kva_problem *problem, const char *what, uint64_t found, uint64_t expected)
{
    return found == expected || complain(problem, what, NULL, found, expected);
}

/* ---- Ranges in order ---- */

static bool check_free(const struct kva_range *range, struct kva_problem *problem)
{
    if (range->guard_pages != 0) {
        return complain(problem, "free range with guard pages", range, range->guard_pages, 0);
    }
    if (range->lower && range->lower->state == KVA_FREE) {
        return complain(problem, "free range beside a free one", range, range->lower->base.raw, 0);
    }
    return true;
}

static bool check_taken(const struct kva_arena *arena, const struct kva_range *range,
                        struct kva_problem *problem)
{
    unsigned kind = KVA_KINDS;
    if (kva_pages(range) <= KVA_QUICK_PAGES && range->guard_pages <= 1) {
        kind = 2 * (unsigned)(kva_pages(range) - 1) + range->guard_pages;
    }
    if (range->kind != kind) {
        return complain(problem, "kind of a range", range, range->kind, kind);
    }
    const struct kva_range *found = kva_tree_find(arena, kva_page(arena, range));
    return found == range ||
           complain(problem, "the tree leads elsewhere", range, (uintptr_t)found, (uintptr_t)range);
}

static bool check_range(const struct kva_arena *arena, const struct kva_range *range, struct tally *tally,
                        struct kva_problem *problem)
{
    tally->records++;
    if (!is_aligned(range->base.raw | range->bytes, FRAME_BYTES) || range->bytes == 0) {
        return complain(problem, "range is not whole pages", range, range->bytes, 0);
    }
    if (range->state == KVA_FREE) {
        tally->free++;
        return check_free(range, problem);
    }
    if (range->state != KVA_TAKEN && range->state != KVA_HELD) {
        return complain(problem, "state of a range", range, range->state, KVA_TAKEN);
    }
    tally->taken++;
    tally->taken_pages += kva_pages(range);
    tally->guard_pages += 2 * (uint64_t)range->guard_pages;
    tally->held += range->state == KVA_HELD;
    return check_taken(arena, range, problem);
}

static bool check_order(const struct kva_arena *arena, struct tally *tally, struct kva_problem *problem)
{
    uint64_t offset = 0;
    const struct kva_range *lower = NULL;
    for (const struct kva_range *range = arena->lowest; range; range = range->higher) {
        if (kva_start(arena, range) != offset) {
            return complain(problem, "ranges do not meet", range, kva_start(arena, range), offset);
        }
        if (range->lower != lower) {
            return complain(problem, "link to the lower neighbour", range, (uintptr_t)range->lower,
                            (uintptr_t)lower);
        }
        if (!check_range(arena, range, tally, problem)) {
            return false;
        }
        offset = kva_end(arena, range);
        lower = range;
    }
    return counts_as(problem, "bytes of all ranges", offset, arena->bytes);
}

/* ---- Lists ---- */

static bool check_list(const struct kva_range *list, unsigned doubling, unsigned subclass, uint64_t *count,
                       struct kva_problem *problem)
{
    const struct kva_range *previous = NULL;
    for (const struct kva_range *range = list; range; range = range->next) {
        unsigned is_doubling;
        unsigned is_subclass;
        if (range->state != KVA_FREE || range->previous != previous) {
            return complain(problem, "a list of free ranges is broken", range, range->state, KVA_FREE);
        }
        kva_class_of(kva_pages(range), &is_doubling, &is_subclass);
        if (is_doubling != doubling || is_subclass != subclass) {
            return complain(problem, "free range in the list of another size", range, kva_pages(range),
                            doubling * KVA_SUBCLASSES + subclass);
        }
        previous = range;
        ++*count;
    }
    return true;
}

static bool check_lists(const struct kva_arena *arena, const struct tally *tally, struct kva_problem *problem)
{
    uint64_t count = 0;
    for (unsigned doubling = 0; doubling < KVA_DOUBLINGS; doubling++) {
        unsigned used = 0;
        for (unsigned subclass = 0; subclass < KVA_SUBCLASSES; subclass++) {
            const struct kva_range *list = arena->lists[doubling][subclass];
            used |= list ? 1U << subclass : 0;
            if (!check_list(list, doubling, subclass, &count, problem)) {
                return false;
            }
        }
        if (!counts_as(problem, "bitmap of size classes", arena->subclasses[doubling], used) ||
            !counts_as(problem, "bitmap of doublings", arena->doublings >> doubling & 1, used != 0)) {
            return false;
        }
    }
    return counts_as(problem, "free ranges in the lists", count, tally->free) &&
           counts_as(problem, "count of free ranges", arena->free_ranges, tally->free);
}

static bool check_quick(const struct kva_arena *arena, const struct tally *tally, struct kva_problem *problem)
{
    uint64_t count = 0;
    for (unsigned kind = 0; kind < KVA_KINDS; kind++) {
        const struct kva_quick *quick = &arena->quick[kind];
        if (quick->count > KVA_QUICK_SLOTS) {
            return complain(problem, "count of a quick list", NULL, quick->count, KVA_QUICK_SLOTS);
        }
        for (uint64_t i = 0; i < quick->count; i++) {
            const struct kva_range *range = quick->ranges[i];
            if (range->state != KVA_HELD || range->kind != kind) {
                return complain(problem, "range in a wrong quick list", range, range->kind, kind);
            }
        }
        count += quick->count;
    }
    return counts_as(problem, "ranges in quick lists", count, tally->held);
}

static bool check_recent(const struct kva_arena *arena, struct kva_problem *problem)
{
    for (unsigned i = 0; i < KVA_RECENT; i++) {
        const struct kva_range *range = arena->recent[i];
        if (range && (range->state == KVA_FREE || kva_recent_index(range->base) != i ||
                      kva_tree_find(arena, kva_page(arena, range)) != range)) {
            return complain(problem, "range remembered wrongly", range, kva_recent_index(range->base), i);
        }
    }
    return true;
}

/* ---- The tree and the records ---- */

static bool check_node(uint64_t link, unsigned shift, uint64_t *ranges, struct tally *tally,
                       struct kva_problem *problem)
{
    const struct kva_node *node = kva_link_node(link);
    uint64_t used = 0;
    tally->nodes++;
    for (unsigned i = 0; i < KVA_TREE_SLOTS; i++) {
        used += node->slot[i] != 0;
        if (node->slot[i] != 0 && shift == 0) {
            ++*ranges;
        } else if (node->slot[i] != 0 &&
                   !check_node(node->slot[i], shift - KVA_TREE_BITS, ranges, tally, problem)) {
            return false;
        }
    }
    return counts_as(problem, "used slots of a node", link & KVA_TREE_USED, used);
}

static bool check_tree(const struct kva_arena *arena, struct tally *tally, struct kva_problem *problem)
{
    uint64_t ranges = 0;
    if (arena->tree != 0 && !check_node(arena->tree, arena->tree_shift, &ranges, tally, problem)) {
        return false;
    }
    return counts_as(problem, "ranges in the tree", ranges, tally->taken) &&
           counts_as(problem, "count of nodes", arena->memory.node_frames, tally->nodes);
}

static bool check_memory(const struct kva_arena *arena, const struct tally *tally,
                         struct kva_problem *problem)
{
    const struct kva_memory *memory = &arena->memory;
    uint64_t room = memory->record_frames * KVA_RECORDS_PER_PAGE - memory->records;
    uint64_t unused = 0;
    for (const struct kva_record_page *page = memory->partial; page; page = page->next) {
        uint64_t free = 0;
        for (const struct kva_range *record = page->free; record; record = record->next) {
            free++;
        }
        if (!counts_as(problem, "records of a frame", page->used + free, KVA_RECORDS_PER_PAGE)) {
            return false;
        }
        unused += page->used == 0;
        room -= free;
    }
    return counts_as(problem, "free records", room, 0) &&
           counts_as(problem, "frames without a record in use", memory->unused_frames, unused) &&
           counts_as(problem, "count of records", memory->records, tally->records);
}

static bool check_counts(const struct kva_arena *arena, const struct tally *tally,
                         struct kva_problem *problem)
{
    return counts_as(problem, "count of taken ranges", arena->taken_ranges, tally->taken) &&
           counts_as(problem, "count of taken pages", arena->taken_pages, tally->taken_pages) &&
           counts_as(problem, "count of guard pages", arena->guard_pages, tally->guard_pages);
}

bool kva_check(struct kva_arena *arena, struct kva_problem *problem)
{
    struct tally tally = {0};
    spinlock_acquire(&arena->lock);
    bool sound = check_order(arena, &tally, problem) && check_lists(arena, &tally, problem) &&
                 check_quick(arena, &tally, problem) && check_recent(arena, problem) &&
                 check_tree(arena, &tally, problem) && check_memory(arena, &tally, problem) &&
                 check_counts(arena, &tally, problem);
    spinlock_release(&arena->lock);
    return sound;
}
