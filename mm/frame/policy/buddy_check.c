/* Counting and verifying what the buddy policy (policy/buddy.c) holds. */
#include "buddy.h"

static void count_tree(const struct tree *tree, unsigned lowest_order, uint64_t blocks[FRAME_ORDERS])
{
    for (unsigned word = 0; word < TREE_WORDS; word++) {
        for (uint64_t bits = tree->words[word]; bits != 0; bits &= bits - 1) {
            blocks[lowest_order + tree_bit_height(word * 64 + lowest_bit(bits))]++;
        }
    }
}

void buddy_count(void *state, uint64_t gib, uint64_t blocks[FRAME_ORDERS])
{
    struct buddy *buddy = state;
    const struct arena *arena = buddy->arenas[gib];
    blocks[FRAME_ORDER_MAX] += set_has(&buddy->untouched, gib);
    if (!arena) {
        return;
    }
    count_tree(&arena->blocks, LEAF_ORDER, blocks);
    for (unsigned word = 0; word < LEAF_WORDS; word++) {
        for (uint64_t bits = arena->split[word]; bits != 0; bits &= bits - 1) {
            struct tree merged = arena->leaves[word * 64 + lowest_bit(bits)];
            tree_merge(&merged);
            count_tree(&merged, 0, blocks);
        }
    }
}

/* ---- Checking ---- */

/* The rules of one tree whose units are 2^unit_order frames from `base` on. */
static bool check_tree(const struct tree *tree, uint64_t base, unsigned unit_order,
                       struct frame_problem *problem)
{
    for (unsigned word = 0; word < TREE_WORDS; word++) {
        bool used = tree->used >> word & 1;
        if (used != (tree->words[word] != 0)) {
            return frame_problem_set(problem, "summary of a tree", base, used, !used);
        }
        for (uint64_t bits = tree->words[word]; bits != 0; bits &= bits - 1) {
            unsigned bit = word * 64 + lowest_bit(bits);
            uint64_t frame = base + ((uint64_t)(bit ? tree_bit_unit(bit) : 0) << unit_order);
            if (bit == 0 || (bit == 1 && unit_order == 0)) {
                return frame_problem_set(problem, "a bit that stands for no block", frame, bit, 0);
            }
            bool is_unmerged = word >= TREE_SINGLE && tree->unmerged >> (word - TREE_SINGLE) & 1;
            if (bit != 1 && tree_test(tree, bit ^ 1) && !is_unmerged) {
                return frame_problem_set(problem, "free buddies are not merged", frame, bit, bit ^ 1);
            }
            if (tree_holder(tree, bit >> 1) != TREE_NONE) {
                return frame_problem_set(problem, "a free block inside a free block", frame, bit, 0);
            }
        }
    }
    if (tree->highest != tree_highest(tree)) {
        return frame_problem_set(problem, "published largest block", base, (uint64_t)tree->highest,
                                 (uint64_t)tree_highest(tree));
    }
    return true;
}

static bool leaf_set_has(const struct leaf_set *set, unsigned leaf)
{
    return set->words[leaf / 64] >> leaf % 64 & 1;
}

/*
 * Whether the sets that name the leaf are that of its largest free block, and that of unmerged ones if it is.
 */
static bool check_leaf_sets(const struct arena *arena, uint64_t base, unsigned leaf,
                            struct frame_problem *problem)
{
    bool split = leaf_is_split(arena, leaf);
    int highest = split ? arena->leaves[leaf].highest : -1;
    bool unmerged = split && arena->leaves[leaf].unmerged != 0;
    if (leaf_set_has(&arena->unmerged, leaf) != unmerged) {
        return frame_problem_set(problem, "set of unmerged leaves", base + (uint64_t)leaf * TREE_UNITS,
                                 !unmerged, unmerged);
    }
    for (int order = 0; order < (int)LEAF_ORDER; order++) {
        bool listed = leaf_set_has(&arena->best[order], leaf);
        if (listed != (order == highest)) {
            return frame_problem_set(problem, "set of leaves by best order",
                                     base + (uint64_t)leaf * TREE_UNITS, listed, !listed);
        }
    }
    return true;
}

/* Whether a leaf counts its free frames right. */
static bool check_count(const struct tree *tree, uint64_t frame, struct frame_problem *problem)
{
    uint64_t blocks[FRAME_ORDERS] = {0};
    uint64_t free = 0;
    count_tree(tree, 0, blocks);
    for (unsigned order = 0; order < LEAF_ORDER; order++) {
        free += blocks[order] << order;
    }
    return tree->free == free ||
           frame_problem_set(problem, "count of a leaf's free frames", frame, tree->free, free);
}

static bool check_leaves(const struct arena *arena, uint64_t gib, struct frame_problem *problem)
{
    uint64_t base = gib * ARENA_FRAMES;
    for (unsigned leaf = 0; leaf < TREE_UNITS; leaf++) {
        uint64_t frame = base + (uint64_t)leaf * TREE_UNITS;
        if (leaf_is_split(arena, leaf)) {
            if (!check_tree(&arena->leaves[leaf], frame, 0, problem) ||
                !check_count(&arena->leaves[leaf], frame, problem)) {
                return false;
            }
            if (tree_holder(&arena->blocks, tree_bit(leaf, 0)) != TREE_NONE) {
                return frame_problem_set(problem, "a split leaf is also free", frame, leaf, 0);
            }
        }
        if (!check_leaf_sets(arena, base, leaf, problem)) {
            return false;
        }
    }
    return true;
}

static uint64_t summary_of(const struct leaf_set *set)
{
    uint64_t summary = 0;
    for (unsigned i = 0; i < LEAF_WORDS; i++) {
        summary |= (uint64_t)(set->words[i] != 0) << i;
    }
    return summary;
}

/* Whether the summaries of an arena's sets of leaves agree with the sets. */
static bool check_summaries(const struct arena *arena, uint64_t base, struct frame_problem *problem)
{
    if (arena->unmerged.summary != summary_of(&arena->unmerged)) {
        return frame_problem_set(problem, "summary of the set of unmerged leaves", base,
                                 arena->unmerged.summary, summary_of(&arena->unmerged));
    }
    for (unsigned order = 0; order < LEAF_ORDER; order++) {
        uint64_t summary = summary_of(&arena->best[order]);
        if (arena->best[order].summary != summary || (arena->orders >> order & 1) != (summary != 0)) {
            return frame_problem_set(problem, "summary of a set of leaves", base, arena->best[order].summary,
                                     summary);
        }
    }
    int highest = arena->orders == 0 ? -1 : (int)highest_bit(arena->orders);
    if (arena->highest != highest) {
        return frame_problem_set(problem, "published best order of an arena", base, (uint64_t)arena->highest,
                                 (uint64_t)highest);
    }
    return true;
}

/* Whether the sets over all arenas name one for exactly what it can serve. */
static bool check_arena_sets(struct buddy *buddy, uint64_t gib, struct frame_problem *problem)
{
    const struct arena *arena = buddy->arenas[gib];
    bool unmerged = arena && arena->unmerged.summary != 0;
    if (set_has(&buddy->unmerged, gib) != unmerged) {
        return frame_problem_set(problem, "set of unmerged arenas", gib * ARENA_FRAMES, !unmerged, unmerged);
    }
    for (int order = 0; order < FRAME_ORDERS; order++) {
        int highest = order < (int)LEAF_ORDER ? -1 : (int)LEAF_ORDER - 1;
        if (arena) {
            highest = order < (int)LEAF_ORDER ? arena->highest : (int)LEAF_ORDER + arena->blocks.highest;
        }
        bool available = order <= highest;
        if (set_has(&buddy->available[order], gib) != available) {
            return frame_problem_set(problem, "set of available arenas", gib * ARENA_FRAMES, !available,
                                     available);
        }
    }
    return true;
}

static bool check_sets(const struct buddy *buddy, struct frame_problem *problem)
{
    for (unsigned order = 0; order < FRAME_ORDERS; order++) {
        if (!set_is_sound(&buddy->available[order], buddy->arena_count)) {
            return frame_problem_set(problem, "summary of a set of arenas", 0, order, 0);
        }
    }
    if (!set_is_sound(&buddy->untouched, buddy->arena_count)) {
        return frame_problem_set(problem, "summary of the set of untouched arenas", 0, 0, 0);
    }
    return set_is_sound(&buddy->unmerged, buddy->arena_count) ||
           frame_problem_set(problem, "summary of the set of unmerged arenas", 0, 0, 0);
}

bool buddy_check(void *state, uint64_t *free_frames, struct frame_problem *problem)
{
    struct buddy *buddy = state;
    if (!check_sets(buddy, problem)) {
        return false;
    }
    for (uint64_t gib = 0; gib < buddy->arena_count; gib++) {
        struct arena *arena = buddy->arenas[gib];
        uint64_t base = gib * ARENA_FRAMES;
        if (set_has(&buddy->untouched, gib) && (arena || !buddy->homes[gib])) {
            return frame_problem_set(problem, "an untouched arena is in use", base, 1, 0);
        }
        if (arena && (!check_tree(&arena->blocks, base, LEAF_ORDER, problem) ||
                      !check_leaves(arena, gib, problem) || !check_summaries(arena, base, problem))) {
            return false;
        }
        if (!check_arena_sets(buddy, gib, problem)) {
            return false;
        }
    }
    uint64_t blocks[FRAME_ORDERS] = {0};
    for (uint64_t gib = 0; gib < buddy->arena_count; gib++) {
        buddy_count(state, gib, blocks);
    }
    *free_frames = 0;
    for (unsigned order = 0; order < FRAME_ORDERS; order++) {
        *free_frames += blocks[order] << order;
    }
    return true;
}
