/*
 * What a program feels of its kernel, counted in ticks of the time-stamp counter: guest instructions in a
 * machine with QEMU's -icount. Runs on Ashlar and on Linux as it is; tools/bench --user builds it, of all
 * files whose names begin with "bench", and runs it.
 *
 *     bench [PATTERN]    the benchmarks whose name has this in it
 *
 * Each benchmark is run once to warm up, and then three times. What the kernel cannot do is named, with the
 * reason.
 */
#include "bench.h"

#include <string.h>

#define SAMPLES 3

static const struct bench {
    const char *name;
    uint64_t (*sample)(void);
} benches[] = {
    {"user.syscall.null", bench_syscall_null},
    {"user.fault.anon.write", bench_fault_anon_write},
    {"user.fault.anon.read", bench_fault_anon_read},
    {"user.fault.cow.copy", bench_fault_cow_copy},
    {"user.fault.cow.reuse", bench_fault_cow_reuse},
    {"user.fault.file", bench_fault_file},
    {"user.fault.huge", bench_fault_huge},
    {"user.munmap.page", bench_munmap_page},
    {"user.dontneed.page", bench_dontneed_page},
    {"user.mprotect.page", bench_mprotect_page},
    {"user.mmap.pair", bench_mmap_pair},
    {"user.brk.pair", bench_brk_pair},
    {"user.fork.2048", bench_fork_2048},
    {"user.fork.exit.wait", bench_fork_exit_wait},
    {"user.vfork.exec.exit.wait", bench_vfork_exec_exit_wait},
    {"user.thread.pair", bench_thread_pair},
    {"user.pipe.local", bench_pipe_local},
    {"user.pipe.round", bench_pipe_round},
    {"user.futex.round", bench_futex_round},
    {"user.signal.self", bench_signal_self},
    {"user.segv.round", bench_segv_round},
    {"user.pread.4k", bench_pread_4k},
    {"user.swap.out", bench_swap_out},
    {"user.swap.in", bench_swap_in},
};

/* Why the latest sample, 0, could not be taken. */
static const char *missing;

uint64_t not_there(const char *why)
{
    missing = why;
    return 0;
}

static int by_value(const void *left, const void *right)
{
    uint64_t one = *(const uint64_t *)left;
    uint64_t other = *(const uint64_t *)right;
    return (one > other) - (one < other);
}

/* A line of JSON, as tools/lib/measurements.py reads it. */
static void report(const struct bench *bench)
{
    uint64_t samples[SAMPLES];
    uint64_t first = bench->sample();
    for (int i = 0; i < SAMPLES && first != 0; i++) {
        samples[i] = bench->sample();
    }
    if (first == 0) {
        printf("{\"bench\":\"%s\",\"skipped\":\"not there: %s\"}\n", bench->name, missing);
        return;
    }
    qsort(samples, SAMPLES, sizeof samples[0], by_value);
    printf("{\"bench\":\"%s\",\"unit\":\"tick\",\"median\":%lu,\"min\":%lu,\"max\":%lu,\"n\":%d}\n",
           bench->name, samples[SAMPLES / 2], samples[0], samples[SAMPLES - 1], SAMPLES);
}

int main(int count, char **arguments)
{
    const char *pattern = count > 1 ? arguments[1] : "";
    if (strcmp(pattern, "leaf") == 0) {
        _exit(0);
    }
    int done = 0;
    for (size_t i = 0; i < sizeof benches / sizeof benches[0]; i++) {
        if (strstr(benches[i].name, pattern)) {
            fflush(stdout); /* what is buffered is no child's */
            report(&benches[i]);
            done++;
        }
    }
    printf("bench: end of %d benchmarks\n", done);
    return 0;
}
