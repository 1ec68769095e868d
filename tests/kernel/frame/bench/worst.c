/*
 * The worst single operation of the frame pool, over a long run that begins with the pool as the boot left it
 * and goes on to full and fragmented memory, again and again. Under -icount shift=0 a tick is an instruction.
 *
 * Counted is one call each time, interrupts off, everything it leads to included: refills, drains, the first
 * use of arenas, the backing of descriptors. Only the zeroing of fresh pages (of descriptors and their page
 * tables, and of what an idle CPU prepares) is taken off again, at the price of a memset. What comes in
 * pieces is counted by the piece: a batch by the frame, a run by the blocks that it and what is left over
 * consist of, an allocation of a given block by the attempts, one more than there were free blocks in its
 * way. Counted apart are allocations that found no memory at first: a single frame that was had then (a
 * shortage), and those for which magazines were emptied, or that failed (exhausted memory). What may fail at
 * once (`try_only`) is counted as it is.
 *
 * One run measures all kinds; the first benchmark that is asked for does the work. What the worst call of its
 * kind did under the pool's lock is in the log.
 */
#include "meter.h"

#include <ashlar/bench.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>

#define SLOTS     16384
#define SINGLES   4096
#define CHURN     8192
#define SHORTAGES 512
#define ROUNDS    (2 * (BENCH_SAMPLES + 1)) /* of the whole run */

static unsigned rounds_done;

/* What the run works with: a piece of the memory that is measured. */
struct run {
    struct frame_pool *pool;
    phys_addr_t *blocks; /* SLOTS of them, the order in the low bits */
    unsigned count;      /* used slots */
    phys_addr_t hoard;   /* the first of a list of blocks; FRAME_NONE at its end */
    uint64_t random;     /* state of the generator */
    struct frame_meter meter;
};

/* At the start of a block in the hoard. */
struct hoarded {
    phys_addr_t next;
    unsigned order; /* of this one */
};

static uint32_t next_random(struct run *run)
{
    run->random = run->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(run->random >> 33);
}

/* ---- Blocks ---- */

static phys_addr_t measured_alloc(struct run *run, unsigned order)
{
    struct frame_sample sample;
    frame_sample_begin(&run->meter, &sample);
    phys_addr_t block = frame_alloc(run->pool, order, OWNER_TEST);
    frame_sample_end(&run->meter, &sample, CALL_ALLOC, order, 0, block.raw != 0);
    return block;
}

static void measured_free(struct run *run, phys_addr_t block, unsigned order)
{
    struct frame_sample sample;
    frame_sample_begin(&run->meter, &sample);
    frame_free(run->pool, block, order);
    frame_sample_end(&run->meter, &sample, CALL_FREE, order, 0, 1);
}

/* Takes a block into a slot; whether there was one. */
static bool take(struct run *run, unsigned order)
{
    if (run->count == SLOTS) {
        return false;
    }
    phys_addr_t block = measured_alloc(run, order);
    if (block.raw != 0) {
        run->blocks[run->count++] = phys_addr(block.raw | order);
    }
    return block.raw != 0;
}

/* Frees what is in a slot, and moves the last one there. */
static void drop(struct run *run, unsigned slot)
{
    uint64_t block = run->blocks[slot].raw;
    run->blocks[slot] = run->blocks[--run->count];
    measured_free(run, phys_addr(align_down(block, FRAME_BYTES)), block % FRAME_BYTES);
}

/* Takes all that is left, however many blocks that are. */
static void hoard_all(struct run *run)
{
    for (unsigned order = FRAME_ORDERS; order-- > 0;) {
        phys_addr_t block;
        while ((block = measured_alloc(run, order)).raw != 0) {
            *(struct hoarded *)frame_pointer(run->pool, block) = (struct hoarded){run->hoard, order};
            run->hoard = block;
        }
    }
}

static void release_hoard(struct run *run)
{
    while (run->hoard.raw != 0) {
        struct hoarded hoarded = *(struct hoarded *)frame_pointer(run->pool, run->hoard);
        measured_free(run, run->hoard, hoarded.order);
        run->hoard = hoarded.next;
    }
}

static void drop_all(struct run *run)
{
    while (run->count > 0) {
        drop(run, run->count - 1);
    }
}

/* One more reference to what is in a slot, and one less. */
static void share(struct run *run, unsigned slot)
{
    struct frame_sample sample;
    phys_addr_t block = phys_addr(align_down(run->blocks[slot].raw, FRAME_BYTES));
    unsigned order = run->blocks[slot].raw % FRAME_BYTES;
    frame_sample_begin(&run->meter, &sample);
    frame_get(run->pool, block);
    frame_sample_end(&run->meter, &sample, CALL_REFERENCE, order, 0, 1);
    frame_sample_begin(&run->meter, &sample);
    frame_put(run->pool, block);
    frame_sample_end(&run->meter, &sample, CALL_REFERENCE, order, 0, 1);
}

/* ---- Runs, given blocks, batches, the idle loop ---- */

/* Blocks that a run of `frames` and what is left over of the next power of two consist of. */
static uint64_t pieces_of(uint64_t frames, unsigned order)
{
    uint64_t rest = (1ULL << order) - frames;
    return (uint64_t)__builtin_popcountll(frames) + (uint64_t)__builtin_popcountll(rest);
}

static void take_run(struct run *run)
{
    struct frame_sample sample;
    unsigned order = 2 + next_random(run) % 17;
    struct frame_request request = {.owner = OWNER_TEST};
    request.frames = (1ULL << (order - 1)) + 1 + next_random(run) % ((1ULL << (order - 1)) - 1);
    uint64_t pieces = pieces_of(request.frames, order);
    phys_addr_t first = FRAME_NONE;
    frame_sample_begin(&run->meter, &sample);
    enum frame_error error = frame_alloc_request(run->pool, &request, &first);
    frame_sample_end(&run->meter, &sample, CALL_RUN, order, 0, error == FRAME_OK ? pieces : 0);
    if (error == FRAME_OK) {
        frame_sample_begin(&run->meter, &sample);
        frame_free_run(run->pool, first, request.frames);
        frame_sample_end(&run->meter, &sample, CALL_RUN, order, 0,
                         (uint64_t)__builtin_popcountll(request.frames));
    }
}

/* A block at a random address: free, in use, in a magazine, or not even memory. */
static void take_at(struct run *run)
{
    struct frame_sample sample;
    unsigned order = next_random(run) % 4 == 0 ? next_random(run) % FRAME_ORDERS : next_random(run) % 4;
    uint64_t frame =
        ((uint64_t)next_random(run) << 20 | next_random(run) % (1 << 20)) % run->pool->frame_limit;
    phys_addr_t block = phys_addr(align_down(frame << FRAME_SHIFT, FRAME_BYTES << order));
    if (run->count > 0 && order == 0) { /* what was just freed is in a magazine, deep inside */
        block = phys_addr(align_down(run->blocks[run->count - 1].raw, FRAME_BYTES));
        order = run->blocks[run->count - 1].raw % FRAME_BYTES;
        drop(run, run->count - 1);
        for (unsigned i = 0; i < 64 && run->count > 0; i++) {
            drop(run, run->count - 1);
        }
    }
    frame_sample_begin(&run->meter, &sample);
    enum frame_error error = frame_alloc_at(run->pool, block, order, OWNER_TEST);
    uint64_t in_the_way = frame_sample_given(&run->meter, &sample);
    frame_sample_end(&run->meter, &sample, CALL_AT, order, 0, 1 + in_the_way);
    if (error == FRAME_OK) {
        frame_free(run->pool, block, order);
    }
}

/* What asks nobody for memory is counted in full, whether there was any or not. */
static void take_or_fail(struct run *run)
{
    struct frame_sample sample;
    unsigned order = next_random(run) % FRAME_ORDERS;
    struct frame_request request = {.frames = 1ULL << order, .owner = OWNER_TEST, .try_only = true};
    phys_addr_t block = FRAME_NONE;
    frame_sample_begin(&run->meter, &sample);
    enum frame_error error = frame_alloc_request(run->pool, &request, &block);
    frame_sample_end(&run->meter, &sample, CALL_TRY, order, 0, 1);
    if (error == FRAME_OK) {
        measured_free(run, block, order);
    }
}

static void take_batch(struct run *run)
{
    struct frame_sample sample;
    phys_addr_t frames[2 * FRAME_BATCH];
    uint64_t count = 1 + next_random(run) % ARRAY_LENGTH(frames);
    frame_sample_begin(&run->meter, &sample);
    uint64_t got = frame_alloc_batch(run->pool, count, frames, OWNER_TEST);
    frame_sample_end(&run->meter, &sample, CALL_BATCH, 0, 0, got);
    for (uint64_t i = 0; i < got; i++) {
        uint64_t other = i + next_random(run) % (got - i);
        phys_addr_t frame = frames[other];
        frames[other] = frames[i];
        frame_sample_begin(&run->meter, &sample);
        frame_put(run->pool, frame);
        frame_sample_end(&run->meter, &sample, CALL_REFERENCE, 0, 0, 1);
    }
}

/* Some pieces of an idle CPU's work, sometimes as if another CPU had asked for what is in the magazines. */
static void rest(struct run *run)
{
    struct frame_cpu *cpu = &run->pool->cpu[0];
    bool asked = next_random(run) % 4 == 0;
    for (unsigned i = 0; asked && i < FRAME_MAGAZINES; i++) {
        atomic_store(&cpu->magazine[i].limit, 0);
    }
    for (unsigned i = next_random(run) % 32; i > 0; i--) {
        struct frame_sample sample;
        uint32_t zeroed = atomic_load(&cpu->magazine[FRAME_MAGAZINE_ZERO].top);
        frame_sample_begin(&run->meter, &sample);
        frame_pool_idle(run->pool);
        bool prepared = atomic_load(&cpu->magazine[FRAME_MAGAZINE_ZERO].top) > zeroed;
        frame_sample_end(&run->meter, &sample, CALL_IDLE, 0, prepared ? 1 : 0, 1);
    }
}

static void anything_else(struct run *run)
{
    switch (next_random(run) % 8) {
    case 0:
        take_run(run);
        break;
    case 1:
        take_at(run);
        break;
    case 2:
        take_batch(run);
        break;
    case 3:
        rest(run);
        break;
    case 4:
        take_or_fail(run);
        break;
    default:
        if (run->count > 0) {
            share(run, next_random(run) % run->count);
        }
    }
}

/* ---- The run ---- */

/*
 * One block of each order, then the other way round: first uses of arenas and leaves, merging from the top.
 */
static void each_order(struct run *run)
{
    for (unsigned order = 0; order < FRAME_ORDERS; order++) {
        take(run, order);
    }
    drop_all(run);
    for (unsigned order = FRAME_ORDERS; order-- > 0;) {
        take(run, order);
    }
    drop_all(run);
}

/* Fills memory with blocks of all orders. */
static void fill(struct run *run)
{
    while (take(run, next_random(run) % 4 == 0 ? 15 + next_random(run) % 4 : next_random(run) % 15)) {
    }
}

/* Nothing is left but what comes back to the magazines, a block at a time, and single frames are wanted. */
static void run_out(struct run *run)
{
    hoard_all(run);
    for (unsigned i = 0; i < SHORTAGES && run->count > 0; i++) {
        drop(run, next_random(run) % run->count);
        take(run, 0);
    }
    release_hoard(run);
}

/* Full memory, of which small pieces come and go at random places. */
static void churn(struct run *run)
{
    for (unsigned i = 0; i < CHURN && run->count > 0; i++) {
        if (next_random(run) % 2 == 0) {
            drop(run, next_random(run) % run->count);
        } else {
            take(run, next_random(run) % 8);
        }
        if (next_random(run) % 8 == 0) {
            anything_else(run);
        }
    }
}

/* Single frames, freed in random order: drains of nothing but scattered frames, merging up from there. */
static void scatter(struct run *run)
{
    unsigned first = run->count;
    while (run->count < first + SINGLES && take(run, 0)) {
    }
    while (run->count > first) {
        drop(run, first + next_random(run) % (run->count - first));
    }
}

static void run_round(struct run *run)
{
    each_order(run);
    scatter(run);
    for (unsigned i = 0; i < 64; i++) {
        anything_else(run);
    }
    fill(run);
    run_out(run);
    churn(run);
    while (run->count > SLOTS / 4) {
        drop(run, next_random(run) % run->count);
    }
    churn(run);
    scatter(run);
    drop_all(run);
}

/* All of it, with nobody to ask when memory runs out: what a reclaimer does is not the pool's. */
static void run_rounds(struct run *run)
{
    struct frame_reclaimer_slot saved[FRAME_RECLAIMERS_MAX];
    memcpy(saved, run->pool->reclaimers, sizeof saved);
    memset(run->pool->reclaimers, 0, sizeof saved);
    frame_meter_init(&run->meter, run->pool, run->blocks[0]); /* of the slots themselves, not in use yet */
    for (unsigned i = 0; i < ROUNDS / (BENCH_SAMPLES + 1); i++) {
        run_round(run);
        rounds_done++;
    }
    memcpy(run->pool->reclaimers, saved, sizeof saved);
}

/* Does the next part of the work, if there is any left; false when there is no memory for it. */
static bool run_some(void)
{
    struct run run = {.pool = kernel_frames(), .random = 88172645463325252ULL + frame_calls()};
    struct frame_request request = {.frames = SLOTS * sizeof(phys_addr_t) >> FRAME_SHIFT,
                                    .owner = OWNER_TEST};
    phys_addr_t slots;
    if (rounds_done == ROUNDS) {
        return true;
    }
    if (frame_alloc_request(run.pool, &request, &slots) != FRAME_OK) {
        return false;
    }
    run.blocks = frame_pointer(run.pool, slots);
    run.blocks[0] = slots;
    run_rounds(&run);
    frame_free_run(run.pool, slots, request.frames);
    return true;
}

/* One sample: a part of the work; the figure is the worst call of `kind` since start. */
static void sample_kind(struct bench *bench, enum frame_call kind, const char *name)
{
    if (!run_some()) {
        bench_skip(bench, "not enough memory");
        return;
    }
    if (rounds_done == ROUNDS) {
        frame_worst_report(kind, name);
    }
    bench->ticks = frame_worst_ticks(kind);
    bench->operations = 1;
}

#define WORST_BENCH(function, kind, name)                                                                    \
    KERNEL_BENCH(function, name)                                                                             \
    {                                                                                                        \
        sample_kind(bench, kind, name);                                                                      \
    }

WORST_BENCH(frame_worst_alloc, CALL_ALLOC, "frame.worst.alloc")
WORST_BENCH(frame_worst_free, CALL_FREE, "frame.worst.free")
WORST_BENCH(frame_worst_shortage, CALL_SHORTAGE, "frame.worst.shortage")
WORST_BENCH(frame_worst_exhausted, CALL_EXHAUSTED, "frame.worst.exhausted")
WORST_BENCH(frame_worst_run, CALL_RUN, "frame.worst.run")
WORST_BENCH(frame_worst_at, CALL_AT, "frame.worst.at")
WORST_BENCH(frame_worst_try, CALL_TRY, "frame.worst.try")
WORST_BENCH(frame_worst_batch, CALL_BATCH, "frame.worst.batch")
WORST_BENCH(frame_worst_reference, CALL_REFERENCE, "frame.worst.reference")
WORST_BENCH(frame_worst_idle, CALL_IDLE, "frame.worst.idle")
