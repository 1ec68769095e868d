/*
 * Benchmarks: takes samples, and tells median, least and most ticks per operation; see <ashlar/bench.h>. The
 * median is what counts: an interrupt or a slow first touch falls into the samples above it.
 */
#include <ashlar/bench.h>
#include <ashlar/monitor.h>
#include <ashlar/string.h>
#include <ashlar/test.h>

extern const struct kernel_bench ashlar_benches_start[];
extern const struct kernel_bench ashlar_benches_end[];

/* Ticks per operation in BENCH_SAMPLES samples, sorted. */
struct bench_result {
    uint64_t ticks[BENCH_SAMPLES]; /* ascending */
    unsigned count;                /* samples taken */
    const char *skipped;           /* why none were, or NULL */
};

static bool matches(const char *name, const char *pattern)
{
    size_t bytes = strlen(pattern);
    for (; strlen(name) >= bytes; name++) {
        if (strncmp(name, pattern, bytes) == 0) {
            return true;
        }
    }
    return false;
}

/* The benchmark after `previous` in the order of their names, the first for NULL; NULL at the end, and where
 * they are not loaded. */
static const struct kernel_bench *next_bench(const struct kernel_bench *previous)
{
    const struct kernel_bench *next = NULL;
    const struct kernel_bench *end = kernel_tests_are_loaded() ? ashlar_benches_end : ashlar_benches_start;
    for (const struct kernel_bench *bench = ashlar_benches_start; bench < end; bench++) {
        bool after = !previous || strcmp(bench->name, previous->name) > 0;
        if (after && (!next || strcmp(bench->name, next->name) < 0)) {
            next = bench;
        }
    }
    return next;
}

static void insert_sorted(struct bench_result *result, uint64_t ticks)
{
    unsigned at = result->count++;
    for (; at > 0 && result->ticks[at - 1] > ticks; at--) {
        result->ticks[at] = result->ticks[at - 1];
    }
    result->ticks[at] = ticks;
}

/* One call of the benchmark; returns the ticks per operation, rounded. */
static uint64_t take_sample(const struct kernel_bench *bench, const char **skipped)
{
    struct bench sample = {0};
    bench->run(&sample);
    *skipped = sample.skipped;
    if (sample.skipped) {
        return 0;
    }
    if (sample.operations == 0) {
        panic("benchmark %s measured nothing", bench->name);
    }
    return (sample.ticks + sample.operations / 2) / sample.operations;
}

static void measure(const struct kernel_bench *bench, struct bench_result *result)
{
    result->count = 0;
    take_sample(bench, &result->skipped);
    while (!result->skipped && result->count < BENCH_SAMPLES && !monitor_interrupted()) {
        insert_sorted(result, take_sample(bench, &result->skipped));
    }
}

static void report_json(const struct kernel_bench *bench, const struct bench_result *result)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_string(&json, "bench", bench->name);
    if (result->skipped) {
        json_string(&json, "skipped", result->skipped);
    } else {
        json_string(&json, "unit", "tick");
        json_number(&json, "median", result->ticks[result->count / 2]);
        json_number(&json, "min", result->ticks[0]);
        json_number(&json, "max", result->ticks[result->count - 1]);
        json_number(&json, "n", result->count);
    }
    json_object_end(&json);
    json_end(&json);
}

static void report(const struct kernel_bench *bench, const struct bench_result *result)
{
    if (result->skipped) {
        monitor_print("%-24s skipped: %s\n", bench->name, result->skipped);
        return;
    }
    monitor_print("%-24s %'12" PRIu64 " %'12" PRIu64 " %'12" PRIu64 "\n", bench->name,
                  result->ticks[result->count / 2], result->ticks[0], result->ticks[result->count - 1]);
}

static void bench_run(struct monitor_call *call)
{
    const char *pattern = call->arguments[0] ? call->arguments[0] : "";
    const struct kernel_bench *bench = NULL;
    unsigned found = 0;
    if (!kernel_tests_are_loaded()) {
        monitor_error(call, KERNEL_TESTS_LEFT_OUT);
        return;
    }
    while ((bench = next_bench(bench)) && !monitor_interrupted()) {
        struct bench_result result;
        if (!matches(bench->name, pattern)) {
            continue;
        }
        if (found++ == 0 && !call->json) {
            monitor_print("%-24s %12s %12s %12s\n", "ticks per operation", "median", "least", "most");
        }
        measure(bench, &result);
        if (result.count == BENCH_SAMPLES || result.skipped) {
            (call->json ? report_json : report)(bench, &result);
        }
    }
    if (found == 0) {
        monitor_error(call, "no benchmark's name has '%.40s' in it", pattern);
    }
}

static void complete_bench(struct line_completion *completion)
{
    const struct kernel_bench *bench = NULL;
    while ((bench = next_bench(bench))) {
        line_completion_add(completion, bench->name);
    }
}

MONITOR_COMMAND(
    bench, bench_run, "[PATTERN]", "measures what the kernel's operations cost",
    "Runs the benchmarks whose name has PATTERN in it, all without one. Ticks are those of the time-\n"
    "stamp counter; under QEMU's -icount shift=0 one tick is one instruction.\n"
    "Examples:\n"
    "  bench frame      those of the frame allocator\n"
    "  bench -j cache   a line for each: {\"bench\":...,\"unit\":\"tick\",\"median\":N,\"min\":N,\n"
    "                   \"max\":N,\"n\":N}, or {\"bench\":...,\"skipped\":\"why\"}\n",
    .complete = complete_bench, .arguments_max = 1, .flags = MONITOR_JSON);
