/*
 * Sets of small numbers with "first member from here on" in a few steps: a bitmap, a bitmap of its words that
 * are not 0, and a bitmap of those words.
 */
#pragma once

#include <ashlar/types.h>

#define SET_NONE    UINT64_MAX
#define SET_LEVELS  3
#define SET_MAXIMUM (1U << 18) /* numbers a set of SET_LEVELS levels with one word on top can hold */

struct set {
    uint64_t *level[SET_LEVELS]; /* level[0]: members; level[n + 1]: words of level[n] that are not 0 */
};

/* Words that level `level` of a set of numbers below `size` has. */
static inline uint64_t set_level_words(uint64_t size, unsigned level)
{
    for (unsigned i = 0; i <= level; i++) {
        size = (size + 63) / 64;
    }
    return size;
}

/* Words a set of numbers below `size` takes. */
static inline uint64_t set_words(uint64_t size)
{
    uint64_t words = 0;
    for (unsigned i = 0; i < SET_LEVELS; i++) {
        words += set_level_words(size, i);
    }
    return words;
}

/*
 * Makes an empty set of numbers below `size` in set_words(size) words at `words`; returns what follows them.
 */
static inline uint64_t *set_init(struct set *set, uint64_t size, uint64_t *words)
{
    for (uint64_t i = 0; i < set_words(size); i++) {
        words[i] = 0;
    }
    for (unsigned i = 0; i < SET_LEVELS; i++) {
        set->level[i] = words;
        words += set_level_words(size, i);
    }
    return words;
}

static inline bool set_has(const struct set *set, uint64_t number)
{
    return set->level[0][number / 64] >> number % 64 & 1;
}

static inline void set_add(struct set *set, uint64_t number)
{
    for (unsigned i = 0; i < SET_LEVELS; i++) {
        uint64_t before = set->level[i][number / 64];
        set->level[i][number / 64] = before | 1ULL << number % 64;
        if (before != 0) {
            return;
        }
        number /= 64;
    }
}

static inline void set_remove(struct set *set, uint64_t number)
{
    for (unsigned i = 0; i < SET_LEVELS; i++) {
        uint64_t after = set->level[i][number / 64] & ~(1ULL << number % 64);
        set->level[i][number / 64] = after;
        if (after != 0) {
            return;
        }
        number /= 64;
    }
}

/* Whether the summaries say what the members are, and no member is `size` or more. */
static inline bool set_is_sound(const struct set *set, uint64_t size)
{
    for (unsigned i = 0; i < SET_LEVELS; i++) {
        for (uint64_t number = 0; number < set_level_words(size, i) * 64; number++) {
            bool listed = set->level[i][number / 64] >> number % 64 & 1;
            uint64_t below = i == 0 ? size : set_level_words(size, i - 1);
            if (listed && number >= below) {
                return false;
            }
            if (i > 0 && number < below && listed != (set->level[i - 1][number] != 0)) {
                return false;
            }
        }
    }
    return true;
}

/* Smallest member that is at least `from`; SET_NONE if there is none. `size` is that of set_init(). */
static inline uint64_t set_find(const struct set *set, uint64_t size, uint64_t from)
{
    for (unsigned i = 0; i < SET_LEVELS; i++) {
        if (from >= size) {
            return SET_NONE;
        }
        uint64_t bits = set->level[i][from / 64] & (~0ULL << from % 64);
        if (bits != 0) {
            uint64_t number = from / 64 * 64 + (uint64_t)__builtin_ctzll(bits);
            while (i-- > 0) {
                number = number * 64 + (uint64_t)__builtin_ctzll(set->level[i][number]);
            }
            return number;
        }
        from = from / 64 + 1;
        size = (size + 63) / 64;
    }
    return SET_NONE;
}
