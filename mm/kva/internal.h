/*
 * Shared by the files of the arenas of kernel addresses; not for users of arenas. Everything here is called
 * with the arena's lock held, unless it says otherwise.
 */
#pragma once

#include <ashlar/assert.h>
#include <ashlar/kva.h>
#include <ashlar/string.h>

/* Pages of a range without, and with its guard pages. */
static inline uint64_t kva_pages(const struct kva_range *range)
{
    return range->bytes >> FRAME_SHIFT;
}

static inline uint64_t kva_span_pages(const struct kva_range *range)
{
    return kva_pages(range) + 2 * (uint64_t)range->guard_pages;
}

/* The first byte of a range's lower guard page, and the byte behind its upper one, from the arena's base. */
static inline uint64_t kva_start(const struct kva_arena *arena, const struct kva_range *range)
{
    return range->base.raw - arena->base.raw - ((uint64_t)range->guard_pages << FRAME_SHIFT);
}

static inline uint64_t kva_end(const struct kva_arena *arena, const struct kva_range *range)
{
    return kva_start(arena, range) + (kva_span_pages(range) << FRAME_SHIFT);
}

/* The page of a range's first byte, from the arena's base: its place in the tree. */
static inline uint64_t kva_page(const struct kva_arena *arena, const struct kva_range *range)
{
    return (range->base.raw - arena->base.raw) >> FRAME_SHIFT;
}

/* The slot of kva_arena.recent for a range that starts at `base`. */
static inline unsigned kva_recent_index(virt_addr_t base)
{
    return (unsigned)(base.raw >> FRAME_SHIFT) % KVA_RECENT;
}

/* ---- records.c: records ---- */

/* A frame of records. */
struct kva_record_page {
    struct kva_record_page *next;     /* with free records; NULL in frames without */
    struct kva_record_page *previous; /* with free records */
    struct kva_range *free;           /* free records, linked by `next` */
    uint64_t used;                    /* records in use */
};

#define KVA_RECORDS_PER_PAGE ((FRAME_BYTES - sizeof(struct kva_record_page)) / sizeof(struct kva_range))

/* A free record, whose contents are arbitrary; NULL when there is no memory. kva_record_give() returns it. */
struct kva_range *kva_record_take(struct kva_arena *arena) REQUIRES(arena->lock);
void kva_record_give(struct kva_arena *arena, struct kva_range *range) REQUIRES(arena->lock);

/*
 * A frame for the arena's own use, as a pointer; NULL when there is no memory. kva_frame_give() returns it.
 */
void *kva_frame_take(struct kva_arena *arena) REQUIRES(arena->lock);
void kva_frame_give(struct kva_arena *arena, void *frame) REQUIRES(arena->lock);

/* ---- tree.c: ranges by address ---- */

#define KVA_TREE_BITS  9
#define KVA_TREE_SLOTS (1U << KVA_TREE_BITS)
#define KVA_TREE_USED  (FRAME_BYTES - 1) /* bits of a link that count the node's used slots */

/* A node: links to lower nodes, or at the lowest level pointers to ranges. 0 where there is nothing. */
struct kva_node {
    uint64_t slot[KVA_TREE_SLOTS];
};

_Static_assert(sizeof(struct kva_node) == FRAME_BYTES, "a node is a frame");

/* A link is the address of a node, and in the bits that are 0 in it how many of the node's slots are used. */
static inline struct kva_node *kva_link_node(uint64_t link)
{
    return (struct kva_node *)(uintptr_t)(link & ~KVA_TREE_USED);
}

static inline unsigned kva_tree_index(uint64_t page, unsigned shift)
{
    return (unsigned)(page >> shift) & (KVA_TREE_SLOTS - 1);
}

/* Bits below the root's index in an arena of `pages` pages. */
unsigned kva_tree_shift(uint64_t pages);

/* Enters a range under the page of its first byte. False, with nothing changed, when there is no memory. */
bool kva_tree_insert(struct kva_arena *arena, uint64_t page, struct kva_range *range) REQUIRES(arena->lock);
void kva_tree_erase(struct kva_arena *arena, uint64_t page) REQUIRES(arena->lock);

/* The range with the highest first page up to `page`, or NULL. Reads only: also without the lock. */
struct kva_range *kva_tree_floor(const struct kva_arena *arena, uint64_t page);

/* The range whose first page is `page`, or NULL. */
static inline struct kva_range *kva_tree_find(const struct kva_arena *arena, uint64_t page)
{
    uint64_t link = arena->tree;
    for (unsigned shift = arena->tree_shift;; shift -= KVA_TREE_BITS) {
        const struct kva_node *node = kva_link_node(link);
        if (!node) {
            return NULL;
        }
        link = node->slot[kva_tree_index(page, shift)];
        if (shift == 0) {
            return (struct kva_range *)(uintptr_t)link;
        }
    }
}

/* ---- by_size.c: free stretches ---- */

/* A request, checked and in pages. */
struct kva_demand {
    uint64_t pages;     /* without guards */
    uint64_t guards;    /* on each side */
    uint64_t alignment; /* bytes, at least a page */
};

/* How a range is cut out of a free one. */
struct kva_cut {
    struct kva_demand demand; /* what is wanted */
    struct kva_range *from;   /* the free range */
    uint64_t base;            /* address of the first byte in it */
    struct kva_range *front;  /* record for the cut range when something stays free in front of it, or NULL */
    struct kva_range *back;   /* record for what stays free behind it, or NULL */
};

/* The class (doubling, subclass) of free ranges of `pages` pages. */
void kva_class_of(uint64_t pages, unsigned *doubling, unsigned *subclass);

/* Enters a range, whose place and neighbours are set, as free. */
void kva_space_add(struct kva_arena *arena, struct kva_range *range) REQUIRES(arena->lock);

/*
 * Finds a free range that holds `demand`, and in *base where in it the first byte would be. NULL when there
 * is none. Changes nothing.
 */
struct kva_range *kva_space_find(struct kva_arena *arena, const struct kva_demand *demand, uint64_t *base)
    REQUIRES(arena->lock);

/*
 * Performs a cut. The range that is KVA_TAKEN afterwards is cut->front if that is not NULL, else cut->from.
 */
void kva_space_take(struct kva_arena *arena, const struct kva_cut *cut) REQUIRES(arena->lock);

/* Makes a taken or held range free and joins it with its free neighbours, which may free its record. */
void kva_space_give(struct kva_arena *arena, struct kva_range *range) REQUIRES(arena->lock);
