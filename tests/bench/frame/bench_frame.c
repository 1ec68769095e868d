/* What frame allocators cost (contest.h): in nanoseconds, with one thread and with two. */
#include "contest.h"
#include "tests/bench/support/bench.h"
#include "tests/bench/support/team.h"

#include <stdlib.h>
#include <string.h>

#define MACHINE_BYTES GIB(4) /* of two CPUs: 1/32 of a share is 32 blocks of 2 MiB */
#define BULK_FRAMES   (MIB(512) / FRAME_BYTES)
#define BULK_2M                                                                                              \
    (GIB(1) >> FRAME_SHIFT >> FRAME_ORDER_2M) /* blocks: so many that two threads work at the same time */
#define PAIRS        100000
#define BATCH        4096
#define BATCH_ROUNDS 8
#define SLOTS        4096
#define STEPS        100000

struct job {
    struct contestant *contestant;
    unsigned order;
    uint64_t operations; /* of each member: the time of one is as one CPU sees it */
    struct team team;
};

static phys_addr_t blocks[BULK_FRAMES];

/* ---- One member's work ---- */

static void pair(void *context, unsigned member)
{
    struct job *job = context;
    (void)member;
    for (unsigned i = 0; i < PAIRS; i++) {
        phys_addr_t block = job->contestant->alloc(job->contestant, job->order);
        job->contestant->free(job->contestant, block, job->order);
    }
}

static void batch(void *context, unsigned member)
{
    struct job *job = context;
    (void)member;
    for (unsigned round = 0; round < BATCH_ROUNDS; round++) {
        for (unsigned i = 0; i < BATCH; i++) {
            blocks[i] = job->contestant->alloc(job->contestant, 0);
        }
        for (unsigned i = 0; i < BATCH; i++) {
            job->contestant->free(job->contestant, blocks[i], 0);
        }
    }
}

static void mix(void *context, unsigned member)
{
    static phys_addr_t slots[SLOTS];
    static uint8_t orders[SLOTS];
    struct job *job = context;
    uint64_t random = CONTEST_SEED;
    (void)member;
    memset(slots, 0, sizeof slots);
    for (unsigned i = 0; i < STEPS; i++) {
        uint32_t number = contest_random(&random);
        unsigned slot = number % SLOTS;
        if (slots[slot].raw != 0) {
            job->contestant->free(job->contestant, slots[slot], orders[slot]);
            slots[slot] = FRAME_NONE;
        } else {
            orders[slot] = (uint8_t)(number / SLOTS % 5);
            slots[slot] = job->contestant->alloc(job->contestant, orders[slot]);
        }
    }
}

/* Each member has a share of blocks[]. */
static void bulk_alloc(void *context, unsigned member)
{
    struct job *job = context;
    phys_addr_t *share = &blocks[member * job->operations];
    for (uint64_t i = 0; i < job->operations; i++) {
        share[i] = job->contestant->alloc(job->contestant, job->order);
    }
}

static void bulk_free(void *context, unsigned member)
{
    struct job *job = context;
    phys_addr_t *share = &blocks[member * job->operations];
    for (uint64_t i = 0; i < job->operations; i++) {
        job->contestant->free(job->contestant, share[i], job->order);
    }
}

/* ---- Before, during and after the clock ---- */

static void gather(struct job *job, void (*prepare)(void *, unsigned))
{
    contest_start(job->contestant);
    job->team.prepare = prepare;
    team_gather(&job->team);
}

static void prepare(void *context)
{
    gather(context, NULL);
}

static void use_share(void *context, unsigned member)
{
    bulk_alloc(context, member);
    bulk_free(context, member);
}

/* All of it was used before, by whom it will be used: nothing is touched for the first time. */
static void prepare_used(void *context)
{
    gather(context, use_share);
}

static void prepare_free(void *context)
{
    gather(context, bulk_alloc);
}

static void prepare_shuffled(void *context)
{
    struct job *job = context;
    uint64_t random = CONTEST_SEED;
    gather(job, bulk_alloc);
    for (uint64_t i = job->operations * job->team.members; i-- > 1;) {
        contest_exchange(&blocks[i], &blocks[contest_random(&random) % (i + 1)]);
    }
}

static uint64_t run(void *context)
{
    struct job *job = context;
    team_work(&job->team);
    return job->operations;
}

static void finish(void *context)
{
    team_leave(&((struct job *)context)->team);
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

/* ---- The cases ---- */

static struct bench_case cases[BENCH_CASES_MAX];
static struct job jobs[BENCH_CASES_MAX];
static unsigned case_count;

static void add(const char *name, struct contestant *contestant, unsigned order, unsigned threads,
                uint64_t operations, void (*before)(void *), void (*work)(void *, unsigned))
{
    struct job *job = &jobs[case_count];
    *job = (struct job){
        contestant, order, operations / threads, {.members = threads, .work = work, .context = job}};
    cases[case_count++] = (struct bench_case){name, contestant->peer, "ns", before, run, finish, job};
}

static void add_all(struct contestant *one)
{
    add("frame.pair.o0", one, 0, 1, PAIRS, prepare, pair);
    add("frame.pair.o3", one, 3, 1, PAIRS, prepare, pair);
    add("frame.pair.o9", one, 9, 1, PAIRS, prepare, pair);
    add("frame.pair.o0.2", one, 0, 2, 2 * PAIRS, prepare, pair);
    add("frame.pair.o3.2", one, 3, 2, 2 * PAIRS, prepare, pair);
    add("frame.pair.o9.2", one, 9, 2, 2 * PAIRS, prepare, pair);
    add("frame.batch.o0", one, 0, 1, (uint64_t)BATCH_ROUNDS * BATCH, prepare, batch);
    add("frame.mix.o0-4", one, 0, 1, STEPS, prepare, mix);
    add("frame.bulk.alloc.o0", one, 0, 1, BULK_FRAMES, prepare_used, bulk_alloc);
    add("frame.bulk.alloc.o0.2", one, 0, 2, BULK_FRAMES, prepare_used, bulk_alloc);
    add("frame.bulk.free.o0", one, 0, 1, BULK_FRAMES, prepare_free, bulk_free);
    add("frame.bulk.free.o0.2", one, 0, 2, BULK_FRAMES, prepare_free, bulk_free);
    add("frame.bulk.alloc.o3", one, 3, 1, BULK_FRAMES >> 3, prepare_used, bulk_alloc);
    add("frame.bulk.alloc.o3.2", one, 3, 2, BULK_FRAMES >> 3, prepare_used, bulk_alloc);
    add("frame.bulk.free.o3", one, 3, 1, BULK_FRAMES >> 3, prepare_free, bulk_free);
    add("frame.bulk.free.o3.2", one, 3, 2, BULK_FRAMES >> 3, prepare_free, bulk_free);
    add("frame.bulk.alloc.o9", one, 9, 1, BULK_2M, prepare_used, bulk_alloc);
    add("frame.bulk.alloc.o9.2", one, 9, 2, BULK_2M, prepare_used, bulk_alloc);
    add("frame.bulk.free.o9", one, 9, 1, BULK_2M, prepare_free, bulk_free);
    add("frame.bulk.free.o9.2", one, 9, 2, BULK_2M, prepare_free, bulk_free);
    add("frame.shuffled.free.o0", one, 0, 1, BULK_FRAMES, prepare_shuffled, bulk_free);
    add("frame.shuffled.free.o0.2", one, 0, 2, BULK_FRAMES, prepare_shuffled, bulk_free);
}

int main(int argc, char **argv)
{
    static uint64_t sizes[] = {GIB(8), GIB(960)};
    contest_machine(MACHINE_BYTES, 2);
    for (unsigned i = 0; i < CONTESTANTS; i++) {
        add_all(&contestants[i]);
    }
    for (unsigned i = 0; i < ARRAY_LENGTH(sizes); i++) {
        cases[case_count++] = (struct bench_case){
            i ? "frame.start.960G" : "frame.start.8G", "ashlar", "ns", NULL, run_start, NULL, &sizes[i]};
    }
    return bench_main(argc, argv, cases, case_count);
}
