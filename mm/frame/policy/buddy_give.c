/* How blocks become free again in the buddy policy (policy/buddy.c). */
#include "buddy.h"

/*
 * The work of giving single frames under one hold of the lock. The unit is half of what a frame takes that is
 * only noted as free: 19 of those may be given, fewer where there is more to do.
 */
#define GIVE_BUDGET   38
#define ADD_COST      2  /* a frame is noted as free, and that is all */
#define UNMERGED_COST 1  /* its leaf becomes unmerged by that */
#define FULL_COST     21 /* at most, where the frame is merged and indexes change */

/*
 * Leaves that were taken in pieces come back as a whole. Nothing in their trees is free, and they have none
 * any more.
 */
static void forget_leaves(struct arena *arena, unsigned leaf, unsigned leaves)
{
    if (leaves < 64) {
        arena->split[leaf / 64] &= ~(((1ULL << leaves) - 1) << leaf % 64);
        return;
    }
    for (unsigned word = leaf / 64; word < (leaf + leaves) / 64; word++) {
        arena->split[word] = 0;
    }
}

/* Makes 2^height whole leaves free. */
static unsigned give_leaves(struct buddy *buddy, uint64_t gib, struct arena *arena, unsigned leaf,
                            unsigned height)
{
    forget_leaves(arena, leaf, 1U << height);
    if (tree_give(&arena->blocks, tree_bit(leaf, height)) == 1) {
        tree_set(&arena->blocks, 1);
    }
    return arena_changed(buddy, gib, arena);
}

/* The last frames of a leaf became free: it is whole, whatever its tree says. */
static unsigned give_whole(struct buddy *buddy, uint64_t gib, struct arena *arena, unsigned leaf)
{
    if (arena->leaves[leaf].unmerged != 0) {
        leaf_forget_unmerged(buddy, gib, arena, leaf);
    }
    unsigned changes = buddy_leaf_publish(buddy, gib, arena, leaf, -1);
    return changes + give_leaves(buddy, gib, arena, leaf, 0);
}

unsigned buddy_give(void *state, uint64_t frame, unsigned order)
{
    struct buddy *buddy = state;
    uint64_t gib = frame / ARENA_FRAMES;
    struct arena *arena = buddy->arenas[gib];
    unsigned leaf = frame / TREE_UNITS % TREE_UNITS;
    if (order >= LEAF_ORDER) {
        return give_leaves(buddy, gib, arena, leaf, order - LEAF_ORDER);
    }
    if (!leaf_is_split(arena, leaf)) { /* part of a block that was taken whole */
        leaf_open(arena, leaf);
    }
    struct tree *tree = &arena->leaves[leaf];
    tree->free += (uint16_t)(1U << order);
    if (tree->free == TREE_UNITS) {
        return give_whole(buddy, gib, arena, leaf);
    }
    tree_give(tree, tree_bit(frame % TREE_UNITS, order));
    return leaf_changed(buddy, gib, arena, leaf);
}

/*
 * Makes a single frame free, if it only has to be noted: its leaf has other free frames already, so no index
 * changes, and is not whole by it. Returns what that cost, or 0 if more has to be done, and nothing was.
 */
static inline unsigned add_frame(struct buddy *buddy, uint64_t frame)
{
    uint64_t gib = frame / ARENA_FRAMES;
    struct arena *arena = buddy->arenas[gib];
    unsigned leaf = frame / TREE_UNITS % TREE_UNITS;
    struct tree *tree = &arena->leaves[leaf];
    if (!leaf_is_split(arena, leaf) || tree->highest < 0 || tree->free == TREE_UNITS - 1) {
        return 0;
    }
    unsigned cost = ADD_COST;
    if (tree->unmerged == 0) {
        leaf_note_unmerged(buddy, gib, arena, leaf);
        cost += UNMERGED_COST;
    }
    tree_add(tree, frame % TREE_UNITS);
    tree->free++;
    return cost;
}

uint64_t buddy_give_frames(void *state, const uint64_t *top, uint64_t count)
{
    unsigned spent = 0;
    uint64_t given = 0;
    while (given < count && spent < GIVE_BUDGET) {
        uint64_t frame = top[-1 - (int64_t)given] >> FRAME_SHIFT;
        unsigned cost = add_frame(state, frame);
        if (cost == 0) {
            if (spent > GIVE_BUDGET - FULL_COST) {
                break;
            }
            buddy_give(state, frame, 0);
            cost = FULL_COST;
        }
        spent += cost;
        given++;
    }
    return given;
}
