/* How the buddy policy (policy/buddy.c) finds a free block and takes it: any one, or a given one. */
#include "buddy.h"

/* The arena of a GiB that is known to have free memory, whole if it was never used. */
static struct arena *arena_enter(struct buddy *buddy, uint64_t gib)
{
    struct arena *arena = buddy->arenas[gib];
    if (!arena) {
        arena = buddy_arena_open(buddy, gib);
        set_remove(&buddy->untouched, gib);
        tree_set(&arena->blocks, 1);
        arena_changed(buddy, gib, arena);
    }
    return arena;
}

/* All of a leaf is free, and it gets a tree. */
static void leaf_fill(struct arena *arena, unsigned leaf)
{
    struct tree *tree = leaf_open(arena, leaf);
    tree_set(tree, 1);
    tree->free = TREE_UNITS;
}

/* Entries of the indexes over all memory that a take changes, if more are to follow. */
#define TAKE_CHANGES 1

/* Takes the front of a leaf's free block at `bit`: as much as is wanted. */
static uint64_t take_from_leaf(struct buddy *buddy, uint64_t gib, unsigned leaf, unsigned bit, unsigned most,
                               unsigned *got)
{
    struct arena *arena = buddy->arenas[gib];
    unsigned height = tree_bit_height(bit);
    unsigned unit = tree_bit_unit(bit);
    *got = height < most ? height : most;
    tree_carve(&arena->leaves[leaf], bit, tree_bit(unit, *got));
    arena->leaves[leaf].free -= (uint16_t)(1U << *got);
    if (leaf_changed(buddy, gib, arena, leaf) > TAKE_CHANGES) {
        buddy->worked = true;
    }
    return frame_at(gib, leaf, unit);
}

/* Room for `limit` in units of an arena or a leaf that starts at `start`. */
static unsigned units_below(uint64_t limit, uint64_t start, unsigned unit_shift)
{
    if (limit <= start) {
        return 0;
    }
    return (unsigned)min_u64((limit - start) >> unit_shift, TREE_UNITS);
}

#define LARGE_ORDER 6 /* of a piece with which no other leaf is merged, too */

/* A small block out of a leaf that is split already. */
static uint64_t take_small(struct buddy *buddy, unsigned order, unsigned most, uint64_t from, uint64_t limit,
                           unsigned *got)
{
    unsigned first = from / TREE_UNITS % TREE_UNITS;
    uint64_t start = from / ARENA_FRAMES;
    for (;;) {
        uint64_t gib = set_find(&buddy->available[order], buddy->arena_count, start);
        if (gib == SET_NONE || gib * ARENA_FRAMES >= limit) {
            return FRAME_NUMBER_NONE;
        }
        unsigned leaf = leaf_find(buddy->arenas[gib], order, gib * ARENA_FRAMES < from ? first : 0);
        if (leaf < TREE_UNITS) {
            struct tree *tree = &buddy->arenas[gib]->leaves[leaf];
            bool merged = tree->unmerged != 0;
            if (merged) { /* that costs enough: take no more frames than are needed */
                buddy_leaf_merge(buddy, gib, buddy->arenas[gib], leaf);
                most = order;
                buddy->worked = true;
            }
            unsigned below = units_below(limit, frame_at(gib, leaf, 0), 0);
            unsigned bit = below == TREE_UNITS ? tree_find(tree, order)
                                               : tree_find_between(tree, order, 0, 1U << order, below);
            if (bit != TREE_NONE) {
                uint64_t frame = take_from_leaf(buddy, gib, leaf, bit, most, got);
                bool large = *got > LARGE_ORDER; /* which was work enough */
                if (order > 0 && !merged && !large &&
                    leaf_set_find(&buddy->arenas[gib]->unmerged, 0) < leaf) {
                    buddy_merge_first(buddy, gib); /* a lower leaf might have served, had it been merged */
                    buddy->worked = true;
                }
                return frame;
            }
            leaf_changed(buddy, gib, buddy->arenas[gib], leaf);
            return FRAME_NUMBER_NONE;
        }
        start = gib + 1; /* in the arena that `from` lies in, what is free may lie below `from` */
    }
}

/* Bit of a block of whole leaves in one arena, between the bounds; TREE_NONE if there is none. */
static unsigned find_leaves(const struct arena *arena, uint64_t gib, unsigned order, uint64_t from,
                            uint64_t limit)
{
    uint64_t base = gib * ARENA_FRAMES;
    unsigned height = order < LEAF_ORDER ? 0 : order - LEAF_ORDER;
    unsigned first = from > base ? (unsigned)((from - base) / TREE_UNITS) : 0;
    if (first == 0 && limit >= base + ARENA_FRAMES) {
        return tree_find(&arena->blocks, height);
    }
    if (order < LEAF_ORDER) { /* a leaf of which only the front is below the limit will do */
        limit += TREE_UNITS - (1ULL << order);
    }
    return tree_find_between(&arena->blocks, height, first, 1U << height,
                             units_below(limit, base, LEAF_ORDER));
}

/* The lowest arena that has been used and can serve the request, and the block there. */
static uint64_t find_arena(struct buddy *buddy, unsigned order, uint64_t from, uint64_t limit, unsigned *bit)
{
    unsigned index = order < LEAF_ORDER ? LEAF_ORDER : order;
    uint64_t start = from / ARENA_FRAMES;
    for (;;) {
        uint64_t gib = set_find(&buddy->available[index], buddy->arena_count, start);
        if (gib == SET_NONE || gib * ARENA_FRAMES >= limit) {
            return SET_NONE;
        }
        *bit = find_leaves(buddy->arenas[gib], gib, order, from, limit);
        if (*bit != TREE_NONE) {
            return gib;
        }
        start = gib + 1; /* in the arenas of `from` and `limit`, what is free may lie outside of them */
    }
}

/* The lowest arena that was never used and can serve the request. */
static uint64_t find_untouched(struct buddy *buddy, unsigned order, uint64_t from, uint64_t limit,
                               unsigned *bit)
{
    uint64_t start = (from + ARENA_FRAMES - 1) / ARENA_FRAMES;
    uint64_t gib = set_find(&buddy->untouched, buddy->arena_count, start);
    if (gib == SET_NONE || gib * ARENA_FRAMES + (1ULL << order) > limit) {
        return SET_NONE;
    }
    *bit = 1;
    return gib;
}

uint64_t buddy_take(void *state, unsigned order, unsigned most, uint64_t from, uint64_t limit, unsigned *got)
{
    struct buddy *buddy = state;
    buddy->worked = false;
    if (order < LEAF_ORDER) {
        uint64_t frame = take_small(buddy, order, most, from, limit, got);
        if (frame != FRAME_NUMBER_NONE) {
            return frame;
        }
    }
    unsigned bit = TREE_NONE;
    uint64_t gib = find_arena(buddy, order, from, limit, &bit);
    bool used = gib != SET_NONE;
    if (!used) {
        gib = find_untouched(buddy, order, from, limit, &bit);
        if (gib == SET_NONE) {
            return FRAME_NUMBER_NONE;
        }
    }
    struct arena *arena = arena_enter(buddy, gib);
    unsigned leaf = tree_bit_unit(bit);
    unsigned height = order < LEAF_ORDER ? 0 : order - LEAF_ORDER;
    if (order >= LEAF_ORDER && used) { /* opening an arena costs enough: then no more than is needed */
        height = (unsigned)min_u64(tree_bit_height(bit), most - LEAF_ORDER);
    }
    tree_carve(&arena->blocks, bit, tree_bit(leaf, height));
    arena_changed(buddy, gib, arena);
    if (order < LEAF_ORDER && most < LEAF_ORDER) {
        leaf_fill(arena, leaf);
        return take_from_leaf(buddy, gib, leaf, 1, most, got);
    }
    *got = LEAF_ORDER + height;
    return frame_at(gib, leaf, 0);
}

/* The smallest blocks go first, and whole: so what the leaf can serve changes once at most. */
unsigned buddy_take_more(void *state, uint64_t frame, unsigned order, uint64_t frames,
                         struct frame_piece pieces[], unsigned most)
{
    struct buddy *buddy = state;
    uint64_t gib = frame / ARENA_FRAMES;
    struct arena *arena = buddy->arenas[gib];
    unsigned leaf = frame / TREE_UNITS % TREE_UNITS;
    struct tree *tree = &arena->leaves[leaf];
    unsigned count = 0;
    if (buddy->worked || !leaf_is_split(arena, leaf)) {
        return 0;
    }
    for (; count < most; count++) {
        unsigned bit = tree_find(tree, order);
        unsigned height = bit == TREE_NONE ? TREE_HEIGHT : tree_bit_height(bit);
        if (frames >> height == 0) {
            break;
        }
        tree_clear(tree, bit);
        tree->free -= (uint16_t)(1U << height);
        frames -= 1ULL << height;
        pieces[count] = (struct frame_piece){frame_at(gib, leaf, tree_bit_unit(bit)), height};
    }
    leaf_changed(buddy, gib, arena, leaf);
    return count;
}

static bool take_leaves_at(struct buddy *buddy, uint64_t gib, unsigned bit)
{
    unsigned holder = buddy_find_holder(buddy, gib, bit);
    if (holder == TREE_NONE) {
        return false;
    }
    struct arena *arena = arena_enter(buddy, gib);
    tree_carve(&arena->blocks, holder, bit);
    arena_changed(buddy, gib, arena);
    return true;
}

/* The first unit of a tree from `unit` on that is not free; the caller knows that there is one. */
static unsigned first_busy_unit(const struct tree *tree, unsigned unit)
{
    unsigned holder;
    while ((holder = tree_holder(tree, tree_bit(unit, 0))) != TREE_NONE) {
        unit = tree_bit_unit(holder) + (1U << tree_bit_height(holder));
        ASSERT(unit < TREE_UNITS);
    }
    return unit;
}

/*
 * The same for frames of a leaf that is split, so some are not free; merged, it has few blocks to pass over.
 */
static unsigned first_busy_in_leaf(struct buddy *buddy, uint64_t gib, unsigned leaf)
{
    struct arena *arena = buddy->arenas[gib];
    if (arena->leaves[leaf].unmerged != 0) {
        buddy_leaf_merge(buddy, gib, arena, leaf);
        leaf_changed(buddy, gib, arena, leaf);
    }
    return first_busy_unit(&arena->leaves[leaf], 0);
}

/* The first frame in whole leaves from `leaf` on that is not free; the caller knows that there is one. */
static uint64_t first_busy(struct buddy *buddy, uint64_t gib, unsigned leaf)
{
    struct arena *arena = buddy->arenas[gib];
    if (!arena) {
        return frame_at(gib, leaf, 0);
    }
    leaf = first_busy_unit(&arena->blocks, leaf);
    return frame_at(gib, leaf, leaf_is_split(arena, leaf) ? first_busy_in_leaf(buddy, gib, leaf) : 0);
}

static uint64_t take_at_from_leaf(struct buddy *buddy, uint64_t gib, unsigned leaf, unsigned unit,
                                  unsigned order)
{
    struct arena *arena = buddy->arenas[gib];
    struct tree *tree = &arena->leaves[leaf];
    unsigned bit = tree_bit(unit, order);
    unsigned holder = tree_holder(tree, bit);
    bool may_merge = holder == TREE_NONE && order > 0;
    bool empties = tree->free == 1U << order; /* and where nothing is free nothing is unmerged */
    if (tree->unmerged != 0 && (may_merge || empties)) {
        buddy_leaf_merge(buddy, gib, arena, leaf);
        holder = tree_holder(tree, bit);
    }
    if (holder != TREE_NONE) {
        tree_carve(tree, holder, bit);
        tree->free -= (uint16_t)(1U << order);
    }
    leaf_changed(buddy, gib, arena, leaf);
    return holder != TREE_NONE ? FRAME_NUMBER_NONE : frame_at(gib, leaf, first_busy_unit(tree, unit));
}

uint64_t buddy_take_at(void *state, uint64_t frame, unsigned order)
{
    struct buddy *buddy = state;
    uint64_t gib = frame / ARENA_FRAMES;
    unsigned leaf = frame / TREE_UNITS % TREE_UNITS;
    if (order >= LEAF_ORDER) {
        bool taken = take_leaves_at(buddy, gib, tree_bit(leaf, order - LEAF_ORDER));
        return taken ? FRAME_NUMBER_NONE : first_busy(buddy, gib, leaf);
    }
    if (!buddy->arenas[gib] || !leaf_is_split(buddy->arenas[gib], leaf)) {
        if (!take_leaves_at(buddy, gib, tree_bit(leaf, 0))) {
            return frame;
        }
        leaf_fill(buddy->arenas[gib], leaf);
    }
    return take_at_from_leaf(buddy, gib, leaf, frame % TREE_UNITS, order);
}
