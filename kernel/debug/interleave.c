/* The in-kernel tests in other interleavings; see <ashlar/interleave.h>. */
#ifdef ASHLAR_DEBUG

#define LOG_SUBSYSTEM "tests"
#include <ashlar/boot.h>
#include <ashlar/clock.h>
#include <ashlar/command_line.h>
#include <ashlar/interleave.h>
#include <ashlar/log.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <x86/interrupt.h>

#include "kernel/kernel.h"

#define REST_NANOSECONDS 50000000

/* The value of an option, or `otherwise`. */
static uint64_t number_of(const char *option, uint64_t otherwise)
{
    char text[24];
    uint64_t number;
    bool given = command_line_get(boot_command_line(), option, text, sizeof text) &&
                 command_line_number(text, strlen(text), &number);
    return given ? number : otherwise;
}

static void ignore_expiry(struct timer *timer)
{
    (void)timer;
}

static void rest_for_a_while(void)
{
    struct timer timer = {.expired = ignore_expiry};
    timer_start(&timer, clock_nanoseconds() + REST_NANOSECONDS);
    for (interrupts_disable(); timer.running; interrupts_disable()) {
        cpu_rest(); /* which lets interrupts in */
    }
    interrupts_enable();
}

/*
 * When QEMU changes to the next CPU although none pauses depends on when all of them rested last. So they do
 * that now, and what led here makes no difference any more. The rest is longer than others find something to
 * do in theirs.
 */
static void let_all_rest(void)
{
    if (timer_available()) {
        rest_for_a_while();
    }
}

static unsigned run_with(uint64_t seed, const char *pattern, const struct kernel_test_order *order)
{
    log_info("interleave %" PRIu64 " begins", seed);
    let_all_rest();
    interleave_begin(seed);
    unsigned failures = kernel_tests_run(pattern, order);
    const struct interleave_facts facts = interleave_facts();
    log_info("interleave %" PRIu64 ": %" PRIu64 " points passed, digest %016" PRIx64, facts.seed,
             facts.points, facts.digest);
    return failures;
}

unsigned interleaved_tests_run(const char *pattern, const struct kernel_test_order *order)
{
    uint64_t first = number_of("interleave", 0);
    uint64_t count = number_of("interleave-seeds", 1);
    unsigned failures = 0;
    if (first == 0) {
        return kernel_tests_run(pattern, order);
    }
    for (uint64_t seed = first; seed - first < count && failures == 0; seed++) {
        failures = run_with(seed, pattern, order);
    }
    return failures;
}

#endif
