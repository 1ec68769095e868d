/*
 * The structures of the buddy policy and what all of its files do with them; policy/buddy.c explains it.
 */
#pragma once

#include "mm/frame/internal.h"
#include "set.h"
#include "tree.h"

#define LEAF_ORDER   TREE_HEIGHT /* order of a whole leaf: 2 MiB */
#define ARENA_FRAMES (1ULL << FRAME_GIB_SHIFT)
#define LEAF_WORDS   (TREE_UNITS / 64)

/* A set of leaves of one arena. */
struct leaf_set {
    uint64_t summary;           /* bit w: words[w] is not 0 */
    uint64_t words[LEAF_WORDS]; /* bit per leaf */
};

struct arena {
    struct tree blocks;               /* free blocks of whole leaves */
    struct leaf_set best[LEAF_ORDER]; /* split leaves whose largest free block is of this order */
    uint16_t orders;                  /* bit k: best[k] is not empty */
    int8_t highest;                   /* highest such k as it was last published; -1 for none */
    uint64_t split[LEAF_WORDS];       /* leaves that have a tree */
    struct leaf_set unmerged;         /* those of them with free frames that may have to be merged */
    struct tree leaves[];             /* as many as the arena's RAM reaches up to */
};

struct buddy {
    uint64_t arena_count;               /* GiB up to the end of RAM */
    bool worked;                        /* the last take() did enough for one hold of the lock */
    struct set available[FRAME_ORDERS]; /* arenas that can serve an order: from split leaves up to 8, whole
                                           ones from 9 */
    struct set untouched;  /* arenas that are wholly free and were never used: not in any `available` */
    struct set unmerged;   /* arenas with unmerged leaves */
    struct arena **arenas; /* by GiB; NULL until first used */
    struct arena **homes;  /* by GiB: where the arena's state goes; NULL where there is no RAM */
};

static inline void leaf_set_clear(struct leaf_set *set)
{
    set->summary = 0;
    for (unsigned i = 0; i < LEAF_WORDS; i++) {
        set->words[i] = 0;
    }
}

/* Returns whether the set was empty before. */
static inline bool leaf_set_add(struct leaf_set *set, unsigned leaf)
{
    bool was_empty = set->summary == 0;
    set->words[leaf / 64] |= 1ULL << leaf % 64;
    set->summary |= 1ULL << leaf / 64;
    return was_empty;
}

/* Returns whether the set is empty now. */
static inline bool leaf_set_remove(struct leaf_set *set, unsigned leaf)
{
    set->words[leaf / 64] &= ~(1ULL << leaf % 64);
    if (set->words[leaf / 64] == 0) {
        set->summary &= ~(1ULL << leaf / 64);
    }
    return set->summary == 0;
}

/* Smallest member from `from` (below 512) on, or TREE_UNITS. */
static inline unsigned leaf_set_find(const struct leaf_set *set, unsigned from)
{
    unsigned word = from / 64;
    uint64_t bits = set->words[word] & (~0ULL << from % 64);
    if (bits == 0) {
        uint64_t later = set->summary & (~0ULL << (word + 1));
        if (later == 0) {
            return TREE_UNITS;
        }
        word = lowest_bit(later);
        bits = set->words[word];
    }
    return word * 64 + lowest_bit(bits);
}

/* The lowest leaf from `from` on with a free block of `order` or a larger one, or TREE_UNITS. */
static inline unsigned leaf_find(const struct arena *arena, unsigned order, unsigned from)
{
    unsigned lowest = TREE_UNITS;
    for (uint64_t orders = arena->orders >> order; orders != 0; orders &= orders - 1) {
        unsigned leaf = leaf_set_find(&arena->best[order + lowest_bit(orders)], from);
        lowest = leaf < lowest ? leaf : lowest;
    }
    return lowest;
}

static inline bool leaf_is_split(const struct arena *arena, unsigned leaf)
{
    return arena->split[leaf / 64] >> leaf % 64 & 1;
}

static inline uint64_t frame_at(uint64_t gib, unsigned leaf, unsigned unit)
{
    return gib * ARENA_FRAMES + (uint64_t)leaf * TREE_UNITS + unit;
}

/* Notes that a leaf has free frames that are not merged; or that it has none any more. */
static inline void leaf_note_unmerged(struct buddy *buddy, uint64_t gib, struct arena *arena, unsigned leaf)
{
    if (leaf_set_add(&arena->unmerged, leaf)) {
        set_add(&buddy->unmerged, gib);
    }
}

static inline void leaf_forget_unmerged(struct buddy *buddy, uint64_t gib, struct arena *arena, unsigned leaf)
{
    if (leaf_set_remove(&arena->unmerged, leaf)) {
        set_remove(&buddy->unmerged, gib);
    }
}

/* ---- policy/buddy_index.c ---- */

/* Prepares the state of an arena that was never used: nothing in it is free. */
struct arena *buddy_arena_open(struct buddy *buddy, uint64_t gib);

/*
 * Bit of the free block of whole leaves, in the tree of the arena, that holds the block at `bit`; TREE_NONE
 * if it is not free as a part of whole leaves. An arena that was never used is one free block.
 */
unsigned buddy_find_holder(struct buddy *buddy, uint64_t gib, unsigned bit);

/* Names an arena in the sets `available` from `base` to base + now; before it was base + before. Returns how
 * many changed. */
static inline unsigned buddy_arena_publish(struct buddy *buddy, uint64_t gib, unsigned base, int before,
                                           int now)
{
    for (int order = before + 1; order <= now; order++) {
        set_add(&buddy->available[base + (unsigned)order], gib);
    }
    for (int order = now + 1; order <= before; order++) {
        set_remove(&buddy->available[base + (unsigned)order], gib);
    }
    return (unsigned)(now > before ? now - before : before - now);
}

/* Publishes what the whole leaves of an arena can serve now. Returns how many arena sets changed. */
static inline unsigned arena_changed(struct buddy *buddy, uint64_t gib, struct arena *arena)
{
    int now = tree_highest(&arena->blocks);
    int before = arena->blocks.highest;
    if (now == before) {
        return 0;
    }
    arena->blocks.highest = (int8_t)now;
    return buddy_arena_publish(buddy, gib, LEAF_ORDER, before, now);
}

/* A leaf of which nothing is free gets a tree. */
static inline struct tree *leaf_open(struct arena *arena, unsigned leaf)
{
    tree_init(&arena->leaves[leaf]);
    arena->split[leaf / 64] |= 1ULL << leaf % 64;
    return &arena->leaves[leaf];
}

/* Moves a leaf to the set that its tree belongs into now. Returns how many arena sets changed. */
static inline unsigned buddy_leaf_publish(struct buddy *buddy, uint64_t gib, struct arena *arena,
                                          unsigned leaf, int now)
{
    int before = arena->leaves[leaf].highest;
    arena->leaves[leaf].highest = (int8_t)now;
    if (before >= 0 && leaf_set_remove(&arena->best[before], leaf)) {
        arena->orders &= (uint16_t) ~(1U << before);
    }
    if (now >= 0) {
        leaf_set_add(&arena->best[now], leaf);
        arena->orders |= (uint16_t)(1U << now);
    }
    int highest = arena->orders == 0 ? -1 : (int)highest_bit(arena->orders);
    int published = arena->highest;
    if (highest == published) {
        return 0;
    }
    arena->highest = (int8_t)highest;
    return buddy_arena_publish(buddy, gib, 0, published, highest);
}

/* Publishes what the tree of a leaf can serve now; mostly that is what it was. */
static inline unsigned leaf_changed(struct buddy *buddy, uint64_t gib, struct arena *arena, unsigned leaf)
{
    struct tree *tree = &arena->leaves[leaf];
    int now = tree_highest(tree);
    return now == tree->highest ? 0 : buddy_leaf_publish(buddy, gib, arena, leaf, now);
}

/* Merges the frames of a leaf that is unmerged; what it can serve then is not published yet. */
void buddy_leaf_merge(struct buddy *buddy, uint64_t gib, struct arena *arena, unsigned leaf);

/* Merges the first unmerged leaf of an arena that has one, and publishes it. */
void buddy_merge_first(struct buddy *buddy, uint64_t gib);

/* The policy's merge(); `state` is a struct buddy. */
bool buddy_merge(void *state);

/* ---- policy/buddy_take.c ---- */

/* The policy's functions of these names; `state` is a struct buddy. */
uint64_t buddy_take(void *state, unsigned order, unsigned most, uint64_t from, uint64_t limit, unsigned *got);
unsigned buddy_take_more(void *state, uint64_t frame, unsigned order, uint64_t frames,
                         struct frame_piece pieces[], unsigned most);
uint64_t buddy_take_at(void *state, uint64_t frame, unsigned order);

/* ---- policy/buddy_give.c ---- */

/* The policy's functions of these names; `state` is a struct buddy. */
unsigned buddy_give(void *state, uint64_t frame, unsigned order);
uint64_t buddy_give_frames(void *state, const uint64_t *top, uint64_t count);

/* ---- policy/buddy_check.c ---- */

/* Adds the free blocks of each order in one GiB to `blocks`; `state` is a struct buddy. */
void buddy_count(void *state, uint64_t gib, uint64_t blocks[FRAME_ORDERS]);

/* Verifies trees and indexes, and counts the free frames; `state` is a struct buddy. */
bool buddy_check(void *state, uint64_t *free_frames, struct frame_problem *problem);
