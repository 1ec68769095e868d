/*
 * What the buddy policy (policy/buddy.c) keeps about its trees: the arenas that are in use, the sets that say
 * what a leaf and an arena can serve, and which leaves are unmerged. Taking, giving and looking stand on
 * this.
 */
#include "buddy.h"

struct arena *buddy_arena_open(struct buddy *buddy, uint64_t gib)
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

unsigned buddy_find_holder(struct buddy *buddy, uint64_t gib, unsigned bit)
{
    if (buddy->arenas[gib]) {
        return tree_holder(&buddy->arenas[gib]->blocks, bit);
    }
    return buddy->homes[gib] && set_has(&buddy->untouched, gib) ? 1 : TREE_NONE;
}

void buddy_leaf_merge(struct buddy *buddy, uint64_t gib, struct arena *arena, unsigned leaf)
{
    tree_merge(&arena->leaves[leaf]);
    leaf_forget_unmerged(buddy, gib, arena, leaf);
}

void buddy_merge_first(struct buddy *buddy, uint64_t gib)
{
    struct arena *arena = buddy->arenas[gib];
    unsigned leaf = leaf_set_find(&arena->unmerged, 0);
    ASSERT(leaf < TREE_UNITS);
    buddy_leaf_merge(buddy, gib, arena, leaf);
    leaf_changed(buddy, gib, arena, leaf);
}

bool buddy_merge(void *state)
{
    struct buddy *buddy = state;
    uint64_t gib = set_find(&buddy->unmerged, buddy->arena_count, 0);
    if (gib == SET_NONE) {
        return false;
    }
    buddy_merge_first(buddy, gib);
    return true;
}
