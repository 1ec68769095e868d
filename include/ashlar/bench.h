/*
 * In-kernel benchmarks. A benchmark is one function, found by the linker; one call of it is one sample.
 *
 *     KERNEL_BENCH(frame_pair_o0, "frame.pair.o0")
 *     {
 *         bench_start(bench);
 *         for (unsigned i = 0; i < 1000; i++) {
 *             frame_free(frame_alloc());
 *         }
 *         bench_stop(bench, 1000);
 *     }
 *
 * Only what runs between bench_start() and bench_stop() is counted. `bench` calls the function once to warm
 * up, then BENCH_SAMPLES times for the samples, and reports the median, minimum and maximum of time-stamp
 * ticks per operation; under QEMU's -icount shift=0 a tick is one guest instruction.
 */
#pragma once

#include <ashlar/platform.h>

#define BENCH_SAMPLES 21

/* One sample. */
struct bench {
    uint64_t started;    /* time stamp of bench_start() */
    uint64_t ticks;      /* between start and stop */
    uint64_t operations; /* done in between; 0 until bench_stop() */
    const char *skipped; /* why the benchmark cannot run here, or NULL */
};

struct kernel_bench {
    const char *name;                 /* "frame.pair.o0": subsystem, operation, variant */
    void (*run)(struct bench *bench); /* takes one sample */
};

#define KERNEL_BENCH(function, bench_name)                                                                   \
    static void function(struct bench *bench);                                                               \
    __attribute__((used, section("ashlar_benches"),                                                          \
                   aligned(8))) static const struct kernel_bench kernel_bench_##function = {(bench_name),    \
                                                                                            function};       \
    static void function(struct bench *bench)

static inline void bench_start(struct bench *bench)
{
    bench->started = cpu_ticks();
}

/* Ends the measured stretch, in which `operations` operations (at least 1) were done. */
static inline void bench_stop(struct bench *bench, uint64_t operations)
{
    bench->ticks = cpu_ticks() - bench->started;
    bench->operations = operations;
}

/* Says why this machine cannot run the benchmark; the function returns afterwards. */
static inline void bench_skip(struct bench *bench, const char *reason)
{
    bench->skipped = reason;
}
