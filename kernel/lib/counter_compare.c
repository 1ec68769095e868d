/* Comparing the counters of two CPUs (<ashlar/counter_compare.h>). */
#include <ashlar/counter_compare.h>

/* How far outside [before, after] the answer lies: ahead if positive. */
static int64_t outside(uint64_t before, uint64_t answer, uint64_t after)
{
    if ((int64_t)(answer - after) > 0) {
        return (int64_t)(answer - after);
    }
    return (int64_t)(answer - before) < 0 ? (int64_t)(answer - before) : 0;
}

void counter_comparison_add(struct counter_comparison *comparison, uint64_t before, uint64_t answer,
                            uint64_t after)
{
    if (after - before < comparison->narrowest) {
        comparison->narrowest = after - before;
        comparison->ahead = outside(before, answer, after);
    }
}
