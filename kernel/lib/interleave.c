/* Dice that say when a CPU lets others go ahead; see <ashlar/interleave.h>. */
#include <ashlar/interleave.h>

#ifdef ASHLAR_DEBUG

#include <ashlar/platform.h>
#include <stdatomic.h>

#define SPREAD      0x9e3779b97f4a7c15ULL /* seeds that are neighbours begin far from each other */
#define DIGEST_STEP 0x100000001b3ULL      /* of FNV-1a */
#define ODDS_KINDS  6                     /* one point in 2, 4 .. 64 */
#define PAUSE_KINDS 4                     /* at most 1, 2, 4 or 8 pauses */

/*
 * What all CPUs share. Where this is of use one of them runs at a time, so plain loads and stores keep it in
 * order; elsewhere two may throw the same number, which harms nobody. A locked instruction would be a fence
 * that other builds do not have at that point.
 */
static _Atomic(uint64_t) dice; /* 0: they are not thrown */
static _Atomic(uint64_t) digest;
static _Atomic(uint64_t) points;
static uint64_t first_seed;
static uint32_t odds;        /* a CPU pauses at one point in so many */
static uint32_t pauses_most; /* at one point */

static uint64_t get(_Atomic(uint64_t) *value)
{
    return atomic_load_explicit(value, memory_order_relaxed);
}

static void set(_Atomic(uint64_t) *value, uint64_t to)
{
    atomic_store_explicit(value, to, memory_order_relaxed);
}

/* The next number of a generator (xorshift64), which never comes to 0. */
static uint64_t next(uint64_t state)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

void interleave_begin(uint64_t seed)
{
    first_seed = seed;
    odds = 2U << seed % ODDS_KINDS;
    pauses_most = 1U << seed / ODDS_KINDS % PAUSE_KINDS;
    set(&digest, 0);
    set(&points, 0);
    set(&dice, next(seed * SPREAD | 1));
}

/* As many as the number that was thrown says, mostly none. */
static uint32_t pauses_of(uint64_t thrown)
{
    return (thrown >> 32) % odds == 0 ? (uint32_t)(thrown >> 8) % pauses_most + 1 : 0;
}

/* place: where the point is; told from here, as the kernel lies elsewhere in each boot. */
static void note(uintptr_t place, uint32_t pauses)
{
    uint64_t what = (place - (uintptr_t)interleave_begin) << 20 | cpu_number() << 4 | pauses;
    set(&digest, (get(&digest) ^ what) * DIGEST_STEP);
    set(&points, get(&points) + 1);
}

__attribute__((noinline)) void interleave_point(void)
{
    uint64_t thrown = get(&dice);
    if (thrown == 0) {
        return;
    }
    set(&dice, next(thrown));
    uint32_t pauses = pauses_of(thrown);
    note((uintptr_t)__builtin_return_address(0), pauses);
    while (pauses-- > 0) {
        cpu_relax();
    }
}

struct interleave_facts interleave_facts(void)
{
    return (struct interleave_facts){first_seed, get(&points), get(&digest)};
}

#endif
