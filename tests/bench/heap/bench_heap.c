/*
 * General allocators side by side: our heap, glibc's, mimalloc, jemalloc and tcmalloc. All calls go through
 * the same two function pointers. Threads number themselves as CPUs of our heap; to the others they are
 * threads.
 */
#include "peers.h"
#include "tests/bench/support/bench.h"
#include "tests/bench/support/team.h"
#include "tests/host/heap/fixture.h"

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#define MACHINE_BYTES GIB(1)
#define CPUS          CROWD
#define PAIRS         1000000
#define SLOTS         4096
#define OPERATIONS    1000000
#define RING          1024
#define CROWD         8 /* threads, of which most wait for a processor */
#define MASS          200000
#define PASSED        400000

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
    struct team team;
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

/* ---- Pairs of threads: one allocates, the other frees ---- */

struct ring {
    _Atomic(uint64_t) put;   /* entries written */
    char padding[56];        /* two cache lines: the threads do not fight for one */
    _Atomic(uint64_t) taken; /* entries read */
    void *entries[RING];
};

static struct ring rings[CROWD / 2];

static void consume(const struct contest *contest, struct ring *ring)
{
    for (uint64_t i = 0; i < PASSED; i++) {
        while (atomic_load_explicit(&ring->put, memory_order_acquire) == i) {
            cpu_relax();
        }
        contest->peer->free(ring->entries[i % RING]);
        atomic_store_explicit(&ring->taken, i + 1, memory_order_release);
    }
}

static void produce(const struct contest *contest, struct ring *ring)
{
    for (uint64_t i = 0; i < PASSED; i++) {
        while (i - atomic_load_explicit(&ring->taken, memory_order_acquire) == RING) {
            cpu_relax();
        }
        char *pointer = contest->peer->alloc(contest->bytes);
        *(volatile char *)pointer = 1;
        ring->entries[i % RING] = pointer;
        atomic_store_explicit(&ring->put, i + 1, memory_order_release);
    }
}

static void pass(void *context, unsigned member)
{
    if (member % 2 == 0) {
        produce(context, &rings[member / 2]);
    } else {
        consume(context, &rings[member / 2]);
    }
}

static void gather_passers(struct contest *contest, unsigned members)
{
    for (unsigned i = 0; i < members / 2; i++) {
        atomic_store(&rings[i].put, 0);
        atomic_store(&rings[i].taken, 0);
    }
    contest->team = (struct team){.members = members, .work = pass, .context = contest};
    team_gather(&contest->team);
}

static void prepare_pass(void *context)
{
    gather_passers(context, 2);
}

/* More threads than processors: whoever holds a lock, or is to get it next, may have to wait for one. */
static void prepare_crowd(void *context)
{
    gather_passers(context, CROWD);
}

static uint64_t run_pass(void *context)
{
    struct contest *contest = context;
    team_work(&contest->team);
    return (uint64_t)contest->team.members / 2 * PASSED;
}

static void finish_team(void *context)
{
    team_leave(&((struct contest *)context)->team);
}

/* ---- Many blocks, freed in random order ---- */

static void *mass[MASS];

static void prepare_mass(void *context)
{
    const struct contest *contest = context;
    uint64_t random = 5;
    for (unsigned i = 0; i < MASS; i++) {
        uint64_t at = next_random(&random) % (i + 1); /* each order as likely as any other */
        mass[i] = mass[at];
        mass[at] = contest->peer->alloc(contest->bytes);
        *(volatile char *)mass[at] = 1;
    }
}

static uint64_t run_mass(void *context)
{
    const struct contest *contest = context;
    for (unsigned i = 0; i < MASS; i++) {
        contest->peer->free(mass[i]);
    }
    return MASS;
}

/* ---- In the manner of a server: generations of two threads, each inherits the blocks of another ---- */

#define CHAINS      2 /* threads at the same time */
#define GENERATIONS 4
#define SERVED      200000 /* blocks that a thread replaces before its successor takes over */

struct server {
    pthread_t thread;
    sem_t turn; /* posted by each thread of the generation before */
    const struct contest *contest;
    unsigned chain;      /* the CPU that it stands for */
    unsigned generation; /* its blocks are the half of slots[] that the other chain's thread had before */
};

static struct server servers[GENERATIONS][CHAINS];
static sem_t served; /* posted by each thread of the last generation */

static void replace_blocks(const struct server *server)
{
    void *(*alloc)(size_t) = server->contest->peer->alloc;
    void (*give)(void *) = server->contest->peer->free;
    uint64_t random = 1 + server->generation * CHAINS + server->chain;
    void **own = &slots[(server->chain + server->generation) % CHAINS * (SLOTS / CHAINS)];
    for (unsigned i = 0; i < SERVED; i++) {
        void **slot = &own[next_random(&random) % (SLOTS / CHAINS)];
        give(*slot);
        *slot = alloc(16 + next_random(&random) % 500);
        *(volatile char *)*slot = 1;
    }
}

static void *serve(void *context)
{
    struct server *server = context;
    host_cpu = server->chain;
    for (unsigned i = 0; i < CHAINS; i++) {
        sem_wait(&server->turn);
    }
    replace_blocks(server);
    for (unsigned i = 0; i < CHAINS; i++) {
        sem_post(server->generation + 1 < GENERATIONS ? &servers[server->generation + 1][i].turn : &served);
    }
    return NULL;
}

/* The first generation inherits from this thread. All threads are there before the clock. */
static void prepare_server(void *context)
{
    const struct contest *contest = context;
    for (unsigned i = 0; i < SLOTS; i++) {
        slots[i] = contest->peer->alloc(16 + i % 500);
    }
    sem_init(&served, 0, 0);
    for (unsigned i = 0; i < GENERATIONS * CHAINS; i++) {
        struct server *server = &servers[i / CHAINS][i % CHAINS];
        *server = (struct server){.contest = contest, .chain = i % CHAINS, .generation = i / CHAINS};
        sem_init(&server->turn, 0, 0);
        if (pthread_create(&server->thread, NULL, serve, server) != 0) {
            panic("cannot start thread %u", i);
        }
    }
}

static uint64_t run_server(void *context)
{
    (void)context;
    for (unsigned i = 0; i < CHAINS * CHAINS; i++) {
        sem_post(&servers[0][i % CHAINS].turn);
    }
    for (unsigned i = 0; i < CHAINS * CHAINS; i++) {
        sem_wait(&served);
    }
    return (uint64_t)CHAINS * GENERATIONS * SERVED;
}

static void finish_server(void *context)
{
    for (unsigned i = 0; i < GENERATIONS * CHAINS; i++) {
        pthread_join(servers[i / CHAINS][i % CHAINS].thread, NULL);
    }
    finish_mix(context);
}

/* ---- Two threads whose small blocks must not share cache lines: each gets one from the first thread ---- */

#define SCRATCHES 200000
#define TOUCHES   50

static void *inherited[2]; /* neighbours, perhaps */

static void scratch(void *context, unsigned member)
{
    const struct contest *contest = context;
    contest->peer->free(inherited[member]);
    for (unsigned i = 0; i < SCRATCHES; i++) {
        volatile char *pointer = contest->peer->alloc(8);
        for (unsigned j = 0; j < TOUCHES; j++) {
            *pointer = (char)j;
        }
        contest->peer->free((void *)pointer);
    }
}

static void prepare_scratch(void *context)
{
    struct contest *contest = context;
    inherited[0] = contest->peer->alloc(8);
    inherited[1] = contest->peer->alloc(8);
    contest->team = (struct team){.members = 2, .work = scratch, .context = contest};
    team_gather(&contest->team);
}

static uint64_t run_scratch(void *context)
{
    team_work(&((struct contest *)context)->team);
    return SCRATCHES;
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

/* A heap apart: what has been scattered over much memory would slow down what is measured in it later. */
static struct heap_fixture scattered;

static void prepare_returned(void *context)
{
    (void)context;
    if (fixture_start(&scattered, MACHINE_BYTES, 1, NULL) != SLAB_OK) {
        panic("cannot start a second heap");
    }
}

static void finish_returned(void *context)
{
    (void)context;
    fixture_stop(&scattered);
}

static uint64_t class_bytes(void)
{
    struct heap_statistics statistics;
    heap_statistics(&scattered.heap, &statistics);
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
        blocks[i] = heap_alloc(&scattered.heap, 8 + next_random(&random) % 2041);
    }
    uint64_t most = class_bytes();
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        if (next_random(&random) % 10 != 0) {
            heap_free(&scattered.heap, blocks[i]);
            blocks[i] = NULL;
        }
    }
    uint64_t unasked = most - class_bytes();
    slab_reap(&scattered.heap.slabs);
    uint64_t idle = most - class_bytes();
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        heap_free(&scattered.heap, blocks[i]);
    }
    return unasked * 1000 / idle;
}

/* ---- The cases ---- */

static struct bench_case cases[BENCH_CASES_MAX];
static struct contest contests[BENCH_CASES_MAX];
static unsigned case_count;

static void add(const char *name, const struct peer *peer, size_t bytes, void (*prepare)(void *),
                uint64_t (*run)(void *), void (*finish)(void *))
{
    struct contest *contest = &contests[case_count];
    *contest = (struct contest){.peer = peer, .bytes = bytes};
    cases[case_count++] = (struct bench_case){name, peer->name, "ns", prepare, run, finish, contest};
}

static void start(void)
{
    uint64_t random = 1;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        steps[i] = (uint32_t)(next_random(&random) % SLOTS | (8 + next_random(&random) % 2041) << 16);
    }
    if (fixture_start(&fixture, MACHINE_BYTES, CPUS, NULL) != SLAB_OK) {
        panic("cannot start the heap");
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
    peers_prepare(argv);
    start();
    unsigned count = 1 + peers_load(peers + 1);
    for (unsigned i = 0; i < count; i++) {
        add("heap.pair.16", &peers[i], 16, NULL, run_pairs, NULL);
        add("heap.pair.256", &peers[i], 256, NULL, run_pairs, NULL);
        add("heap.pair.4096", &peers[i], 4096, NULL, run_pairs, NULL);
        add("heap.mix", &peers[i], 0, NULL, run_mix, finish_mix);
        add("heap.pass.64", &peers[i], 64, prepare_pass, run_pass, finish_team);
        add("heap.crowd.64", &peers[i], 64, prepare_crowd, run_pass, finish_team);
        add("heap.mass.64", &peers[i], 64, prepare_mass, run_mass, NULL);
        add("heap.server", &peers[i], 0, prepare_server, run_server, finish_server);
        add("heap.scratch", &peers[i], 0, prepare_scratch, run_scratch, finish_team);
    }
    add("cache.pair.200", &our_cache, 200, NULL, run_pairs, NULL);
    cases[case_count++] =
        (struct bench_case){"heap.waste", "ashlar", "permille", NULL, run_waste, NULL, NULL};
    cases[case_count++] = (struct bench_case){"heap.returned", "ashlar",        "permille", prepare_returned,
                                              run_returned,    finish_returned, NULL};
    return bench_main(argc, argv, cases, case_count);
}
