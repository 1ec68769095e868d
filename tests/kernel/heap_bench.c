/* What the heap costs. Under -icount shift=0 a tick is one guest instruction. Names as on the host. */
#include <ashlar/bench.h>
#include <ashlar/heap.h>
#include <ashlar/string.h>

#define PAIRS      1000
#define BATCH      4096
#define SLOTS      4096
#define OPERATIONS 16384

/* Pairs of a size that the compiler knows, as most callers' are. */
#define PAIR_BENCH(bytes)                                                                                    \
    KERNEL_BENCH(heap_pair_##bytes, "heap.pair." #bytes)                                                     \
    {                                                                                                        \
        kfree(kmalloc(bytes));                                                                               \
        bench_start(bench);                                                                                  \
        for (unsigned i = 0; i < PAIRS; i++) {                                                               \
            kfree(kmalloc(bytes));                                                                           \
        }                                                                                                    \
        bench_stop(bench, PAIRS);                                                                            \
    }

PAIR_BENCH(8)
PAIR_BENCH(64)
PAIR_BENCH(256)
PAIR_BENCH(1024)
PAIR_BENCH(4096)
PAIR_BENCH(8192)
PAIR_BENCH(65536)

static void *blocks[BATCH];

KERNEL_BENCH(heap_batch_64, "heap.batch.64")
{
    bench_start(bench);
    for (unsigned i = 0; i < BATCH; i++) {
        blocks[i] = kmalloc(64);
    }
    for (unsigned i = 0; i < BATCH; i++) {
        kfree(blocks[i]);
    }
    bench_stop(bench, BATCH);
}

/* The same with everything given back before: slabs are made, cut, filled and returned. */
KERNEL_BENCH(heap_batch_cold_64, "heap.batch.cold.64")
{
    slab_reap(&kernel_heap.slabs);
    bench_start(bench);
    for (unsigned i = 0; i < BATCH; i++) {
        blocks[i] = kmalloc(64);
    }
    for (unsigned i = 0; i < BATCH; i++) {
        kfree(blocks[i]);
    }
    slab_reap(&kernel_heap.slabs);
    bench_stop(bench, BATCH);
}

static uint32_t steps[OPERATIONS]; /* slot in the low half, size in the high one */

static void plan_steps(void)
{
    memset(blocks, 0, sizeof blocks); /* the batches leave what they freed */
    uint64_t random = 0x9e3779b97f4a7c15ULL;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        steps[i] = (uint32_t)(random >> 40) % SLOTS | (8 + (uint32_t)(random >> 20) % 2041) << 16;
    }
}

KERNEL_BENCH(heap_mix, "heap.mix")
{
    plan_steps();
    bench_start(bench);
    for (unsigned i = 0; i < OPERATIONS; i++) {
        void **slot = &blocks[steps[i] & 0xffff];
        if (*slot) {
            kfree(*slot);
            *slot = NULL;
        } else {
            *slot = kmalloc(steps[i] >> 16);
        }
    }
    bench_stop(bench, OPERATIONS);
    for (unsigned i = 0; i < SLOTS; i++) {
        kfree(blocks[i]);
        blocks[i] = NULL;
    }
}

/* The dearest single call of a mix that starts cold: one magazine filled, and a slab made. */
KERNEL_BENCH(heap_worst, "heap.worst")
{
    plan_steps();
    slab_reap(&kernel_heap.slabs);
    uint64_t worst = 0;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        void **slot = &blocks[steps[i] & 0xffff];
        uint64_t before = cpu_ticks();
        if (*slot) {
            kfree(*slot);
            *slot = NULL;
        } else {
            *slot = kmalloc(steps[i] >> 16);
        }
        worst = max_u64(worst, cpu_ticks() - before);
    }
    bench->ticks = worst;
    bench->operations = 1;
    for (unsigned i = 0; i < SLOTS; i++) {
        kfree(blocks[i]);
        blocks[i] = NULL;
    }
}

KERNEL_BENCH(cache_pair_200, "cache.pair.200")
{
    static struct slab_cache cache;
    const struct slab_cache_config config = {.name = "bench", .bytes = 200};
    if (slab_cache_init(&kernel_heap.slabs, &cache, &config) != SLAB_OK) {
        bench_skip(bench, "no cache");
        return;
    }
    slab_cache_free(&cache, slab_cache_alloc(&cache));
    bench_start(bench);
    for (unsigned i = 0; i < PAIRS; i++) {
        slab_cache_free(&cache, slab_cache_alloc(&cache));
    }
    bench_stop(bench, PAIRS);
    slab_cache_destroy(&cache);
}
