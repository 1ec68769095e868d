/* What kernel addresses cost. Under -icount shift=0 a tick is one guest instruction. */
#include <ashlar/bench.h>
#include <ashlar/heap.h>
#include <ashlar/kva.h>
#include <ashlar/memory.h>

#define PAIRS 1000
#define BATCH 1000

static const struct kva_purpose purpose = KVA_PURPOSE("benchmark");

/* An allocation and its free by address; the compiler knows the kind, as with most callers. */
#define PAIR_BENCH(name, bench_name, bytes, alignment, guards)                                               \
    KERNEL_BENCH(name, bench_name)                                                                           \
    {                                                                                                        \
        struct kva_arena *arena = kernel_kva();                                                              \
        struct kva_range *range = NULL;                                                                      \
        bench_start(bench);                                                                                  \
        for (unsigned i = 0; i < PAIRS; i++) {                                                               \
            const struct kva_request request = {(bytes), (alignment), (guards), &purpose, NULL};             \
            if (kva_alloc(arena, &request, &range) != KVA_OK || kva_free(arena, range->base) != KVA_OK) {    \
                bench_skip(bench, "no addresses");                                                           \
            }                                                                                                \
        }                                                                                                    \
        bench_stop(bench, PAIRS);                                                                            \
    }

PAIR_BENCH(kva_pair, "kva.pair", FRAME_BYTES, 0, 1)
PAIR_BENCH(kva_pair_16, "kva.pair.16", 16 * FRAME_BYTES, 0, 1)

/* Beyond the quick lists: lists by size, tree, splitting and joining. */
PAIR_BENCH(kva_pair_1m, "kva.pair.1m", MIB(1), 0, 1)
PAIR_BENCH(kva_pair_2m_aligned, "kva.pair.2m.aligned", MIB(2), MIB(2), 1)

/* Many at once, freed in the order they came. */
KERNEL_BENCH(kva_batch, "kva.batch")
{
    struct kva_range **ranges = heap_alloc_array(&kernel_heap, BATCH, sizeof(struct kva_range *));
    struct kva_arena *arena = kernel_kva();
    const struct kva_request request = {FRAME_BYTES, 0, 1, &purpose, NULL};
    unsigned count = 0;
    if (ranges == NULL) {
        bench_skip(bench, "not enough memory");
        return;
    }
    bench_start(bench);
    while (count < BATCH && kva_alloc(arena, &request, &ranges[count]) == KVA_OK) {
        count++;
    }
    for (unsigned i = 0; i < count; i++) {
        kva_free(arena, ranges[i]->base);
    }
    bench_stop(bench, count);
    kva_reap(arena);
    heap_free(&kernel_heap, ranges);
}
