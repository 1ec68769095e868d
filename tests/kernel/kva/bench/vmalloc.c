/*
 * What virtual blocks cost, the flushes that freeing shares included. Names as in the measurements of Linux.
 */
#include <ashlar/bench.h>
#include <ashlar/kernel_stack.h>
#include <ashlar/vmalloc.h>

#define PAIRS 1008 /* whole rounds of flushes */

static void pairs(struct bench *bench, uint64_t bytes)
{
    bool good = true;
    vfree(vmalloc(bytes));
    bench_start(bench);
    for (unsigned i = 0; i < PAIRS; i++) {
        void *block = vmalloc(bytes);
        good = good && block;
        vfree(block);
    }
    bench_stop(bench, PAIRS);
    if (!good) {
        bench_skip(bench, "not enough memory");
    }
}

KERNEL_BENCH(vmalloc_pair_1, "vmalloc.pair.1")
{
    pairs(bench, FRAME_BYTES);
}

KERNEL_BENCH(vmalloc_pair_16, "vmalloc.pair.16")
{
    pairs(bench, 16 * FRAME_BYTES);
}

KERNEL_BENCH(vmalloc_pair_4m, "vmalloc.pair.4m")
{
    pairs(bench, MIB(4));
}

KERNEL_BENCH(kernel_stack_pair, "kernel_stack.pair")
{
    struct kernel_stack stack;
    bool good = true;
    bench_start(bench);
    for (unsigned i = 0; i < PAIRS && good; i++) {
        good = kernel_stack_alloc(&kernel_vmalloc, &stack, "a benchmark", KERNEL_STACK_BYTES);
        if (good) {
            kernel_stack_free(&kernel_vmalloc, &stack);
        }
    }
    bench_stop(bench, PAIRS);
    if (!good) {
        bench_skip(bench, "not enough memory");
    }
}
