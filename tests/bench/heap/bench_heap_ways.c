/*
 * Four ways to make a heap, side by side: a first-fit list, a bitmap of units, fixed blocks, and ours. Each
 * does two mixtures: of small blocks, and of large ones of odd lengths. What they cost, and how much of the
 * memory that they hold in the end is not what was asked for.
 */
#include "bitmap_units.h"
#include "first_fit.h"
#include "fixed_blocks.h"
#include "tests/bench/support/bench.h"
#include "tests/host/heap/fixture.h"

#include <stdlib.h>
#include <string.h>

#define MACHINE_BYTES GIB(1)
#define CPUS          2
#define ARENA_ORDER   14 /* 64 MiB for each of the simple ones */
#define ARENA_BYTES   (FRAME_BYTES << ARENA_ORDER)
#define OPERATIONS    100000
#define SLOTS_MAX     4096

static struct heap_fixture fixture;
static uint64_t free_at_start; /* frames, once the heap is there */
static void *arena;

/* A mixture: one step takes a random slot, and frees what it holds or fills it. */
struct mixture {
    const char *name;
    const char *waste_name;
    unsigned slots;     /* half of them are in use at any time: a block lives for this many operations */
    unsigned bytes_min; /* lengths are spread evenly over the doublings between these */
    unsigned doublings;
};

static const struct mixture mixtures[] = {
    {"heap.ways.small", "heap.ways.small.waste", SLOTS_MAX, 8, 8}, /* 8 B to 2 KiB */
    {"heap.ways.large", "heap.ways.large.waste", 256, 2048, 7},    /* 2 to 256 KiB */
};

/* ---- The ways ---- */

struct way {
    const char *name;
    void (*start)(const struct mixture *mixture); /* everything is free */
    void *(*alloc)(size_t bytes);
    void (*free)(void *pointer);
    size_t (*held)(void); /* bytes that nobody else can use */
};

static size_t longest(const struct mixture *mixture)
{
    return (size_t)mixture->bytes_min << mixture->doublings;
}

static void start_first_fit(const struct mixture *mixture)
{
    (void)mixture;
    first_fit_start(arena, ARENA_BYTES);
}

static void start_bitmap(const struct mixture *mixture)
{
    (void)mixture;
    bitmap_units_start(arena, ARENA_BYTES);
}

static void start_fixed(const struct mixture *mixture)
{
    fixed_blocks_start(arena, ARENA_BYTES, longest(mixture));
}

static void start_ours(const struct mixture *mixture)
{
    (void)mixture;
    slab_reap(&fixture.heap.slabs);
}

static void *our_alloc(size_t bytes)
{
    return heap_alloc(&fixture.heap, bytes);
}

static void our_free(void *pointer)
{
    heap_free(&fixture.heap, pointer);
}

/* What nobody else can have: what the heap keeps in stock it gives back when frames run out. */
static size_t our_held(void)
{
    slab_reap(&fixture.heap.slabs);
    return (free_at_start - frame_pool_free(&fixture.machine.pool)) * FRAME_BYTES;
}

static const struct way ways[] = {
    {"ashlar", start_ours, our_alloc, our_free, our_held},
    {"first fit", start_first_fit, first_fit_alloc, first_fit_free, first_fit_held},
    {"bitmap", start_bitmap, bitmap_units_alloc, bitmap_units_free, bitmap_units_held},
    {"fixed blocks", start_fixed, fixed_blocks_alloc, fixed_blocks_free, fixed_blocks_held},
};

/* ---- The work ---- */

struct contest {
    const struct way *way;
    const struct mixture *mixture;
};

static struct {
    void *pointer;
    size_t bytes;
} slots[SLOTS_MAX];

static struct {
    uint32_t slot;
    uint32_t bytes;
} steps[ARRAY_LENGTH(mixtures)][OPERATIONS];

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return *state >> 33;
}

static void plan(const struct mixture *mixture, uint64_t random)
{
    for (unsigned i = 0; i < OPERATIONS; i++) {
        uint32_t low = mixture->bytes_min << next_random(&random) % mixture->doublings;
        steps[mixture - mixtures][i].slot = (uint32_t)(next_random(&random) % mixture->slots);
        steps[mixture - mixtures][i].bytes = low + 1 + (uint32_t)(next_random(&random) % low);
    }
}

static void prepare(void *context)
{
    const struct contest *contest = context;
    contest->way->start(contest->mixture);
}

static uint64_t run_mixture(void *context)
{
    const struct contest *contest = context;
    const struct way *way = contest->way;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        unsigned slot = steps[contest->mixture - mixtures][i].slot;
        if (slots[slot].pointer) {
            way->free(slots[slot].pointer);
            slots[slot].pointer = NULL;
        } else {
            slots[slot].bytes = steps[contest->mixture - mixtures][i].bytes;
            slots[slot].pointer = way->alloc(slots[slot].bytes);
            *(volatile char *)slots[slot].pointer = 1;
        }
    }
    return OPERATIONS;
}

/* The same work; the share of what is held then that was not asked for. */
static uint64_t run_waste(void *context)
{
    const struct contest *contest = context;
    run_mixture(context);
    size_t asked = 0;
    for (unsigned i = 0; i < contest->mixture->slots; i++) {
        asked += slots[i].pointer ? slots[i].bytes : 0;
    }
    return (contest->way->held() - asked) * 1000 / contest->way->held();
}

static void finish(void *context)
{
    const struct contest *contest = context;
    for (unsigned i = 0; i < SLOTS_MAX; i++) {
        if (slots[i].pointer) {
            contest->way->free(slots[i].pointer);
            slots[i].pointer = NULL;
        }
    }
}

static void start(void)
{
    if (fixture_start(&fixture, MACHINE_BYTES, CPUS, NULL) != SLAB_OK) {
        panic("cannot start the heap");
    }
    phys_addr_t block = phys_addr(MACHINE_BYTES - ARENA_BYTES);
    if (frame_alloc_at(&fixture.machine.pool, block, ARENA_ORDER, OWNER_TEST) != FRAME_OK) {
        panic("cannot keep memory for the simple allocators");
    }
    arena = frame_pointer(&fixture.machine.pool, block);
    memset(arena, 0, ARENA_BYTES);
    free_at_start = frame_pool_free(&fixture.machine.pool);
}

int main(int argc, char **argv)
{
    static struct contest contests[ARRAY_LENGTH(ways) * ARRAY_LENGTH(mixtures)];
    static struct bench_case cases[2 * ARRAY_LENGTH(contests)];
    start();
    for (unsigned i = 0; i < ARRAY_LENGTH(contests); i++) {
        const struct way *way = &ways[i / ARRAY_LENGTH(mixtures)];
        const struct mixture *mixture = &mixtures[i % ARRAY_LENGTH(mixtures)];
        plan(mixture, 1);
        contests[i] = (struct contest){way, mixture};
        cases[2 * i] =
            (struct bench_case){mixture->name, way->name, "ns", prepare, run_mixture, finish, &contests[i]};
        cases[2 * i + 1] = (struct bench_case){mixture->waste_name, way->name, "permille",  prepare,
                                               run_waste,           finish,    &contests[i]};
    }
    return bench_main(argc, argv, cases, ARRAY_LENGTH(cases));
}
