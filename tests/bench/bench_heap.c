/*
 * General allocators side by side: our heap, glibc's, mimalloc, jemalloc and tcmalloc; and for the
 * single-threaded mix the classic simple ones. All calls go through the same two function pointers. Threads
 * number themselves as CPUs of our heap; to the others they are threads.
 */
#include "bench.h"
#include "bitmap_units.h"
#include "first_fit.h"
#include "fixed_blocks.h"
#include "heap_fixture.h"
#include "peers.h"

#include <pthread.h>
#include <string.h>

#define MACHINE_BYTES GIB(1)
#define PAIRS         1000000
#define SLOTS         4096
#define OPERATIONS    1000000
#define RING          1024
#define PASSED        400000
#define ARENA_BYTES   MIB(64)

static struct heap_fixture fixture;
static struct slab_cache cache;

static void *our_alloc(size_t bytes)
{
    return heap_alloc(&fixture.heap, bytes);
}

static void our_free(void *pointer)
{
    heap_free(&fixture.heap, pointer);
}

static void *cache_alloc(size_t bytes)
{
    (void)bytes;
    return slab_cache_alloc(&cache);
}

static void cache_free(void *pointer)
{
    slab_cache_free(&cache, pointer);
}

struct contest {
    const struct peer *peer;
    size_t bytes; /* for pairs */
};

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return *state >> 33;
}

/* ---- One thread ---- */

static uint64_t run_pairs(void *context)
{
    const struct contest *contest = context;
    void *(*alloc)(size_t) = contest->peer->alloc;
    void (*give)(void *) = contest->peer->free;
    for (unsigned i = 0; i < PAIRS; i++) {
        void *pointer = alloc(contest->bytes);
        *(volatile char *)pointer = 1;
        give(pointer);
    }
    return PAIRS;
}

static void *slots[SLOTS];
static uint32_t steps[OPERATIONS]; /* slot in the low half, size in the high one */

static void empty_slots(const struct peer *peer)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        if (slots[i]) {
            peer->free(slots[i]);
            slots[i] = NULL;
        }
    }
}

static uint64_t run_mix(void *context)
{
    const struct contest *contest = context;
    void *(*alloc)(size_t) = contest->peer->alloc;
    void (*give)(void *) = contest->peer->free;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        void **slot = &slots[steps[i] & 0xffff];
        if (*slot) {
            give(*slot);
            *slot = NULL;
        } else {
            *slot = alloc(steps[i] >> 16);
            *(volatile char *)*slot = 1;
        }
    }
    return OPERATIONS;
}

static void finish_mix(void *context)
{
    empty_slots(((const struct contest *)context)->peer);
}

/* ---- Two threads: one allocates, the other frees ---- */

struct ring {
    _Atomic(uint64_t) put;   /* entries written */
    char padding[56];        /* two cache lines: the threads do not fight for one */
    _Atomic(uint64_t) taken; /* entries read */
    void *entries[RING];
};

static struct ring ring;

static void *consume(void *context)
{
    const struct contest *contest = context;
    host_cpu = 1;
    for (uint64_t i = 0; i < PASSED; i++) {
        while (atomic_load_explicit(&ring.put, memory_order_acquire) == i) {
            cpu_relax();
        }
        contest->peer->free(ring.entries[i % RING]);
        atomic_store_explicit(&ring.taken, i + 1, memory_order_release);
    }
    return NULL;
}

static uint64_t run_pass(void *context)
{
    const struct contest *contest = context;
    pthread_t thread;
    atomic_store(&ring.put, 0);
    atomic_store(&ring.taken, 0);
    pthread_create(&thread, NULL, consume, context);
    for (uint64_t i = 0; i < PASSED; i++) {
        while (i - atomic_load_explicit(&ring.taken, memory_order_acquire) == RING) {
            cpu_relax();
        }
        char *pointer = contest->peer->alloc(contest->bytes);
        *(volatile char *)pointer = 1;
        ring.entries[i % RING] = pointer;
        atomic_store_explicit(&ring.put, i + 1, memory_order_release);
    }
    pthread_join(thread, NULL);
    return PASSED;
}

/* ---- Two threads in the manner of a server: each replaces blocks at random, and inherits the other's ----
 */

#define SERVED 400000

static void *serve(void *context)
{
    const struct contest *contest = context;
    uint64_t random = (uintptr_t)&context;
    void **own = &slots[(size_t)host_cpu * (SLOTS / 2)];
    for (unsigned i = 0; i < SERVED; i++) {
        void **slot = &own[next_random(&random) % (SLOTS / 2)];
        if (*slot) {
            contest->peer->free(*slot);
        }
        *slot = contest->peer->alloc(16 + next_random(&random) % 500);
        *(volatile char *)*slot = 1;
    }
    return NULL;
}

static void *serve_second(void *context)
{
    host_cpu = 1;
    return serve(context);
}

static uint64_t run_server(void *context)
{
    pthread_t thread;
    pthread_create(&thread, NULL, serve_second, context);
    serve(context);
    pthread_join(thread, NULL);
    for (unsigned i = 0; i < SLOTS / 2; i++) { /* the next round's threads inherit each other's blocks */
        void *swapped = slots[i];
        slots[i] = slots[i + SLOTS / 2];
        slots[i + SLOTS / 2] = swapped;
    }
    return 2ULL * SERVED;
}

/* ---- Two threads whose small blocks must not share cache lines: each gets one from the first thread ---- */

#define SCRATCHES 20000
#define TOUCHES   50

static void scratch(const struct contest *contest, void *inherited)
{
    contest->peer->free(inherited);
    for (unsigned i = 0; i < SCRATCHES; i++) {
        volatile char *pointer = contest->peer->alloc(8);
        for (unsigned j = 0; j < TOUCHES; j++) {
            *pointer = (char)j;
        }
        contest->peer->free((void *)pointer);
    }
}

static void *inherited_block;

static void *scratch_second(void *context)
{
    host_cpu = 1;
    scratch(context, inherited_block);
    return NULL;
}

static uint64_t run_scratch(void *context)
{
    const struct contest *contest = context;
    pthread_t thread;
    void *own = contest->peer->alloc(8);
    inherited_block = contest->peer->alloc(8);
    pthread_create(&thread, NULL, scratch_second, context);
    scratch(contest, own);
    pthread_join(thread, NULL);
    return 2ULL * SCRATCHES;
}

/* ---- Waste ---- */

static uint64_t run_waste(void *context)
{
    (void)context;
    uint64_t random = 3;
    uint64_t asked = 0;
    uint64_t given = 0;
    for (unsigned i = 0; i < 100000; i++) {
        size_t bytes = 1 + next_random(&random) % 8192;
        asked += bytes;
        given += heap_class_bytes(heap_class(bytes));
    }
    return (given - asked) * 1000 / given;
}

static uint64_t class_bytes(void)
{
    struct heap_statistics statistics;
    heap_statistics(&fixture.heap, &statistics);
    return statistics.class_bytes;
}

/* Of the memory in slabs that hold no live object after freeing 90 % at random: the share that is back before
 * anybody asks for it. What a reap finds besides is the rest. */
static uint64_t run_returned(void *context)
{
    (void)context;
    static void *blocks[200000];
    uint64_t random = 11;
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        blocks[i] = our_alloc(8 + next_random(&random) % 2041);
    }
    uint64_t most = class_bytes();
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        if (next_random(&random) % 10 != 0) {
            our_free(blocks[i]);
            blocks[i] = NULL;
        }
    }
    uint64_t unasked = most - class_bytes();
    slab_reap(&fixture.heap.slabs);
    uint64_t idle = most - class_bytes();
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        our_free(blocks[i]);
    }
    return unasked * 1000 / idle;
}

/* ---- The cases ---- */

static struct bench_case cases[BENCH_CASES_MAX];
static struct contest contests[BENCH_CASES_MAX];
static unsigned case_count;

static void add(const char *name, const struct peer *peer, size_t bytes, uint64_t (*run)(void *),
                void (*finish)(void *))
{
    contests[case_count] = (struct contest){peer, bytes};
    cases[case_count] = (struct bench_case){name, peer->name, "ns", NULL, run, finish, &contests[case_count]};
    case_count++;
}

static void prepare_first_fit(void *context)
{
    (void)context;
    first_fit_start(frame_pointer(&fixture.machine.pool, phys_addr(MACHINE_BYTES - ARENA_BYTES)),
                    ARENA_BYTES);
}

static void prepare_bitmap_units(void *context)
{
    (void)context;
    bitmap_units_start(frame_pointer(&fixture.machine.pool, phys_addr(MACHINE_BYTES - ARENA_BYTES)),
                       ARENA_BYTES);
}

static void prepare_fixed_blocks(void *context)
{
    (void)context;
    fixed_blocks_start(frame_pointer(&fixture.machine.pool, phys_addr(MACHINE_BYTES - ARENA_BYTES)),
                       ARENA_BYTES);
}

static void start(void)
{
    uint64_t random = 1;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        steps[i] = (uint32_t)(next_random(&random) % SLOTS | (8 + next_random(&random) % 2041) << 16);
    }
    if (fixture_start(&fixture, MACHINE_BYTES, 8, NULL) != SLAB_OK) {
        panic("cannot start the heap");
    }
    phys_addr_t arena = phys_addr(MACHINE_BYTES - ARENA_BYTES);
    if (frame_alloc_at(&fixture.machine.pool, arena, 14, OWNER_TEST) != FRAME_OK) {
        panic("cannot keep memory for the simple allocators");
    }
    struct slab_cache_config config = {.name = "bench", .bytes = 200};
    if (slab_cache_init(&fixture.heap.slabs, &cache, &config) != SLAB_OK) {
        panic("cannot make a cache");
    }
}

int main(int argc, char **argv)
{
    static struct peer peers[PEERS_MAX + 1] = {{"ashlar", our_alloc, our_free}};
    static const struct peer our_cache = {"ashlar", cache_alloc, cache_free};
    static const struct peer simple[] = {{"first fit", first_fit_alloc, first_fit_free},
                                         {"bitmap", bitmap_units_alloc, bitmap_units_free},
                                         {"fixed blocks", fixed_blocks_alloc, fixed_blocks_free}};
    static void (*const prepare[])(void *) = {prepare_first_fit, prepare_bitmap_units, prepare_fixed_blocks};
    peers_prepare(argv);
    start();
    unsigned count = 1 + peers_load(peers + 1);
    for (unsigned i = 0; i < count; i++) {
        add("heap.pair.16", &peers[i], 16, run_pairs, NULL);
        add("heap.pair.256", &peers[i], 256, run_pairs, NULL);
        add("heap.pair.4096", &peers[i], 4096, run_pairs, NULL);
        add("heap.mix", &peers[i], 0, run_mix, finish_mix);
        add("heap.pass.64", &peers[i], 64, run_pass, NULL);
        add("heap.server", &peers[i], 0, run_server, finish_mix);
        add("heap.scratch", &peers[i], 0, run_scratch, NULL);
    }
    add("cache.pair.200", &our_cache, 200, run_pairs, NULL);
    for (unsigned i = 0; i < ARRAY_LENGTH(simple); i++) {
        add("heap.mix", &simple[i], 0, run_mix, finish_mix);
        cases[case_count - 1].prepare = prepare[i];
    }
    cases[case_count++] =
        (struct bench_case){"heap.waste", "ashlar", "permille", NULL, run_waste, NULL, NULL};
    cases[case_count++] =
        (struct bench_case){"heap.returned", "ashlar", "permille", NULL, run_returned, NULL, NULL};
    return bench_main(argc, argv, cases, case_count);
}
