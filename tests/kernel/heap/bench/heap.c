/* What the heap costs. Under -icount shift=0 a tick is one guest instruction. Names as on the host. */
#include <ashlar/bench.h>
#include <ashlar/heap.h>
#include <ashlar/slab_guard.h>

#define PAIRS      1000
#define BATCH      4096
#define SLOTS      4096
#define OPERATIONS 16384

/* Pairs of a size that the compiler knows, as most callers' are. */
#define PAIR_BENCH(bytes)                                                                                    \
    KERNEL_BENCH(heap_pair_##bytes, "heap.pair." #bytes)                                                     \
    {                                                                                                        \
        heap_free(&kernel_heap, heap_alloc(&kernel_heap, bytes));                                            \
        bench_start(bench);                                                                                  \
        for (unsigned i = 0; i < PAIRS; i++) {                                                               \
            heap_free(&kernel_heap, heap_alloc(&kernel_heap, bytes));                                        \
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
    struct notes *notes = heap_alloc_array(&kernel_heap, 1, sizeof *notes);
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
        blocks[i] = heap_alloc(&kernel_heap, 64);
    }
    for (unsigned i = 0; i < BATCH; i++) {
        heap_free(&kernel_heap, blocks[i]);
    }
    bench_stop(bench, BATCH);
    heap_free(&kernel_heap, notes);
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
        blocks[i] = heap_alloc(&kernel_heap, 64);
    }
    for (unsigned i = 0; i < BATCH; i++) {
        heap_free(&kernel_heap, blocks[i]);
    }
    slab_reap(&kernel_heap.slabs);
    bench_stop(bench, BATCH);
    heap_free(&kernel_heap, notes);
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
        heap_free(&kernel_heap, notes->blocks[i]);
    }
    heap_free(&kernel_heap, notes);
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
            heap_free(&kernel_heap, *slot);
            *slot = NULL;
        } else {
            *slot = heap_alloc(&kernel_heap, notes->steps[i] >> 16);
        }
    }
    bench_stop(bench, OPERATIONS);
    clear_away(notes);
}

/* ---- The dearest single calls ---- */

#define SERIES 2000 /* blocks of 1 KiB: more than magazines and depot hold */

/* Makes (else frees) a series of blocks; returns the ticks of the dearest call. */
static uint64_t dearest_of_series(struct notes *notes, bool make)
{
    uint64_t worst = 0;
    for (unsigned i = 0; i < SERIES; i++) {
        uint64_t before = cpu_ticks();
        if (make) {
            notes->blocks[i] = heap_alloc(&kernel_heap, 1024);
        } else {
            heap_free(&kernel_heap, notes->blocks[i]);
        }
        worst = max_u64(worst, cpu_ticks() - before);
    }
    return worst;
}

static void measure_series(struct bench *bench, bool make)
{
    struct notes *notes = take_notes(bench);
    if (notes == NULL) {
        return;
    }
    slab_reap(&kernel_heap.slabs);
    uint64_t making = dearest_of_series(notes, true);
    uint64_t freeing = dearest_of_series(notes, false);
    bench->ticks = make ? making : freeing;
    bench->operations = 1;
    heap_free(&kernel_heap, notes);
}

/* An allocation that fills a magazine, from slabs that it has to make. */
KERNEL_BENCH(heap_refill_1024, "heap.refill.1024")
{
    measure_series(bench, true);
}

/* A free that finds the depot full: a magazine is emptied into slabs, and those that are empty go back. */
KERNEL_BENCH(heap_drain_1024, "heap.drain.1024")
{
    measure_series(bench, false);
}

/* Blocks with frames of their own, up to 1 MiB: a call costs what the frame pool's does. */
KERNEL_BENCH(heap_worst_large, "heap.worst.large")
{
    struct notes *notes = take_notes(bench);
    if (notes == NULL) {
        return;
    }
    uint64_t worst = 0;
    for (unsigned i = 0; i < 256; i++) {
        uint64_t before = cpu_ticks();
        notes->blocks[i] = heap_alloc(&kernel_heap, KIB(8) + 1 + i * KIB(4) * 37 % MIB(1));
        worst = max_u64(worst, cpu_ticks() - before);
        if (i % 3 == 2) {
            before = cpu_ticks();
            heap_free(&kernel_heap, notes->blocks[i - 1]);
            worst = max_u64(worst, cpu_ticks() - before);
            notes->blocks[i - 1] = NULL;
        }
    }
    bench->ticks = worst;
    bench->operations = 1;
    clear_away(notes);
}

/* A block in a guarded slot, allocated and freed: every 256th slow operation's price. */
KERNEL_BENCH(heap_guarded, "heap.guarded")
{
    const struct slab_guard *guard = kernel_heap.slabs.guard;
    uint64_t sampled = guard ? guard->sampled : 0;
    uint64_t ticks = 0;
    for (unsigned i = 0; guard && guard->sampled == sampled && i < 1000; i++) {
        slab_drain_cpu(&kernel_heap.slabs, cpu_number());
        uint64_t before = cpu_ticks();
        heap_free(&kernel_heap, heap_alloc(&kernel_heap, 64));
        ticks = cpu_ticks() - before;
    }
    if (!guard || guard->sampled == sampled) {
        bench_skip(bench, "no sample");
        return;
    }
    bench->ticks = ticks;
    bench->operations = 1;
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
            heap_free(&kernel_heap, *slot);
            *slot = NULL;
        } else {
            *slot = heap_alloc(&kernel_heap, notes->steps[i] >> 16);
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
