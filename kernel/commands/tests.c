/* Monitor command that runs the in-kernel tests: selftest. */
#include <ashlar/monitor.h>
#include <ashlar/number.h>
#include <ashlar/test.h>

extern const struct kernel_test ashlar_tests_start[];
extern const struct kernel_test ashlar_tests_end[];

enum { BACKWARDS, BY_CHANCE }; /* by place in the options */

static void selftest_run(struct monitor_call *call)
{
    struct kernel_test_order order = {.backwards = call->options[BACKWARDS] != NULL};
    const char *seed = call->options[BY_CHANCE];
    if (!kernel_tests_are_loaded()) {
        monitor_error(call, KERNEL_TESTS_LEFT_OUT);
        return;
    }
    if (seed != NULL && (number_parse(seed, &order.seed) != NUMBER_OK || order.seed == 0)) {
        monitor_error(call, "not a seed: %s (a number, not 0)", seed);
        return;
    }
    call->failed = kernel_tests_run(call->arguments[0] ? call->arguments[0] : "", &order) > 0;
}

static void complete_test(struct line_completion *completion)
{
    const struct kernel_test *end = kernel_tests_are_loaded() ? ashlar_tests_end : ashlar_tests_start;
    for (const struct kernel_test *test = ashlar_tests_start; test < end; test++) {
        line_completion_add(completion, test->name);
    }
}

MONITOR_COMMAND(
    selftest, selftest_run, "[PATTERN]", "runs the kernel's own tests",
    "Runs the tests whose name has PATTERN in it (or a part of A,B), all without one, and reports in KTAP: a "
    "plan, a line\n"
    "for each test, the reason below each that failed. Some tests panic on purpose when they fail.\n"
    "Examples:\n"
    "  selftest\n"
    "  selftest frame    those of the frame allocator\n"
    "  selftest -s 7     all, in an order by chance that is the same each time\n",
    .options = MONITOR_OPTIONS({"-b", NULL, "backwards"},
                               {"-s", "SEED", "in an order that this number makes"}),
    .complete = complete_test, .arguments_max = 1);
