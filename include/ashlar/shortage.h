/*
 * Operations that allocate with a spinlock held.
 *
 * Such an allocation cannot wait for other CPUs, so it comes back empty although their magazines may hold
 * what it needs. The operation then undoes what it has done, lets go of its locks, and goes this way: it has
 * the magazines of the others collected, and is tried again. Where the caller may not wait either, as it
 * holds a spinlock of its own, the operation fails at once, and the caller is the one to try again.
 */
#pragma once

#include <ashlar/frame.h>

/* Others may take what was collected before the next attempt does: so there are some, and not one. */
#define COLLECTING_TRIES 8

/*
 * The value of `attempt`, an expression that changes nothing where its value is `lack`: then it is evaluated
 * again, after frame_pool_collect(), as long as that brings anything, COLLECTING_TRIES times at most.
 */
#define COLLECTING(pool, lack, attempt)                                                                      \
    ({                                                                                                       \
        unsigned collecting_tries = 0;                                                                       \
        __typeof__(attempt) collecting_result;                                                               \
        do {                                                                                                 \
            collecting_result = (attempt);                                                                   \
        } while (__builtin_expect(collecting_result == (lack), 0) &&                                         \
                 collecting_tries++ < COLLECTING_TRIES && frame_pool_collect(pool));                         \
        collecting_result;                                                                                   \
    })
