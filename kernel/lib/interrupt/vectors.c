/* See <ashlar/vectors.h>. Runs are no longer than a word of the bitmap, so none lies in two. */
#include <ashlar/assert.h>
#include <ashlar/vectors.h>

#define WORDS (VECTORS / 64)

/* The lowest `count` bits, 1 .. 64 of them. */
static uint64_t low_bits(unsigned count)
{
    return UINT64_MAX >> (64 - count);
}

/* The bits at which a run of `count` free vectors begins, at multiples of count. */
static uint64_t runs_in(uint64_t free, unsigned count)
{
    for (unsigned step = 1; step < count; step *= 2) {
        free &= free >> step;
    }
    return free & UINT64_MAX / low_bits(count);
}

/* All bits of the runs that runs_in() finds: they do not overlap, so the product has no carry. */
static uint64_t covered_by_runs(uint64_t free, unsigned count)
{
    return runs_in(free, count) * low_bits(count);
}

static bool is_run_length(unsigned count)
{
    return count != 0 && count <= VECTOR_RUN_MAX && (count & (count - 1)) == 0;
}

static uint64_t run_bits(unsigned first, unsigned count)
{
    return low_bits(count) << first % 64;
}

void vector_set_init(struct vector_set *set, unsigned first, unsigned end,
                     bool (*is_pending)(unsigned vector))
{
    ASSERT(0 < first && first < end && end <= VECTORS);
    *set = (struct vector_set){.is_pending = is_pending};
    for (unsigned vector = first; vector < end; vector++) {
        set->own[vector / 64] |= run_bits(vector, 1);
        set->free[vector / 64] |= run_bits(vector, 1);
    }
}

/* Frees the leaving vectors whose interrupt has been taken meanwhile. */
static void free_those_that_left(struct vector_set *set)
{
    for (unsigned word = 0; word < WORDS; word++) {
        for (uint64_t rest = set->leaving[word]; rest != 0; rest &= rest - 1) {
            unsigned vector = word * 64 + (unsigned)__builtin_ctzll(rest);
            if (!set->is_pending(vector)) {
                set->leaving[word] &= ~run_bits(vector, 1);
                set->free[word] |= run_bits(vector, 1);
            }
        }
    }
}

/* The first run of `count` in the shortest free stretch that has one; 0 if none has. */
static unsigned find_run(const struct vector_set *set, unsigned count)
{
    for (unsigned stretch = count; stretch <= VECTOR_RUN_MAX; stretch *= 2) {
        for (unsigned word = 0; word < WORDS; word++) {
            uint64_t free = set->free[word];
            uint64_t found = runs_in(free, count);
            if (stretch < VECTOR_RUN_MAX) {
                found &= ~covered_by_runs(free, 2 * stretch);
            }
            if (found != 0) {
                return word * 64 + (unsigned)__builtin_ctzll(found);
            }
        }
    }
    return 0;
}

unsigned vector_set_take(struct vector_set *set, unsigned count)
{
    ASSERT(is_run_length(count));
    DEBUG_ASSERT(vector_set_is_valid(set));
    free_those_that_left(set);
    unsigned first = find_run(set, count);
    if (first != 0) {
        set->free[first / 64] &= ~run_bits(first, count);
    }
    return first;
}

void vector_set_give_back(struct vector_set *set, unsigned first, unsigned count)
{
    ASSERT(is_run_length(count) && first < VECTORS && first % count == 0);
    DEBUG_ASSERT(vector_set_is_valid(set));
    uint64_t bits = run_bits(first, count);
    unsigned word = first / 64;
    ASSERT((set->own[word] & bits) == bits && ((set->free[word] | set->leaving[word]) & bits) == 0);
    set->leaving[word] |= bits;
    free_those_that_left(set);
}

unsigned vector_set_free_count(const struct vector_set *set)
{
    unsigned count = 0;
    for (unsigned word = 0; word < WORDS; word++) {
        count += (unsigned)__builtin_popcountll(set->free[word] | set->leaving[word]);
    }
    return count;
}

bool vector_set_is_valid(const struct vector_set *set)
{
    for (unsigned word = 0; word < WORDS; word++) {
        uint64_t unused = set->free[word] | set->leaving[word];
        if ((set->free[word] & set->leaving[word]) != 0 || (unused & ~set->own[word]) != 0) {
            return false;
        }
    }
    return true;
}
