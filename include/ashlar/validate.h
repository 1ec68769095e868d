/*
 * Validators at random moments: in builds with all assertions an operation of mm/ now and then verifies the
 * whole structure that it is about to use, so that damage is found near its cause.
 *
 * A validator needs a structure that nobody else is in the midst of changing. The kernel gives the two
 * functions that stop all other CPUs for it and let them go on; a host test switches validators on while it
 * has one thread.
 */
#pragma once

#include <ashlar/platform.h>

#define VALIDATE_ONE_IN 1000 /* the kernel's odds, in builds with all assertions */

/* From now on one in `odds` operations is preceded by its validator; 0: none is. From any context. */
void validate_at_random(uint32_t odds);

/*
 * From now on stop() is called before a validator and resume() after it; none runs where a CPU may not wait.
 * Before other CPUs run.
 */
void validate_alone(void (*stop)(void), void (*resume)(void));

/*
 * Whether a validator shall run now. If so, validate_end() must be called after it; until then this returns
 * false on every CPU, so that what a validator itself calls starts no other validator. From any context.
 */
bool validate_begin(void);
void validate_end(void);

/* How many validators have run. */
uint64_t validate_runs(void);

#ifdef ASHLAR_DEBUG
#define VALIDATE_NOW() validate_begin()
#else
#define VALIDATE_NOW() false
#endif

/*
 * At random moments runs check(structure, &problem), a function that returns whether all is well and, if not,
 * fills in a `struct KIND_problem`; then this panics. The caller holds none of the locks that `check` takes.
 * Other builds compile the call and never run it.
 */
#define VALIDATE_AT_RANDOM(kind, check, structure)                                                           \
    do {                                                                                                     \
        if (VALIDATE_NOW()) {                                                                                \
            struct kind##_problem problem_found;                                                             \
            if (!check(structure, &problem_found)) {                                                         \
                panic(#check ": %s: %#" PRIx64 " instead of %#" PRIx64 ", noticed at %s:%d",                 \
                      problem_found.what, problem_found.found, problem_found.expected, __FILE__, __LINE__);  \
            }                                                                                                \
            validate_end();                                                                                  \
        }                                                                                                    \
    } while (0)
