/*
 * The buddy policy: which frames are free, in two storeys of small trees.
 *
 * Concept. Memory is cut into arenas of 1 GiB, an arena into 512 leaves of 2 MiB, a leaf into 512 frames: the
 * radix of page tables. A leaf and an arena are the same thing one size apart, a tree of free blocks over 512
 * units (policy/tree.h): a leaf's tree holds free blocks of orders 0 to 8, an arena's those of orders 9
 * to 18. A leaf that is whole, free or allocated, has no tree; it gets one, 17 words, when it is split.
 *
 * Giving (policy/buddy_give.c). A single frame is made free without merging where that is all there is to do;
 * its leaf is then *unmerged*, and merged in one go before anything is taken from it, when the CPU is idle,
 * or when memory runs short. A leaf counts its free frames, so it is known at once when it is whole.
 *
 * Search. An arena keeps for each order up to 8 the set of split leaves that have a free block of that order
 * or a larger one; above the arenas lies the same for all orders. So a small request finds the lowest partly
 * used leaf that can serve it, and a whole leaf is split only when there is none. Of an unmerged leaf only
 * what is merged is known, so a block of several frames may be taken elsewhere though it could serve it: when
 * one is taken from a higher leaf of the same arena, an unmerged leaf is merged, too. Arenas that were never
 * used are one set of their own, and their state is written when they are first used.
 *
 * Cost. Every search is a few find-first-set steps, every split at most 18 bits, merging a leaf at most 15
 * words and 9 bits; nothing depends on the size of the machine or on what is free.
 *
 * Locks. All state is guarded by the pool's lock, which the callers hold. To see inside: `frames`,
 * buddy_check().
 */
#include "buddy.h"

/* ---- Arenas and leaves come to life ---- */

static struct arena *arena_open(struct buddy *buddy, uint64_t gib)
{
    struct arena *arena = buddy->homes[gib];
    tree_init(&arena->blocks);
    for (unsigned order = 0; order < LEAF_ORDER; order++) {
        leaf_set_clear(&arena->best[order]);
    }
    leaf_set_clear(&arena->unmerged);
    arena->orders = 0;
    arena->highest = -1;
    for (unsigned i = 0; i < LEAF_WORDS; i++) {
        arena->split[i] = 0;
    }
    buddy->arenas[gib] = arena;
    return arena;
}

/* The arena of a GiB that is known to have free memory, whole if it was never used. */
static struct arena *arena_enter(struct buddy *buddy, uint64_t gib)
{
    struct arena *arena = buddy->arenas[gib];
    if (!arena) {
        arena = arena_open(buddy, gib);
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

static uint64_t frame_at(uint64_t gib, unsigned leaf, unsigned unit)
{
    return gib * ARENA_FRAMES + (uint64_t)leaf * TREE_UNITS + unit;
}

static unsigned buddy_add(void *state, uint64_t frame, unsigned order)
{
    struct buddy *buddy = state;
    uint64_t gib = frame / ARENA_FRAMES;
    if (!buddy->arenas[gib]) {
        if (order == FRAME_ORDER_MAX) {
            set_add(&buddy->untouched, gib);
            return 0;
        }
        arena_open(buddy, gib);
    }
    return buddy_give(state, frame, order);
}

/* ---- Taking ---- */

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
    leaf_changed(buddy, gib, arena, leaf);
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

/* A small block out of a leaf that is split already. */
static uint64_t take_small(struct buddy *buddy, unsigned order, unsigned most, uint64_t from, uint64_t limit,
                           unsigned *got)
{
    unsigned first = from / TREE_UNITS % TREE_UNITS;
    uint64_t start = from / ARENA_FRAMES;
    for (;;) {
        uint64_t gib = set_find(&buddy->available[order], buddy->arena_count, start);
        if (gib == SET_NONE || gib * ARENA_FRAMES >= limit) {
            return FRAME_NO_FRAME;
        }
        unsigned leaf = leaf_find(buddy->arenas[gib], order, gib * ARENA_FRAMES < from ? first : 0);
        if (leaf < TREE_UNITS) {
            struct tree *tree = &buddy->arenas[gib]->leaves[leaf];
            bool merged = tree->unmerged != 0;
            if (merged) { /* which costs enough without more frames */
                buddy_leaf_merge(buddy, gib, buddy->arenas[gib], leaf);
                most = order;
            }
            unsigned below = units_below(limit, frame_at(gib, leaf, 0), 0);
            unsigned bit = below == TREE_UNITS ? tree_find(tree, order)
                                               : tree_find_between(tree, order, 0, 1U << order, below);
            if (bit != TREE_NONE) {
                uint64_t frame = take_from_leaf(buddy, gib, leaf, bit, most, got);
                if (order > 0 && !merged && leaf_set_find(&buddy->arenas[gib]->unmerged, 0) < leaf) {
                    buddy_merge_from(buddy, gib, 0); /* it was passed over */
                }
                return frame;
            }
            leaf_changed(buddy, gib, buddy->arenas[gib], leaf);
            return FRAME_NO_FRAME;
        }
        start = gib + 1; /* only the arena that `from` lies inside of can be searched in vain */
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
        start = gib + 1; /* only the arenas that `from` and `limit` lie inside of can be searched in vain */
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

static uint64_t buddy_take(void *state, unsigned order, unsigned most, uint64_t from, uint64_t limit,
                           unsigned *got)
{
    struct buddy *buddy = state;
    if (order < LEAF_ORDER) {
        uint64_t frame = take_small(buddy, order, most, from, limit, got);
        if (frame != FRAME_NO_FRAME) {
            return frame;
        }
    }
    unsigned bit = TREE_NONE;
    uint64_t gib = find_arena(buddy, order, from, limit, &bit);
    bool used = gib != SET_NONE;
    if (!used) {
        gib = find_untouched(buddy, order, from, limit, &bit);
        if (gib == SET_NONE) {
            return FRAME_NO_FRAME;
        }
    }
    struct arena *arena = arena_enter(buddy, gib);
    unsigned leaf = tree_bit_unit(bit);
    unsigned height = order < LEAF_ORDER ? 0 : order - LEAF_ORDER;
    if (order >= LEAF_ORDER && used) { /* to open an arena costs enough without more blocks */
        height = (unsigned)min_u64(tree_bit_height(bit), most - LEAF_ORDER);
    }
    tree_carve(&arena->blocks, bit, tree_bit(leaf, height));
    arena_changed(buddy, gib, arena);
    if (order < LEAF_ORDER) {
        leaf_fill(arena, leaf);
        return take_from_leaf(buddy, gib, leaf, 1, most, got);
    }
    *got = LEAF_ORDER + height;
    return frame_at(gib, leaf, 0);
}

/* The arena that holds the block, if it is free there as (part of) whole leaves; the holder's bit. */
static unsigned find_holder(struct buddy *buddy, uint64_t gib, unsigned bit)
{
    if (buddy->arenas[gib]) {
        return tree_holder(&buddy->arenas[gib]->blocks, bit);
    }
    return buddy->homes[gib] && set_has(&buddy->untouched, gib) ? 1 : TREE_NONE;
}

static bool take_leaves_at(struct buddy *buddy, uint64_t gib, unsigned bit)
{
    unsigned holder = find_holder(buddy, gib, bit);
    if (holder == TREE_NONE) {
        return false;
    }
    struct arena *arena = arena_enter(buddy, gib);
    tree_carve(&arena->blocks, holder, bit);
    arena_changed(buddy, gib, arena);
    return true;
}

/* The first unit of a tree from `unit` on that is not free; TREE_UNITS if there is none. */
static unsigned first_busy_unit(const struct tree *tree, unsigned unit)
{
    while (unit < TREE_UNITS) {
        unsigned holder = tree_holder(tree, tree_bit(unit, 0));
        if (holder == TREE_NONE) {
            return unit;
        }
        unit = tree_bit_unit(holder) + (1U << tree_bit_height(holder));
    }
    return TREE_UNITS;
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
    return holder != TREE_NONE ? FRAME_NO_FRAME : frame_at(gib, leaf, first_busy_unit(tree, unit));
}

static uint64_t buddy_take_at(void *state, uint64_t frame, unsigned order)
{
    struct buddy *buddy = state;
    uint64_t gib = frame / ARENA_FRAMES;
    unsigned leaf = frame / TREE_UNITS % TREE_UNITS;
    if (order >= LEAF_ORDER) {
        bool taken = take_leaves_at(buddy, gib, tree_bit(leaf, order - LEAF_ORDER));
        return taken ? FRAME_NO_FRAME : first_busy(buddy, gib, leaf);
    }
    if (!buddy->arenas[gib] || !leaf_is_split(buddy->arenas[gib], leaf)) {
        if (!take_leaves_at(buddy, gib, tree_bit(leaf, 0))) {
            return frame;
        }
        leaf_fill(buddy->arenas[gib], leaf);
    }
    return take_at_from_leaf(buddy, gib, leaf, frame % TREE_UNITS, order);
}

/* ---- Looking ---- */

static int buddy_free_order(void *state, uint64_t frame)
{
    struct buddy *buddy = state;
    uint64_t gib = frame / ARENA_FRAMES;
    struct arena *arena = buddy->arenas[gib];
    unsigned leaf = frame / TREE_UNITS % TREE_UNITS;
    if (arena && leaf_is_split(arena, leaf)) {
        unsigned bit = tree_holder(&arena->leaves[leaf], tree_bit(frame % TREE_UNITS, 0));
        return bit == TREE_NONE ? -1 : (int)tree_bit_height(bit);
    }
    unsigned bit = find_holder(buddy, gib, tree_bit(leaf, 0));
    return bit == TREE_NONE ? -1 : (int)(LEAF_ORDER + tree_bit_height(bit));
}

/* ---- Layout ---- */

static uint64_t arena_bytes(unsigned leaves)
{
    return sizeof(struct arena) + leaves * sizeof(struct tree);
}

/*
 * Gives each arena that has RAM its place, one after the other from `offset` on: as long as its RAM reaches.
 * With buddy NULL it only counts. Returns the offset behind the last.
 */
static uint64_t place_arenas(const struct frame_layout *layout, struct buddy *buddy, uint64_t offset)
{
    uint64_t last_gib = UINT64_MAX;
    uint64_t last_offset = offset;
    for (uint32_t i = 0; i < layout->map_count; i++) {
        const struct memory_range *range = &layout->map[i];
        if (!frame_type_is_ram(range->type)) {
            continue;
        }
        uint64_t end = (range->base.raw + range->bytes) >> FRAME_SHIFT;
        for (uint64_t gib = range->base.raw >> FRAME_SHIFT >> FRAME_GIB_SHIFT; gib * ARENA_FRAMES < end;
             gib++) {
            offset = gib == last_gib ? last_offset : offset;
            last_gib = gib;
            last_offset = offset;
            if (buddy) {
                buddy->homes[gib] = (struct arena *)((char *)buddy + offset);
            }
            uint64_t frames = min_u64(end - gib * ARENA_FRAMES, ARENA_FRAMES);
            offset += arena_bytes((unsigned)((frames + TREE_UNITS - 1) / TREE_UNITS));
        }
    }
    return offset;
}

static uint64_t arenas_of(const struct frame_layout *layout)
{
    return (layout->frame_limit + ARENA_FRAMES - 1) / ARENA_FRAMES;
}

/* Bytes before the first arena: the head, the sets, the two tables. */
static uint64_t head_bytes(const struct frame_layout *layout)
{
    uint64_t count = arenas_of(layout);
    return sizeof(struct buddy) + (FRAME_ORDERS + 2) * set_words(count) * sizeof(uint64_t) +
           2 * count * sizeof(struct arena *);
}

static uint64_t buddy_state_bytes(const struct frame_layout *layout)
{
    return place_arenas(layout, NULL, head_bytes(layout));
}

static void buddy_init(const struct frame_layout *layout, void *state)
{
    struct buddy *buddy = state;
    buddy->arena_count = arenas_of(layout);
    uint64_t *words = (uint64_t *)(buddy + 1);
    for (unsigned order = 0; order < FRAME_ORDERS; order++) {
        words = set_init(&buddy->available[order], buddy->arena_count, words);
    }
    words = set_init(&buddy->untouched, buddy->arena_count, words);
    words = set_init(&buddy->unmerged, buddy->arena_count, words);
    buddy->arenas = (struct arena **)words;
    buddy->homes = buddy->arenas + buddy->arena_count;
    for (uint64_t gib = 0; gib < buddy->arena_count; gib++) {
        buddy->arenas[gib] = NULL;
        buddy->homes[gib] = NULL;
    }
    place_arenas(layout, buddy, head_bytes(layout));
}

_Static_assert(SET_MAXIMUM >= FRAME_LIMIT_MAX / ARENA_FRAMES, "the sets hold every arena");
_Static_assert(sizeof(struct tree) * 2 <= TREE_UNITS, "promised: at most half a byte per frame");

const struct frame_policy frame_policy_buddy = {
    .name = "buddy",
    .state_bytes = buddy_state_bytes,
    .init = buddy_init,
    .add = buddy_add,
    .give = buddy_give,
    .give_frames = buddy_give_frames,
    .merge = buddy_merge,
    .take = buddy_take,
    .take_at = buddy_take_at,
    .free_order = buddy_free_order,
    .count = buddy_count,
    .check = buddy_check,
};
