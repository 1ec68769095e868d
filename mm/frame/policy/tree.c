/* Merging the free blocks of a tree (policy/tree.h) that were made free without. */
#include "tree.h"

/* The bits 0, 2, 4 ... of a word in which all others are 0, moved together. */
static uint64_t even_bits(uint64_t word)
{
    word = (word | word >> 1) & 0x3333333333333333;
    word = (word | word >> 2) & 0x0f0f0f0f0f0f0f0f;
    word = (word | word >> 4) & 0x00ff00ff00ff00ff;
    word = (word | word >> 8) & 0x0000ffff0000ffff;
    return (word | word >> 16) & 0x00000000ffffffff;
}

/* Merges the buddies in word `word` (from 1 on) of a tree; whether there were any. */
static bool merge_word(struct tree *tree, unsigned word)
{
    uint64_t bits = tree->words[word];
    uint64_t pairs = bits & bits >> 1 & 0x5555555555555555;
    if (pairs == 0) {
        return false;
    }
    bits &= ~(pairs * 3);
    tree->words[word] = bits;
    tree->words[word / 2] |= even_bits(pairs) << word % 2 * 32;
    tree->used |= (uint16_t)(1U << word / 2);
    if (bits == 0) {
        tree->used &= (uint16_t) ~(1U << word);
    }
    return true;
}

/* Merges buddies on the levels inside of word 0, from that of 32 blocks on up, as long as there are any. */
static void merge_top(struct tree *tree)
{
    for (unsigned bit = 32; bit > 1; bit /= 2) {
        uint64_t level = tree->words[0] & ((1ULL << bit) - 1) << bit;
        uint64_t pairs = level & level >> 1 & 0x5555555555555555;
        if (pairs == 0) {
            return;
        }
        tree->words[0] ^= pairs * 3;
        tree->words[0] |= even_bits(pairs >> bit) << bit / 2;
    }
}

/* Of the 64 blocks of a word the parents are half a word: level by level up to word 0. */
void tree_merge(struct tree *tree)
{
    unsigned pending = (unsigned)tree->unmerged << TREE_SINGLE;
    while (pending > 1) {
        unsigned word = highest_bit(pending);
        pending ^= 1U << word;
        if (merge_word(tree, word)) {
            pending |= 1U << word / 2;
        }
    }
    if (pending != 0) {
        merge_top(tree);
    }
    tree->unmerged = 0;
}
