/*
 * Other interleavings of the CPUs, on purpose: for builds with all assertions, and of use where QEMU counts
 * instructions (-icount). There it runs one CPU at a time and changes to the next at PAUSE, at HLT and after
 * 100 ms: always the same way, and hardly any other. So at each *point*, a place where others may meet a CPU
 * in the midst of something, dice say whether it pauses, and how often. The seed decides what they say: the
 * same seed gives the same interleaving again, to the instruction.
 *
 * Points are the taking and the releasing of locks, writes of page-table entries, fences and mailboxes:
 * whatever calls cpu_interleave() (<ashlar/platform.h>), which is nothing in other builds.
 */
#pragma once

#include <ashlar/types.h>

#ifdef ASHLAR_DEBUG

/*
 * Throws the dice from now on, on all CPUs. seed: not 0. It also decides how often they say yes, from one
 * point in 2 to one in 64, and how often a CPU pauses then, at most 8 times. By one CPU, while the others
 * have nothing to do.
 */
void interleave_begin(uint64_t seed);

/* A point. Any context. */
void interleave_point(void);

/* What has happened since interleave_begin(). */
struct interleave_facts {
    uint64_t seed;   /* 0: the dice were never thrown, and then all is 0 */
    uint64_t points; /* passed by all CPUs */
    uint64_t digest; /* which CPU passed which, in order, and how long it paused: two runs whose digests are
                        the same were the same run */
};

struct interleave_facts interleave_facts(void);

#endif
