/* The runner of the in-kernel tests; see <ashlar/test.h>. Reports in KTAP (Linux's
 * Documentation/dev-tools/ktap.rst). */
#include <ashlar/assert.h>
#include <ashlar/console.h>
#include <ashlar/string.h>
#include <ashlar/test.h>

/* The test that is running. Tests run one after the other, on one CPU. */
static struct {
    bool failed;             /* an expectation was not met */
    const char *skip_reason; /* or NULL */
    struct {
        void (*undo)(void *object);
        void *object;
    } owed[KERNEL_TEST_UNDO_MAX]; /* the first `owed_count` are to be undone */
    unsigned owed_count;
} running;

bool kernel_test_expect(bool condition, const char *file, int line, const char *expression)
{
    if (!condition) {
        running.failed = true;
        console_print("# %s:%d: %s\n", file, line, expression);
    }
    return condition;
}

bool kernel_test_expect_equal(uint64_t actual, uint64_t expected, const char *file, int line,
                              const char *expression)
{
    if (actual != expected) {
        running.failed = true;
        console_print("# %s:%d: %s: is %" PRIu64 " (0x%" PRIx64 "), should be %" PRIu64 " (0x%" PRIx64 ")\n",
                      file, line, expression, actual, actual, expected, expected);
    }
    return actual == expected;
}

void kernel_test_skip(const char *reason)
{
    running.skip_reason = reason;
}

void kernel_test_undo_later(void (*undo)(void *object), void *object)
{
    ASSERT(running.owed_count < KERNEL_TEST_UNDO_MAX);
    running.owed[running.owed_count].undo = undo;
    running.owed[running.owed_count++].object = object;
}

void kernel_test_undone(const void *object)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < running.owed_count; i++) {
        if (running.owed[i].object != object) {
            running.owed[kept++] = running.owed[i];
        }
    }
    running.owed_count = kept;
}

static void undo_what_is_left(void)
{
    while (running.owed_count > 0) {
        running.owed_count--;
        running.owed[running.owed_count].undo(running.owed[running.owed_count].object);
    }
}

/* A number that stands for a test in the order by chance (the finaliser of MurmurHash3). */
static uint64_t rank_of(const struct kernel_test *test, uint64_t seed)
{
    uint64_t rank = seed;
    for (const char *at = test->name; *at != '\0'; at++) {
        rank = (rank ^ (uint8_t)*at) * 0xff51afd7ed558ccdULL;
        rank ^= rank >> 33;
    }
    return rank;
}

/* By chance or by name, then by place, so that two of one name both run. */
static bool comes_before(const struct kernel_test *a, const struct kernel_test *b,
                         const struct kernel_test_order *order)
{
    uint64_t rank_a = order->seed == 0 ? 0 : rank_of(a, order->seed);
    uint64_t rank_b = order->seed == 0 ? 0 : rank_of(b, order->seed);
    int names = strcmp(a->name, b->name);
    bool before = rank_a != rank_b ? rank_a < rank_b : names < 0 || (names == 0 && a < b);
    return a != b && before != order->backwards;
}

/* A choice of tests, and their order. */
struct plan {
    const struct kernel_test *tests; /* all there are */
    size_t count;
    const char *pattern; /* parts of names, with commas between: one is in the name of each that is chosen */
    const struct kernel_test_order *order;
};

static bool has_part(const char *name, const char *part, size_t length)
{
    size_t rest = strlen(name);
    for (; rest >= length; name++, rest--) {
        if (memcmp(name, part, length) == 0) {
            return true;
        }
    }
    return false;
}

/* Whether one of the pattern's parts is in the name. */
static bool matches(const char *name, const char *pattern)
{
    const char *comma;
    for (; (comma = strchr(pattern, ',')) != NULL; pattern = comma + 1) {
        if (has_part(name, pattern, (size_t)(comma - pattern))) {
            return true;
        }
    }
    return strstr(name, pattern) != NULL;
}

/* The first of the plan that comes after `last` (NULL: the very first), or NULL. */
static const struct kernel_test *next_test(const struct plan *plan, const struct kernel_test *last)
{
    const struct kernel_test *next = NULL;
    for (const struct kernel_test *test = plan->tests; test < plan->tests + plan->count; test++) {
        bool after = !last || comes_before(last, test, plan->order);
        if (after && matches(test->name, plan->pattern) && (!next || comes_before(test, next, plan->order))) {
            next = test;
        }
    }
    return next;
}

static unsigned count_matching(const struct kernel_test *tests, size_t count, const char *pattern)
{
    unsigned matching = 0;
    for (size_t i = 0; i < count; i++) {
        matching += matches(tests[i].name, pattern);
    }
    return matching;
}

/* Runs one test as number `number` of the plan; returns whether it passed. */
static bool run_test(const struct kernel_test *test, unsigned number)
{
    running.failed = false;
    running.skip_reason = NULL;
    test->run();
    undo_what_is_left();
    if (running.failed) {
        console_print("not ok %u %s\n", number, test->name);
    } else if (running.skip_reason) {
        console_print("ok %u %s # SKIP %s\n", number, test->name, running.skip_reason);
    } else {
        console_print("ok %u %s\n", number, test->name);
    }
    return !running.failed;
}

unsigned kernel_tests_run_array(const struct kernel_test *tests, size_t count, const char *pattern,
                                const struct kernel_test_order *order)
{
    const struct plan plan = {tests, count, pattern, order};
    unsigned planned = count_matching(tests, count, pattern);
    console_print("KTAP version 1\n1..%u\n", planned);
    if (planned == 0) {
        console_print("# no test has \"%s\" in its name\n", pattern);
        return 1;
    }
    unsigned failures = 0;
    const struct kernel_test *test = NULL;
    for (unsigned number = 1; number <= planned; number++) {
        test = next_test(&plan, test);
        failures += !run_test(test, number);
    }
    return failures;
}
