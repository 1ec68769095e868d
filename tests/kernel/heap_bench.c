/* What the heap costs. Under -icount shift=0 a tick is one guest instruction. Names as on the host. */
#include <ashlar/bench.h>
#include <ashlar/heap.h>

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

/* What the benchmarks below note: in memory of its own, larger than any slab. */
struct notes {
    void *blocks[SLOTS];        /* allocated; NULL where there is none */
    uint32_t steps[OPERATIONS]; /* slot in the low half, size in the high one */
};

_Static_assert(BATCH <= SLOTS, "a batch has room in the slots");

/* NULL, with the benchmark skipped, when there is no memory for them. */
static struct notes *take_notes(struct bench *bench)
{
    struct notes *notes = kcalloc(1, sizeof *notes);
    if (notes == NULL) {
        bench_skip(bench, "not enough memory");
    }
    return notes;
}

KERNEL_BENCH(heap_batch_64, "heap.batch.64")
{
    struct notes *notes = take_notes(bench);
    if (notes == NULL) {
        return;
    }
    void **blocks = notes->blocks;
    bench_start(bench);
    for (unsigned i = 0; i < BATCH; i++) {
        blocks[i] = kmalloc(64);
    }
    for (unsigned i = 0; i < BATCH; i++) {
        kfree(blocks[i]);
    }
    bench_stop(bench, BATCH);
    kfree(notes);
}

/* The same with everything given back before: slabs are made, cut, filled and returned. */
KERNEL_BENCH(heap_batch_cold_64, "heap.batch.cold.64")
{
    struct notes *notes = take_notes(bench);
    if (notes == NULL) {
        return;
    }
    void **blocks = notes->blocks;
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
    kfree(notes);
}

static void plan_steps(struct notes *notes)
{
    uint64_t random = 0x9e3779b97f4a7c15ULL;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        notes->steps[i] = (uint32_t)(random >> 40) % SLOTS | (8 + (uint32_t)(random >> 20) % 2041) << 16;
    }
}

static void clear_away(struct notes *notes)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        kfree(notes->blocks[i]);
    }
    kfree(notes);
}

KERNEL_BENCH(heap_mix, "heap.mix")
{
    struct notes *notes = take_notes(bench);
    if (notes == NULL) {
        return;
    }
    plan_steps(notes);
    bench_start(bench);
    for (unsigned i = 0; i < OPERATIONS; i++) {
        void **slot = &notes->blocks[notes->steps[i] & 0xffff];
        if (*slot) {
            kfree(*slot);
            *slot = NULL;
        } else {
            *slot = kmalloc(notes->steps[i] >> 16);
        }
    }
    bench_stop(bench, OPERATIONS);
    clear_away(notes);
}

/* The dearest single call of a mix that starts cold: one magazine filled, and a slab made. */
KERNEL_BENCH(heap_worst, "heap.worst")
{
    struct notes *notes = take_notes(bench);
    if (notes == NULL) {
        return;
    }
    plan_steps(notes);
    slab_reap(&kernel_heap.slabs);
    uint64_t worst = 0;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        void **slot = &notes->blocks[notes->steps[i] & 0xffff];
        uint64_t before = cpu_ticks();
        if (*slot) {
            kfree(*slot);
            *slot = NULL;
        } else {
            *slot = kmalloc(notes->steps[i] >> 16);
        }
        worst = max_u64(worst, cpu_ticks() - before);
    }
    bench->ticks = worst;
    bench->operations = 1;
    clear_away(notes);
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
