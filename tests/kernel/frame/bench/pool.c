/* What frames cost. Under -icount shift=0 a tick is one guest instruction. Names as on the host. */
#include <ashlar/bench.h>
#include <ashlar/heap.h>
#include <ashlar/memory.h>

#define PAIRS 1000
#define BATCH 4096

/* Pairs of an order that the compiler knows, as most callers' are. */
#define PAIR_BENCH(order)                                                                                    \
    KERNEL_BENCH(frame_pair_o##order, "frame.pair.o" #order)                                                 \
    {                                                                                                        \
        struct frame_pool *pool = kernel_frames();                                                           \
        phys_addr_t first = frame_alloc(pool, order, OWNER_TEST);                                            \
        if (first.raw == 0) {                                                                                \
            bench_skip(bench, "not enough memory");                                                          \
            return;                                                                                          \
        }                                                                                                    \
        frame_free(pool, first, order);                                                                      \
        bench_start(bench);                                                                                  \
        for (unsigned i = 0; i < PAIRS; i++) {                                                               \
            frame_free(pool, frame_alloc(pool, order, OWNER_TEST), order);                                   \
        }                                                                                                    \
        bench_stop(bench, PAIRS);                                                                            \
    }

PAIR_BENCH(0)
PAIR_BENCH(3)
PAIR_BENCH(9)

/* Room for BATCH addresses, all FRAME_NONE; NULL, with the benchmark skipped, when there is none. */
static phys_addr_t *take_room(struct bench *bench)
{
    phys_addr_t *blocks = heap_alloc_array(&kernel_heap, BATCH, sizeof *blocks);
    if (blocks == NULL) {
        bench_skip(bench, "not enough memory");
    }
    return blocks;
}

KERNEL_BENCH(frame_batch_o0, "frame.batch.o0")
{
    struct frame_pool *pool = kernel_frames();
    phys_addr_t *blocks = take_room(bench);
    if (blocks == NULL) {
        return;
    }
    bench_start(bench);
    for (unsigned i = 0; i < BATCH; i++) {
        blocks[i] = frame_alloc(pool, 0, OWNER_TEST);
    }
    for (unsigned i = 0; i < BATCH; i++) {
        frame_free(pool, blocks[i], 0);
    }
    bench_stop(bench, BATCH);
    heap_free(&kernel_heap, blocks);
}

KERNEL_BENCH(frame_array_o0, "frame.array.o0")
{
    struct frame_pool *pool = kernel_frames();
    phys_addr_t *blocks = take_room(bench);
    if (blocks == NULL) {
        return;
    }
    bench_start(bench);
    uint64_t count = frame_alloc_batch(pool, BATCH, blocks, OWNER_TEST);
    frame_free_batch(pool, count, blocks);
    bench_stop(bench, BATCH);
    heap_free(&kernel_heap, blocks);
}

KERNEL_BENCH(frame_mix, "frame.mix.o0-4")
{
    struct frame_pool *pool = kernel_frames();
    uint64_t random = 88172645463325252ULL;
    const unsigned operations = 10000;
    phys_addr_t *blocks = take_room(bench);
    uint8_t *orders = heap_alloc(&kernel_heap, BATCH);
    if (blocks == NULL || orders == NULL) {
        bench_skip(bench, "not enough memory");
        heap_free(&kernel_heap, blocks);
        heap_free(&kernel_heap, orders);
        return;
    }
    bench_start(bench);
    for (unsigned i = 0; i < operations; i++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        unsigned slot = random >> 52;
        if (blocks[slot].raw != 0) {
            frame_free(pool, blocks[slot], orders[slot]);
            blocks[slot] = FRAME_NONE;
        } else {
            orders[slot] = (random >> 40 & 0xff) % 5;
            blocks[slot] = frame_alloc(pool, orders[slot], OWNER_TEST);
        }
    }
    bench_stop(bench, operations);
    for (unsigned slot = 0; slot < BATCH; slot++) {
        if (blocks[slot].raw != 0) {
            frame_free(pool, blocks[slot], orders[slot]);
        }
    }
    heap_free(&kernel_heap, blocks);
    heap_free(&kernel_heap, orders);
}
