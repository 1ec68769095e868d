/* The harness of the host's benchmarks: what it prints for times, for other values, and for what failed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/bench/support/bench.c"

static uint64_t none(void *context)
{
    (void)context;
    return 0;
}

static uint64_t value(void *context)
{
    return *(const uint64_t *)context;
}

/* What bench_main() prints for one case; the status goes to *status. */
static char *output_of(struct bench_case one, int *status)
{
    char program[] = "bench_test";
    char json[] = "-j";
    char *arguments[] = {program, json, NULL};
    char *text = NULL;
    size_t length;
    FILE *console = stdout;
    stdout = open_memstream(&text, &length);
    *status = bench_main(2, arguments, &one, 1);
    fclose(stdout);
    stdout = console;
    return text;
}

static void a_value_of_zero_is_a_value(void **state)
{
    (void)state;
    uint64_t values[] = {0, 992};
    for (unsigned i = 0; i < 2; i++) {
        int status;
        struct bench_case one = {"frame.whole", "ours", "permille", NULL, value, NULL, &values[i]};
        char *text = output_of(one, &status);
        char expected[160];
        snprintf(expected, sizeof expected,
                 "{\"bench\":\"frame.whole\",\"unit\":\"permille\",\"median\":%u.00,\"min\":%u.00,"
                 "\"max\":%u.00,\"n\":1,\"peer\":\"ours\"}\n",
                 (unsigned)values[i], (unsigned)values[i], (unsigned)values[i]);
        assert_string_equal(text, expected);
        assert_int_equal(status, 0);
        free(text);
    }
}

static void what_could_not_be_done_is_left_out(void **state)
{
    (void)state;
    int status;
    struct bench_case one = {"frame.pair", "peer", "ns", NULL, none, NULL, NULL};
    char *text = output_of(one, &status);
    assert_string_equal(text, "");
    assert_int_equal(status, 0);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_of_zero_is_a_value),
        cmocka_unit_test(what_could_not_be_done_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
