/*
 * By how much another CPU's counter is ahead of this one's. In a round this CPU reads its counter, the other
 * its own, this one again. If both agree, the other's reading lies between the two; if not, the closest round
 * tells by how much they differ, to within the time that the round took. Counters may wrap around.
 */
#pragma once

#include <ashlar/types.h>

struct counter_comparison {
    uint64_t narrowest; /* ticks that the closest round took; UINT64_MAX: there was none */
    int64_t ahead;      /* what that round told: ticks, positive if the other is ahead; 0: no difference */
};

#define COUNTER_COMPARISON_BEGIN ((struct counter_comparison){.narrowest = UINT64_MAX})

/* Takes a round in: this CPU's two readings, and the other's. */
void counter_comparison_add(struct counter_comparison *comparison, uint64_t before, uint64_t answer,
                            uint64_t after);
