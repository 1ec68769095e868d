/*
 * Fragmentation: how much of the free memory is whole 2 MiB blocks, in 1/1000, after work that scatters it
 * (contest.h has the allocators).
 */
#include "contest.h"
#include "tests/bench/support/bench.h"
#include "tests/bench/support/team.h"

#include <stdlib.h>

#define MACHINE_BYTES  GIB(2)
#define MACHINE_FRAMES (MACHINE_BYTES / FRAME_BYTES)
#define CPUS           8
#define ROUNDS         100
#define TURN           64 /* operations that a CPU does in a row where one thread plays all of them */

struct job {
    struct contestant *contestant;
    unsigned turns; /* CPUs that each thread plays in turn */
    uint64_t each;  /* frames of each member of the team, from member * each on */
    struct team team;
};

static phys_addr_t held[MACHINE_FRAMES];
static uint8_t orders[MACHINE_FRAMES];

static void prepare(void *context)
{
    contest_start(((struct job *)context)->contestant);
}

/* Share of free memory in whole 2 MiB blocks, in 1/1000. */
static uint64_t whole_share(struct contestant *contestant)
{
    uint64_t free = contestant->free_frames(contestant, 0);
    return free ? contestant->free_frames(contestant, FRAME_ORDER_2M) * 1000 / free : 0;
}

/* Fills the memory with frames and frees a random half of them, the worst there is; returns how many are
 * left. */
static uint64_t scatter(struct contestant *contestant, uint64_t *random)
{
    uint64_t all = 0;
    for (phys_addr_t frame; (frame = contestant->alloc(contestant, 0)).raw != 0; all++) {
        held[all] = frame;
    }
    uint64_t count = all / 2;
    while (all > count) {
        uint64_t victim = contest_random(random) % all;
        contestant->free(contestant, held[victim], 0);
        held[victim] = held[--all];
    }
    return count;
}

static void take_turn(const struct job *job, uint64_t operation)
{
    if (job->turns > 1) {
        host_cpu = operation / TURN % job->turns;
    }
}

/* Each round a random tenth of a member's frames is freed, and as many are allocated. */
static void churn(void *context, unsigned member)
{
    struct job *job = context;
    struct contestant *contestant = job->contestant;
    phys_addr_t *frames = &held[member * job->each];
    uint64_t random = CONTEST_SEED + member;
    uint64_t tenth = job->each / 10;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (uint64_t i = 0; i < tenth; i++) {
            uint64_t last = job->each - 1 - i;
            take_turn(job, i);
            contest_exchange(&frames[last], &frames[contest_random(&random) % (last + 1)]);
            contestant->free(contestant, frames[last], 0);
        }
        for (uint64_t i = 0; i < tenth; i++) {
            take_turn(job, i);
            frames[job->each - 1 - i] = contestant->alloc(contestant, 0);
        }
    }
}

static uint64_t run_scattered(void *context)
{
    struct job *job = context;
    uint64_t random = CONTEST_SEED;
    job->each = scatter(job->contestant, &random) / job->team.members;
    team_gather(&job->team);
    team_work(&job->team);
    team_leave(&job->team);
    host_cpu = 0;
    return whole_share(job->contestant);
}

/* Half of the memory is in use, in frames and every thousandth time a 2 MiB block, which come and go. */
static uint64_t run_mixed(void *context)
{
    struct contestant *contestant = ((struct job *)context)->contestant;
    uint64_t random = CONTEST_SEED;
    uint64_t count = 0;
    uint64_t used = 0;
    uint64_t half = MACHINE_FRAMES / 2;
    for (uint64_t step = 0; step < 20 * half; step++) {
        uint32_t number = contest_random(&random);
        if (used < half) {
            orders[count] = number % 1024 == 0 ? FRAME_ORDER_2M : 0;
            held[count] = contestant->alloc(contestant, orders[count]);
            used += 1ULL << orders[count];
            count += held[count].raw != 0;
        } else {
            uint64_t victim = number % count;
            contestant->free(contestant, held[victim], orders[victim]);
            used -= 1ULL << orders[victim];
            held[victim] = held[--count];
            orders[victim] = orders[count];
        }
    }
    return whole_share(contestant);
}

/* Every eighth frame lives for ever, the others go: what is left whole? */
static uint64_t run_lifetimes(void *context)
{
    struct contestant *contestant = ((struct job *)context)->contestant;
    uint64_t count = 0;
    for (unsigned round = 0; round < 64; round++) {
        uint64_t first = count;
        for (uint64_t i = 0; i < 8192; i++) {
            held[count + i] = contestant->alloc(contestant, 0);
        }
        for (uint64_t i = 0; i < 8192; i++) {
            if (i % 8 == 0) {
                held[count++] = held[first + i];
            } else {
                contestant->free(contestant, held[first + i], 0);
            }
        }
    }
    return whole_share(contestant);
}

static struct bench_case cases[BENCH_CASES_MAX];
static struct job jobs[BENCH_CASES_MAX];
static unsigned case_count;

static void add(const char *name, struct contestant *contestant, unsigned threads, unsigned turns,
                uint64_t (*run)(void *))
{
    struct job *job = &jobs[case_count];
    *job = (struct job){contestant, turns, 0, {.members = threads, .work = churn, .context = job}};
    cases[case_count++] = (struct bench_case){name, contestant->peer, "permille", prepare, run, NULL, job};
}

int main(int argc, char **argv)
{
    contest_machine(MACHINE_BYTES, CPUS);
    for (unsigned i = 0; i < CONTESTANTS; i++) {
        struct contestant *one = &contestants[i];
        if (one->policy != &frame_policy_bitmap) { /* its searches would take minutes */
            add("frame.whole.o0", one, 1, 1, run_scattered);
            add("frame.whole.o0.8", one, CPUS, 1, run_scattered);
            add("frame.whole.o0.8.turns", one, 1, CPUS, run_scattered);
            add("frame.whole.mixed", one, 1, 1, run_mixed);
        }
        add("frame.whole.lifetimes", one, 1, 1, run_lifetimes);
    }
    return bench_main(argc, argv, cases, case_count);
}
