/* The host's benchmark harness; see bench.h. */
#include "bench.h"

#include <inttypes.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS_MAX 1001

struct options {
    bool json;
    unsigned rounds;
    const char *pattern;
};

static double samples[BENCH_CASES_MAX][ROUNDS_MAX];
static uint64_t operations[BENCH_CASES_MAX];

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static bool is_timed(const struct bench_case *test)
{
    return strcmp(test->unit, "ns") == 0;
}

/*
 * One sample; *count says how many operations it consists of. A value that is not a time is one, even if 0.
 */
static double run_once(const struct bench_case *test, uint64_t *count)
{
    if (test->prepare) {
        test->prepare(test->context);
    }
    double start = now();
    uint64_t result = test->run(test->context);
    double elapsed = now() - start;
    if (test->finish) {
        test->finish(test->context);
    }
    *count = is_timed(test) ? result : 1;
    return is_timed(test) ? elapsed / (double)(result ? result : 1) : (double)result;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const struct bench_case *test, double *sorted, const struct options *options,
                  uint64_t count)
{
    if (count == 0) {
        fprintf(stderr, "%s: %s could not do it\n", test->name, test->peer);
        return;
    }
    double median = sorted[options->rounds / 2];
    double least = sorted[0];
    double most = sorted[options->rounds - 1];
    if (options->json) {
        printf("{\"bench\":\"%s\",\"unit\":\"%s\",\"median\":%.2f,\"min\":%.2f,\"max\":%.2f,\"n\":%" PRIu64
               ",\"peer\":\"%s\"}\n",
               test->name, test->unit, median, least, most, count, test->peer);
    } else {
        printf("%-28s %-12s %12.2f %12.2f %12.2f %s\n", test->name, test->peer, median, least, most,
               test->unit);
    }
}

static bool parse(int argc, char **argv, struct options *options)
{
    *options = (struct options){.json = false, .rounds = 9, .pattern = ""};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "-j") == 0) {
            options->json = true;
        } else if (strcmp(argv[i], "-r") == 0 && i + 1 < argc) {
            char *end;
            unsigned long rounds = strtoul(argv[++i], &end, 10);
            if (*end != '\0' || rounds == 0 || rounds > ROUNDS_MAX) {
                fprintf(stderr, "%s: -r takes 1 to %d, not \"%s\"\n", argv[0], ROUNDS_MAX, argv[i]);
                return false;
            }
            options->rounds = (unsigned)rounds;
        } else if (argv[i][0] == '-') {
            fprintf(stderr, "%s: no such option: %s\nusage: %s [-j] [-r ROUNDS] [PATTERN]\n", argv[0],
                    argv[i], argv[0]);
            return false;
        } else {
            options->pattern = argv[i];
        }
    }
    return true;
}

int bench_main(int argc, char **argv, const struct bench_case *cases, unsigned count)
{
    struct options options;
    if (!parse(argc, argv, &options) || count > BENCH_CASES_MAX) {
        return 2;
    }
    bool any = false;
    for (unsigned round = 0; round <= options.rounds; round++) { /* round 0 warms up and is not counted */
        for (unsigned i = 0; i < count; i++) {
            if (strstr(cases[i].name, options.pattern)) {
                double sample = run_once(&cases[i], &operations[i]);
                samples[i][round == 0 ? 0 : round - 1] = sample;
                any = true;
            }
        }
    }
    if (!any) {
        fprintf(stderr, "%s: no benchmark's name contains \"%s\"\n", argv[0], options.pattern);
        return BENCH_NO_MATCH;
    }
    if (!options.json) {
        printf("%-28s %-12s %12s %12s %12s\n", "", "", "median", "min", "max");
    }
    for (unsigned i = 0; i < count; i++) {
        if (strstr(cases[i].name, options.pattern)) {
            qsort(samples[i], options.rounds, sizeof samples[i][0], by_value);
            print(&cases[i], samples[i], &options, operations[i]);
        }
    }
    return 0;
}
