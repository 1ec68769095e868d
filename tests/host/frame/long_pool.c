/*
 * Ten million operations of the frame pool and its reference model over random machines, without sanitizers,
 * and some on machines with GiBs of memory.
 *     frame_long_pool [OPERATIONS [FIRST_SEED]]
 */
#include "random.h"

#include <stdio.h>
#include <stdlib.h>

#define STEPS_PER_MACHINE 25000
#define LARGE_STEPS       10000
#define LARGE_EVERY       20 /* machines */

int main(int argc, char **argv)
{
    static struct machine machine;
    uint64_t wanted = argc > 1 ? strtoull(argv[1], NULL, 0) : 10000000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1000;
    uint64_t done = 0;
    uint64_t machines = 0;
    uint64_t failures = 0;
    for (; done < wanted; seed++) {
        const struct frame_policy *policy = seed % 5 == 4 ? &frame_policy_bitmap : &frame_policy_buddy;
        if (seed % LARGE_EVERY == 0) {
            run_large(&machine, seed, LARGE_STEPS);
            machines++;
            done += LARGE_STEPS;
            failures += the_model.failures;
        }
        if (run_one(&machine, seed, STEPS_PER_MACHINE, policy)) {
            machines++;
            done += STEPS_PER_MACHINE;
            failures += the_model.failures;
        }
    }
    printf("%" PRIu64 " operations on %" PRIu64 " machines, %" PRIu64 " of them found no memory\n", done,
           machines, failures);
    return machines == 0 || failures == 0;
}
