/*
 * Counts how long spinlocks are held: the branches that the code under test takes between taking its first
 * spinlock (or putting preemption off) and letting go of its last, told by the compiler. For the one source
 * file of a program whose name begins with `counted_`.
 */
#pragma once

#include <stdio.h>

#include "host.h"
#include <ashlar/assert.h>
#include <ashlar/types.h>
#include <inttypes.h>

static uint64_t branches; /* of the hold so far */
static uint64_t longest;  /* hold */
static uint64_t holds;

/* Called by the code under test at every branch it takes. */
void __sanitizer_cov_trace_pc(void); /* NOLINT(bugprone-reserved-identifier): the compiler's name for it */
void __sanitizer_cov_trace_pc(void)  /* NOLINT(bugprone-reserved-identifier) */
{
    if (host_preempt_depth > 0) {
        branches++;
    }
}

static void hold_ends(void)
{
    longest = max_u64(longest, branches);
    branches = 0;
    holds++;
}

static inline void count_begin(void)
{
    branches = longest = holds = 0;
    host_meanwhile = hold_ends;
}

/* Panics when a hold since count_begin() was longer than `most` branches. */
static inline void count_end(const char *what, const char *of, uint64_t most)
{
    host_meanwhile = NULL;
    printf("%8" PRIu64 " branches in the longest of %6" PRIu64 " holds: %s of %s\n", longest, holds, what,
           of);
    if (longest > most) {
        fflush(stdout);
        panic("%s of %s: a hold of %" PRIu64 " branches", what, of, longest);
    }
}
