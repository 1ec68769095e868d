/*
 * A tree of free blocks over 512 units, 1,024 bits in all: a buddy system in two cache lines.
 *
 * Bit numbers are those of a binary heap. Bit 1 is the block of all 512 units, bits 2 and 3 its halves, bits
 * 512 .. 1023 the single units: the block at bit i has its halves at 2i and 2i + 1, its buddy at i ^ 1, its
 * parent at i / 2. A set bit is a free block, and nothing below or above it is set. `level` is the depth in
 * the tree: 0 for all units, 9 for single ones; height = 9 - level is the order.
 *
 * Buddies are never both set, but for single units that were made free by tree_add(): that costs a few
 * instructions, and tree_merge() makes up for all of them together, 64 units at a time.
 */
#pragma once

#include <ashlar/types.h>

#define TREE_HEIGHT 9
#define TREE_UNITS  (1U << TREE_HEIGHT)
#define TREE_WORDS  16
#define TREE_NONE   0U /* bit 0 stands for no block */
#define TREE_SINGLE 8U /* the first of the eight words of single units */

struct tree {
    uint64_t words[TREE_WORDS]; /* bit i of the heap is bit i % 64 of word i / 64 */
    uint16_t used;              /* bit w: words[w] is not 0 */
    uint8_t unmerged;           /* bit w: words[TREE_SINGLE + w] may have free buddies */
    int8_t highest;             /* the caller's: order of the largest free block as it was last published */
    uint16_t free;              /* the caller's, of leaves only: units that are free */
};

static inline unsigned lowest_bit(uint64_t word)
{
    return (unsigned)__builtin_ctzll(word);
}

static inline unsigned highest_bit(uint64_t word)
{
    return 63U - (unsigned)__builtin_clzll(word);
}

/* Bit of the block of height `height` that holds `unit`. */
static inline unsigned tree_bit(unsigned unit, unsigned height)
{
    return (TREE_UNITS + unit) >> height;
}

static inline unsigned tree_bit_height(unsigned bit)
{
    return TREE_HEIGHT - highest_bit(bit);
}

/* First unit of the block at `bit`. */
static inline unsigned tree_bit_unit(unsigned bit)
{
    return (bit << tree_bit_height(bit)) - TREE_UNITS;
}

static inline bool tree_test(const struct tree *tree, unsigned bit)
{
    return tree->words[bit / 64] >> bit % 64 & 1;
}

static inline void tree_set(struct tree *tree, unsigned bit)
{
    tree->words[bit / 64] |= 1ULL << bit % 64;
    tree->used |= (uint16_t)(1U << bit / 64);
}

static inline void tree_clear(struct tree *tree, unsigned bit)
{
    uint64_t word = tree->words[bit / 64] & ~(1ULL << bit % 64);
    tree->words[bit / 64] = word;
    if (word == 0) {
        tree->used &= (uint16_t) ~(1U << bit / 64);
    }
}

/* Nothing is free. */
static inline void tree_init(struct tree *tree)
{
    for (unsigned i = 0; i < TREE_WORDS; i++) {
        tree->words[i] = 0;
    }
    tree->used = 0;
    tree->unmerged = 0;
    tree->highest = -1;
    tree->free = 0;
}

/* Height of the largest free block, -1 when nothing is free. */
static inline int tree_highest(const struct tree *tree)
{
    if (tree->used == 0) {
        return -1;
    }
    unsigned word = lowest_bit(tree->used);
    if (word == 0) {
        return (int)(TREE_HEIGHT - highest_bit(lowest_bit(tree->words[0])));
    }
    return (int)(TREE_HEIGHT - 6 - highest_bit(word));
}

/*
 * The lowest of the smallest free blocks of at least `height`; TREE_NONE if there is none. The words of one
 * level follow each other, so the highest used word that is allowed names the level, and so within word 0.
 */
static inline unsigned tree_find(const struct tree *tree, unsigned height)
{
    uint64_t levels = tree->used & (height < 4 ? (1U << (TREE_WORDS >> height)) - 1 : 1U);
    if (levels > 1) {
        unsigned first = 1U << highest_bit(highest_bit(levels));
        unsigned word = lowest_bit(levels & (~0ULL << first));
        return word * 64 + lowest_bit(tree->words[word]);
    }
    uint64_t bits = tree->words[0];
    if (height >= 4) {
        bits &= ~0ULL >> (64 - (2 * TREE_UNITS >> height));
    }
    if (bits == 0) {
        return TREE_NONE;
    }
    unsigned first = 1U << highest_bit(highest_bit(bits));
    return lowest_bit(bits & (~0ULL << first));
}

/* The lowest free block of exactly `height` that starts at or above `unit`; TREE_NONE if there is none. */
static inline unsigned tree_find_exact(const struct tree *tree, unsigned height, unsigned unit)
{
    unsigned end = (2 * TREE_UNITS) >> height;
    unsigned bit = (TREE_UNITS + unit + (1U << height) - 1) >> height;
    while (bit < end) {
        uint64_t bits = tree->words[bit / 64] & (~0ULL << bit % 64);
        if (bits != 0) {
            unsigned found = bit / 64 * 64 + lowest_bit(bits);
            return found < end ? found : TREE_NONE;
        }
        bit = (bit / 64 + 1) * 64;
    }
    return TREE_NONE;
}

/*
 * As tree_find(), for blocks that start at or above `unit` and whose first `needed` units end at or below
 * `limit`.
 */
static inline unsigned tree_find_between(const struct tree *tree, unsigned height, unsigned unit,
                                         unsigned needed, unsigned limit)
{
    for (unsigned h = height; h <= TREE_HEIGHT; h++) {
        unsigned bit = tree_find_exact(tree, h, unit);
        if (bit != TREE_NONE && tree_bit_unit(bit) + needed <= limit) {
            return bit;
        }
    }
    return TREE_NONE;
}

/* Takes the block at `part` out of the free block at `whole`; the buddies on the way down become free. */
static inline void tree_carve(struct tree *tree, unsigned whole, unsigned part)
{
    tree_clear(tree, whole);
    for (; part != whole; part >>= 1) {
        tree_set(tree, part ^ 1);
    }
}

/*
 * Makes the block at `bit` free and merges it with its buddies. Returns the bit of the block that results;
 * bit 1, the whole, is returned without being set.
 */
static inline unsigned tree_give(struct tree *tree, unsigned bit)
{
    while (bit != 1 && tree_test(tree, bit ^ 1)) {
        tree_clear(tree, bit ^ 1);
        bit >>= 1;
    }
    if (bit != 1) {
        tree_set(tree, bit);
    }
    return bit;
}

/* Makes a single unit free and leaves it at that. */
static inline void tree_add(struct tree *tree, unsigned unit)
{
    tree_set(tree, TREE_UNITS + unit);
    tree->unmerged |= (uint8_t)(1U << unit / 64);
}

/* Merges what tree_add() did not. */
void tree_merge(struct tree *tree);

/* The free block that holds the block at `bit`; TREE_NONE if there is none. */
static inline unsigned tree_holder(const struct tree *tree, unsigned bit)
{
    while (bit != 0 && !tree_test(tree, bit)) {
        bit >>= 1;
    }
    return bit;
}
