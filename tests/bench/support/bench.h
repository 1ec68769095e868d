/*
 * The host's benchmark harness. A program hands it cases; it runs them in alternating rounds, so that
 * whatever else the machine does falls on all of them alike, and prints median, minimum and maximum per
 * operation.
 *
 *     bench_NAME [-j] [-r ROUNDS] [PATTERN]      only cases whose name contains PATTERN; -j: a line of JSON
 * each
 */
#pragma once

#include <stdint.h>

struct bench_case {
    const char *name; /* as in the yardsticks: "frame.pair.o0" */
    const char *peer; /* whose code it is: "ashlar", or what it is compared with */
    const char *unit; /* "ns" for timed cases; else what run() returns in *value is reported as it is */
    void (*prepare)(void *); /* untimed, before each run; or NULL */
    uint64_t (*run)(void *); /* returns how many operations it did, 0 when it could not; for other units, the
                                value itself */
    void (*finish)(void *);  /* untimed, after each run; or NULL */
    void *context;           /* passed to all three */
};

#define BENCH_CASES_MAX 128
#define BENCH_NO_MATCH  3

/*
 * Runs the cases as the arguments ask and prints the results. Returns the program's exit status: 0, 2 for
 * wrong arguments, BENCH_NO_MATCH when no case's name contains PATTERN.
 */
int bench_main(int argc, char **argv, const struct bench_case *cases, unsigned count);
