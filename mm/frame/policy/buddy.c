/*
 * The buddy policy: which frames are free, in two storeys of small trees.
 *
 * Concept. Memory is cut into arenas of 1 GiB, an arena into 512 leaves of 2 MiB, a leaf into 512 frames: the
 * radix of page tables. A leaf and an arena are the same thing one size apart, a tree of free blocks over 512
 * units (policy/tree.h): a leaf's tree holds free blocks of orders 0 to 8, an arena's those of orders 9
 * to 18. A leaf that is whole, free or allocated, has no tree; it gets one, 17 words, when it is split.
 *
 * Giving (policy/buddy_give.c). Most single frames are only noted as free, and not merged with their buddies.
 * Their leaf is then *unmerged*. It is merged in one go before anything is taken from it, when the CPU is
 * idle, or when memory runs short. A leaf counts its free frames, so it is known at once when it is whole.
 *
 * Search (policy/buddy_take.c, over what policy/buddy_index.c keeps). An arena keeps for each order up to 8
 * the set of split leaves that have a free block of that order or a larger one; above the arenas lies the
 * same for all orders. So a small request finds the lowest partly used leaf that can serve it, and a whole
 * leaf is split only when there is none. Of an unmerged leaf only what is merged is known, so a block of
 * several frames may be taken elsewhere though it could serve it: when one is taken from a higher leaf of the
 * same arena, an unmerged leaf is merged, too. Arenas that were never used are one set of their own, and
 * their state is written when they are first used.
 *
 * Cost. Every search is a few find-first-set steps, every split at most 18 bits, merging a leaf at most 15
 * words and 9 bits; nothing depends on the size of the machine or on what is free.
 *
 * Locks. All state is guarded by the pool's lock, which the callers hold. To see inside: `frames`,
 * buddy_check().
 */
#include "buddy.h"

static unsigned buddy_add(void *state, uint64_t frame, unsigned order)
{
    struct buddy *buddy = state;
    uint64_t gib = frame / ARENA_FRAMES;
    if (!buddy->arenas[gib]) {
        if (order == FRAME_ORDER_MAX) {
            set_add(&buddy->untouched, gib);
            return 0;
        }
        buddy_arena_open(buddy, gib);
    }
    return buddy_give(state, frame, order);
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
    unsigned bit = buddy_find_holder(buddy, gib, tree_bit(leaf, 0));
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
    .take_more = buddy_take_more,
    .take_at = buddy_take_at,
    .free_order = buddy_free_order,
    .count = buddy_count,
    .check = buddy_check,
};
