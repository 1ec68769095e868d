/*
 * Assertions in three tiers. A failed one panics with its file, line and expression.
 *   ASSERT              always: the cost of a compare and a branch not taken
 *   DEBUG_ASSERT        in builds with ASHLAR_DEBUG
 *   VALIDATE_AT_RANDOM  in the same builds, at random moments: for checks that walk a whole structure
 *                       (<ashlar/validate.h>)
 *
 * A structure of mm/ has a function NAME_is_valid() in mm/ROOM/valid.h. It looks at the structure alone, in
 * constant time, and its operations assert it when they begin.
 */
#pragma once

#include <ashlar/platform.h>

#define ASSERT(condition)                                                                                    \
    do {                                                                                                     \
        if (__builtin_expect(!(condition), 0)) {                                                             \
            panic("assertion failed: %s at %s:%d", #condition, __FILE__, __LINE__);                          \
        }                                                                                                    \
    } while (0)

/* Compiles the condition without evaluating it: its names must exist, and count as used. */
#define ASSERT_UNCHECKED(condition)                                                                          \
    do {                                                                                                     \
        if (0) {                                                                                             \
            (void)(condition);                                                                               \
        }                                                                                                    \
    } while (0)

#ifdef ASHLAR_DEBUG
#define DEBUG_ASSERT(condition) ASSERT(condition)
#else
#define DEBUG_ASSERT(condition) ASSERT_UNCHECKED(condition)
#endif
