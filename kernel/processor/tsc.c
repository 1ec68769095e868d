/*
 * Comparing time-stamp counters. The boot CPU and another one pass a turn to and fro: the boot CPU reads its
 * counter, the other its own, the boot CPU again. <ashlar/counter_compare.h> says what that tells.
 */
#include <ashlar/clock.h>
#include <ashlar/counter_compare.h>
#include <ashlar/cpu_request.h>
#include <ashlar/lock.h>
#include <ashlar/platform.h>

#include "internal.h"

#define ROUNDS            4
#define CLOSE_NANOSECONDS 20000 /* a round this short tells enough */

enum turn { TURN_BOOT, TURN_OTHER };

/* One comparison; lies on the boot CPU's stack. */
struct comparison {
    _Atomic(uint32_t) turn; /* enum turn */
    _Atomic(bool) over;     /* the other need not wait for its turn again */
    _Atomic(uint64_t) answer;
};

/* On the other CPU, inside the interrupt that asked for it. */
static void answer_all(const void *context)
{
    struct comparison *comparison = *(struct comparison *const *)context;
    while (!atomic_load(&comparison->over)) {
        if (atomic_load(&comparison->turn) == TURN_OTHER) {
            atomic_store(&comparison->answer, cpu_ticks());
            atomic_store(&comparison->turn, TURN_BOOT);
        }
        cpu_relax();
    }
}

int64_t processor_compare_counter(unsigned cpu, struct cpu_set *only)
{
    struct comparison comparison = {.turn = TURN_BOOT};
    struct comparison *pointer = &comparison;
    uint64_t close = clock_nanoseconds_to_ticks(CLOSE_NANOSECONDS);
    struct counter_comparison found = COUNTER_COMPARISON_BEGIN;
    cpu_set_add(only, cpu);
    preempt_disable();
    cpu_request_send(only, answer_all, &pointer);
    struct lock_wait wait = lock_wait_begin(1);
    bool answered = true;
    for (unsigned i = 0; i < ROUNDS && found.narrowest > close && answered; i++) {
        uint64_t before = cpu_ticks();
        atomic_store(&comparison.turn, TURN_OTHER);
        while (!(answered = atomic_load(&comparison.turn) == TURN_BOOT) && lock_wait_goes_on(&wait)) {
            cpu_serve_requests();
            cpu_relax();
        }
        uint64_t after = cpu_ticks();
        if (answered) {
            counter_comparison_add(&found, before, atomic_load(&comparison.answer), after);
        }
    }
    atomic_store(&comparison.over, true); /* one that has not answered is named by a panic now */
    cpu_request_wait();
    preempt_enable();
    cpu_set_remove(only, cpu);
    return found.ahead;
}
