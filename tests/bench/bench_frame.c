/*
 * Frame allocators side by side: our pool with its buddy policy, the same with the bitmap policy, the same
 * without magazines, and a linked-list buddy. All calls go through the same two function pointers, so that
 * costs of the comparison itself are the same for all.
 */
#include "bench.h"
#include "frame_fixture.h"
#include "list_buddy.h"

#include <pthread.h>
#include <string.h>

#define MACHINE_BYTES GIB(2)
#define BATCH         4096
#define BULK_BYTES    MIB(512)
#define SLOTS         4096

struct allocator {
    const char *peer;
    void (*start)(struct allocator *);
    phys_addr_t (*alloc)(struct allocator *, unsigned order);
    void (*free)(struct allocator *, phys_addr_t block, unsigned order);
    uint64_t (*free_frames)(struct allocator *, unsigned order); /* in blocks of at least `order` */
    const struct frame_policy *policy;
    bool no_magazines;
    struct machine machine;
};

/* ---- The allocators ---- */

static void pool_start(struct allocator *allocator)
{
    struct machine *machine = &allocator->machine;
    if (!machine->memory) {
        machine_make(machine, MACHINE_BYTES);
        machine_range(machine, MIB(16), MACHINE_BYTES - MIB(16), MEMORY_USABLE);
    }
    memset(machine->descriptors, 0, MACHINE_BYTES / FRAME_BYTES * sizeof(struct frame_descriptor));
    machine->last_table = 0;
    struct frame_config config = machine_config(machine, 8, allocator->policy);
    config.no_magazines = allocator->no_magazines;
    if (frame_pool_init(&machine->pool, &config) != FRAME_OK ||
        frame_pool_back(&machine->pool, phys_addr(0), MACHINE_BYTES) != FRAME_OK) {
        panic("cannot start the pool");
    }
}

static phys_addr_t pool_alloc(struct allocator *allocator, unsigned order)
{
    return frame_alloc(&allocator->machine.pool, order, OWNER_TEST);
}

static void pool_free(struct allocator *allocator, phys_addr_t block, unsigned order)
{
    frame_free(&allocator->machine.pool, block, order);
}

static uint64_t pool_free_frames(struct allocator *allocator, unsigned order)
{
    for (unsigned cpu = 0; cpu < 8; cpu++) {
        frame_pool_drain_cpu(&allocator->machine.pool, cpu);
    }
    struct frame_statistics statistics;
    frame_pool_statistics(&allocator->machine.pool, &statistics);
    uint64_t frames = 0;
    for (unsigned i = order; i < FRAME_ORDERS; i++) {
        frames += statistics.free_blocks[i] << i;
    }
    return frames;
}

static void list_start(struct allocator *allocator)
{
    (void)allocator;
    list_buddy_init(MACHINE_BYTES / FRAME_BYTES);
}

static phys_addr_t list_alloc(struct allocator *allocator, unsigned order)
{
    (void)allocator;
    uint64_t frame = list_buddy_alloc(order);
    return frame == UINT64_MAX ? FRAME_NONE : phys_addr((frame + 1) << FRAME_SHIFT);
}

static void list_free(struct allocator *allocator, phys_addr_t block, unsigned order)
{
    (void)allocator;
    list_buddy_free((block.raw >> FRAME_SHIFT) - 1, order);
}

static uint64_t list_free_frames(struct allocator *allocator, unsigned order)
{
    (void)allocator;
    return list_buddy_free_frames(order);
}

static struct allocator allocators[] = {
    {"ashlar", pool_start, pool_alloc, pool_free, pool_free_frames, &frame_policy_buddy, false, {0}},
    {"no magazines", pool_start, pool_alloc, pool_free, pool_free_frames, &frame_policy_buddy, true, {0}},
    {"bitmap", pool_start, pool_alloc, pool_free, pool_free_frames, &frame_policy_bitmap, false, {0}},
    {"list buddy", list_start, list_alloc, list_free, list_free_frames, NULL, false, {0}},
};

/* ---- Work ---- */

struct job {
    struct allocator *allocator;
    unsigned order;
    unsigned threads;
};

static phys_addr_t blocks[BULK_BYTES / FRAME_BYTES];
static uint64_t random_state = 88172645463325252ULL;

static uint32_t random_number(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}

static void prepare(void *context)
{
    struct job *job = context;
    job->allocator->start(job->allocator);
    for (unsigned i = 0; i < 64; i++) { /* memory that has been used before: no whole machine in one block */
        phys_addr_t block = job->allocator->alloc(job->allocator, i % 4);
        if (i % 2) {
            job->allocator->free(job->allocator, block, i % 4);
        }
    }
}

static uint64_t run_pair(void *context)
{
    struct job *job = context;
    for (unsigned i = 0; i < 100000; i++) {
        phys_addr_t block = job->allocator->alloc(job->allocator, job->order);
        job->allocator->free(job->allocator, block, job->order);
    }
    return 100000;
}

static uint64_t run_batch(void *context)
{
    struct job *job = context;
    for (unsigned round = 0; round < 8; round++) {
        for (unsigned i = 0; i < BATCH; i++) {
            blocks[i] = job->allocator->alloc(job->allocator, 0);
        }
        for (unsigned i = 0; i < BATCH; i++) {
            job->allocator->free(job->allocator, blocks[i], 0);
        }
    }
    return 8ULL * BATCH;
}

static uint64_t bulk_count(const struct job *job)
{
    return BULK_BYTES / FRAME_BYTES >> job->order;
}

static uint64_t run_bulk_alloc(void *context)
{
    struct job *job = context;
    for (uint64_t i = 0; i < bulk_count(job); i++) {
        blocks[i] = job->allocator->alloc(job->allocator, job->order);
    }
    return bulk_count(job);
}

static uint64_t run_bulk_free(void *context)
{
    struct job *job = context;
    for (uint64_t i = 0; i < bulk_count(job); i++) {
        job->allocator->free(job->allocator, blocks[i], job->order);
    }
    return bulk_count(job);
}

static void prepare_bulk_free(void *context)
{
    prepare(context);
    run_bulk_alloc(context);
}

static void prepare_shuffled_free(void *context)
{
    prepare_bulk_free(context);
    for (uint64_t i = bulk_count(context); i-- > 1;) {
        uint64_t other = random_number() % (i + 1);
        phys_addr_t block = blocks[i];
        blocks[i] = blocks[other];
        blocks[other] = block;
    }
}

/* Half of the shuffled blocks each. */
struct share {
    pthread_t thread;
    struct job *job;
    uint64_t first;
    uint64_t end;
    unsigned cpu;
};

static void *free_share(void *context)
{
    struct share *share = context;
    host_cpu = share->cpu;
    for (uint64_t i = share->first; i < share->end; i++) {
        share->job->allocator->free(share->job->allocator, blocks[i], share->job->order);
    }
    return NULL;
}

static uint64_t run_threads_free(void *context)
{
    struct job *job = context;
    struct share shares[8];
    uint64_t each = bulk_count(job) / job->threads;
    for (unsigned i = 0; i < job->threads; i++) {
        shares[i] = (struct share){.job = job, .first = i * each, .end = (i + 1) * each, .cpu = i};
        pthread_create(&shares[i].thread, NULL, free_share, &shares[i]);
    }
    for (unsigned i = 0; i < job->threads; i++) {
        pthread_join(shares[i].thread, NULL);
    }
    return each; /* per thread: the time of one operation as one CPU sees it */
}

static uint64_t run_mix(void *context)
{
    static phys_addr_t slots[SLOTS];
    static uint8_t orders[SLOTS];
    struct job *job = context;
    memset(slots, 0, sizeof slots);
    for (unsigned i = 0; i < 100000; i++) {
        uint32_t number = random_number();
        unsigned slot = number % SLOTS;
        if (slots[slot].raw != 0) {
            job->allocator->free(job->allocator, slots[slot], orders[slot]);
            slots[slot] = FRAME_NONE;
        } else {
            orders[slot] = (uint8_t)(number / SLOTS % 5);
            slots[slot] = job->allocator->alloc(job->allocator, orders[slot]);
        }
    }
    return 100000;
}

/* ---- Fragmentation ---- */

/* Share of free memory in whole 2 MiB blocks, in 1/1000. */
static uint64_t whole_share(struct allocator *allocator)
{
    uint64_t free = allocator->free_frames(allocator, 0);
    return free ? allocator->free_frames(allocator, FRAME_ORDER_2M) * 1000 / free : 0;
}

static void exchange_blocks(phys_addr_t *a, phys_addr_t *b)
{
    phys_addr_t block = *a;
    *a = *b;
    *b = block;
}

/*
 * Fills the memory with frames and frees a random half of them, the worst there is; then 100 rounds of
 * freeing a random tenth and allocating as many. Each CPU does 64 operations in turn.
 */
static uint64_t run_fragmentation(void *context)
{
    static phys_addr_t frames[MACHINE_BYTES / FRAME_BYTES];
    struct job *job = context;
    uint64_t all = 0;
    for (phys_addr_t frame; (frame = job->allocator->alloc(job->allocator, 0)).raw != 0; all++) {
        frames[all] = frame;
    }
    uint64_t count = all / 2;
    while (all > count) {
        uint64_t victim = random_number() % all;
        job->allocator->free(job->allocator, frames[victim], 0);
        frames[victim] = frames[--all];
    }
    for (unsigned round = 0; round < 100; round++) {
        uint64_t tenth = count / 10;
        for (uint64_t i = 0; i < tenth; i++) {
            host_cpu = i / 64 % job->threads;
            exchange_blocks(&frames[count - 1 - i], &frames[random_number() % (count - i)]);
            job->allocator->free(job->allocator, frames[count - 1 - i], 0);
        }
        for (uint64_t i = 0; i < tenth; i++) {
            host_cpu = i / 64 % job->threads;
            frames[count - 1 - i] = job->allocator->alloc(job->allocator, 0);
        }
    }
    host_cpu = 0;
    return whole_share(job->allocator);
}

/* As before, but a third of the memory is in 2 MiB blocks that come and go too. */
static uint64_t run_fragmentation_mixed(void *context)
{
    static phys_addr_t held[MACHINE_BYTES / FRAME_BYTES];
    static uint8_t orders[MACHINE_BYTES / FRAME_BYTES];
    struct job *job = context;
    uint64_t count = 0;
    uint64_t used = 0;
    uint64_t half = MACHINE_BYTES / FRAME_BYTES / 2;
    for (uint64_t step = 0; step < 20 * half; step++) {
        uint32_t number = random_number();
        if (used < half) {
            orders[count] = number % 1024 == 0 ? FRAME_ORDER_2M : 0;
            held[count] = job->allocator->alloc(job->allocator, orders[count]);
            used += 1ULL << orders[count];
            count += held[count].raw != 0;
        } else {
            uint64_t victim = number % count;
            job->allocator->free(job->allocator, held[victim], orders[victim]);
            used -= 1ULL << orders[victim];
            held[victim] = held[--count];
            orders[victim] = orders[count];
        }
    }
    return whole_share(job->allocator);
}

/* Every eighth frame lives for ever, the others go: what is left whole? */
static uint64_t run_fragmentation_lifetimes(void *context)
{
    struct job *job = context;
    uint64_t count = 0;
    for (unsigned round = 0; round < 64; round++) {
        uint64_t first = count;
        for (uint64_t i = 0; i < 8192; i++) {
            phys_addr_t block = job->allocator->alloc(job->allocator, 0);
            blocks[count + i] = block;
        }
        for (uint64_t i = 0; i < 8192; i++) {
            if (i % 8 == 0) {
                blocks[count++] = blocks[first + i];
            } else {
                job->allocator->free(job->allocator, blocks[first + i], 0);
            }
        }
    }
    return whole_share(job->allocator);
}

/* ---- Start-up ---- */

static struct machine start_machine;

static uint64_t run_start(void *context)
{
    uint64_t bytes = *(const uint64_t *)context;
    if (!start_machine.memory) {
        machine_make(&start_machine, GIB(964));
    }
    start_machine.map_count = 0;
    machine_range(&start_machine, MIB(1), GIB(3) - MIB(1), MEMORY_USABLE);
    machine_range(&start_machine, GIB(4), bytes - GIB(3), MEMORY_USABLE);
    machine_start(&start_machine, 2, NULL);
    return 1;
}

static struct bench_case cases[BENCH_CASES_MAX];
static struct job jobs[BENCH_CASES_MAX];
static unsigned case_count;

static void add(const char *name, const char *unit, struct allocator *allocator, unsigned order,
                unsigned threads, void (*before)(void *), uint64_t (*run)(void *))
{
    jobs[case_count] = (struct job){allocator, order, threads};
    cases[case_count] =
        (struct bench_case){name, allocator->peer, unit, before, run, NULL, &jobs[case_count]};
    case_count++;
}

int main(int argc, char **argv)
{
    static uint64_t sizes[] = {GIB(8), GIB(960)};
    for (unsigned i = 0; i < ARRAY_LENGTH(allocators); i++) {
        struct allocator *one = &allocators[i];
        add("frame.pair.o0", "ns", one, 0, 1, prepare, run_pair);
        add("frame.pair.o3", "ns", one, 3, 1, prepare, run_pair);
        add("frame.pair.o9", "ns", one, 9, 1, prepare, run_pair);
        add("frame.batch.o0", "ns", one, 0, 1, prepare, run_batch);
        add("frame.mix.o0-4", "ns", one, 0, 1, prepare, run_mix);
        add("frame.bulk.alloc.o0", "ns", one, 0, 1, prepare, run_bulk_alloc);
        add("frame.bulk.free.o0", "ns", one, 0, 1, prepare_bulk_free, run_bulk_free);
        add("frame.bulk.alloc.o3", "ns", one, 3, 1, prepare, run_bulk_alloc);
        add("frame.bulk.free.o3", "ns", one, 3, 1, prepare_bulk_free, run_bulk_free);
        add("frame.bulk.alloc.o9", "ns", one, 9, 1, prepare, run_bulk_alloc);
        add("frame.bulk.free.o9", "ns", one, 9, 1, prepare_bulk_free, run_bulk_free);
        add("frame.shuffled.free.o0", "ns", one, 0, 1, prepare_shuffled_free, run_bulk_free);
        add("frame.shuffled.free.o0.2", "ns", one, 0, 2, prepare_shuffled_free, run_threads_free);
        if (one->policy != &frame_policy_bitmap) { /* its searches would take minutes */
            add("frame.whole.o0", "permille", one, 0, 1, prepare, run_fragmentation);
            add("frame.whole.o0.8", "permille", one, 0, 8, prepare, run_fragmentation);
            add("frame.whole.mixed", "permille", one, 0, 1, prepare, run_fragmentation_mixed);
        }
        add("frame.whole.lifetimes", "permille", one, 0, 1, prepare, run_fragmentation_lifetimes);
    }
    for (unsigned i = 0; i < ARRAY_LENGTH(sizes); i++) {
        cases[case_count++] = (struct bench_case){
            i ? "frame.start.960G" : "frame.start.8G", "ashlar", "ns", NULL, run_start, NULL, &sizes[i]};
    }
    return bench_main(argc, argv, cases, case_count);
}
