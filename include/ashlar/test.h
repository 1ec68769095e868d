/*
 * In-kernel tests. A test is one function, found by the linker: no list to keep.
 *
 *     KERNEL_TEST(frame_alloc_gives_distinct_frames)
 *     {
 *         EXPECT(a != b);
 *     }
 *
 * `selftest` runs them in the order of their names, or another, and reports in KTAP. Each leaves the kernel
 * as it found it: they run in any order, and again and again. A failed EXPECT is reported with its file, line
 * and expression, and ends that test. A panic ends the whole run; it can be told from the report having fewer
 * tests than its plan.
 */
#pragma once

#include <ashlar/types.h>

struct kernel_test {
    const char *name;
    void (*run)(void);
};

#define KERNEL_TEST(function)                                                                                \
    static void function(void);                                                                              \
    __attribute__((used, section("ashlar_tests"),                                                            \
                   aligned(8))) static const struct kernel_test kernel_test_##function = {#function,         \
                                                                                          function};         \
    static void function(void)

/* Checks `condition`; on failure reports it and returns from the enclosing void function. */
#define EXPECT(condition)                                                                                    \
    do {                                                                                                     \
        if (!kernel_test_expect((condition), __FILE__, __LINE__, #condition)) {                              \
            return;                                                                                          \
        }                                                                                                    \
    } while (0)

/* Checks that two unsigned numbers are equal and reports both when they are not. */
#define EXPECT_EQUAL(actual, expected)                                                                       \
    do {                                                                                                     \
        if (!kernel_test_expect_equal((uint64_t)(actual), (uint64_t)(expected), __FILE__, __LINE__,          \
                                      #actual " == " #expected)) {                                           \
            return;                                                                                          \
        }                                                                                                    \
    } while (0)

/*
 * What the running test has made and others could see: at the test's end, wherever that is, undo(object) is
 * called, the last one first, unless kernel_test_undone(object) came before. At most KERNEL_TEST_UNDO_MAX at
 * a time; the object outlives the test's function.
 */
#define KERNEL_TEST_UNDO_MAX 8
void kernel_test_undo_later(void (*undo)(void *object), void *object);
void kernel_test_undone(const void *object);

/* Marks the running test as skipped, with the reason; the caller returns afterwards. */
void kernel_test_skip(const char *reason);

bool kernel_test_expect(bool condition, const char *file, int line, const char *expression);
bool kernel_test_expect_equal(uint64_t actual, uint64_t expected, const char *file, int line,
                              const char *expression);

/*
 * Whether the tests are in memory, and with them the benchmarks (<ashlar/bench.h>) and the faults on purpose
 * (<ashlar/provoke.h>). Where they are not, nothing of them may be called or looked at. The loader leaves
 * them out of small machines' memory; the option `tests` decides otherwise.
 */
bool kernel_tests_are_loaded(void);

/* What a command says that needs them. */
#define KERNEL_TESTS_LEFT_OUT "the tests were left out, as memory is small: start with tests=on"

/* Which test comes after which. */
struct kernel_test_order {
    bool backwards; /* the last one by name first */
    uint64_t seed;  /* not 0: an order by chance, the same for the same seed */
};

/*
 * Runs the tests whose name contains `pattern` ("" for all; or one of the parts of "A,B") and prints KTAP to
 * the console. They are loaded. Returns the number of failed tests; a pattern that matches nothing is one
 * failure.
 */
unsigned kernel_tests_run(const char *pattern, const struct kernel_test_order *order);

/* The same for any array of tests; kernel_tests_run() takes those the linker collected. */
unsigned kernel_tests_run_array(const struct kernel_test *tests, size_t count, const char *pattern,
                                const struct kernel_test_order *order);
