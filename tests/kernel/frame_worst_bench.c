/*
 * The worst single operation of the frame pool, over a long run that begins with the pool as the boot left it
 * and goes on to full and fragmented memory, again and again. Under -icount shift=0 a tick is an instruction.
 *
 * Counted is one call each time, interrupts off, everything it leads to included: refills, drains, the first
 * use of arenas, the backing of descriptors. Only the zeroing of fresh pages (of descriptors and their page
 * tables) is taken off again, at the price of a memset. An allocation that found no memory and had the
 * magazines emptied is counted apart, as a shortage. What the worst of each kind was is in the log, at level
 * debug.
 */
#include <ashlar/bench.h>
#include <ashlar/memory.h>
#include <ashlar/string.h>
#include <x86/interrupt.h>

#define LOG_SUBSYSTEM "bench"
#include <ashlar/log.h>

#define SLOTS   16384
#define SINGLES 4096
#define CHURN   8192

enum kind { ALLOC, FREE, SHORTAGE, KINDS };

/* The worst call of a kind since start. */
struct worst {
    uint64_t ticks;
    unsigned order;
    unsigned zeroed; /* pages, not in `ticks` */
    uint64_t number; /* which call it was */
    bool reported;
};

static struct worst worst[KINDS];
static uint64_t calls;

/* What the run works with: a piece of the memory that is measured. */
struct run {
    struct frame_pool *pool;
    phys_addr_t *blocks; /* SLOTS of them, the order in the low bits */
    unsigned count;      /* used slots */
    uint64_t random;     /* state of the generator */
    uint64_t overhead;   /* ticks of measuring nothing */
    uint64_t zeroing;    /* ticks of clearing a page */
};

static uint32_t next_random(struct run *run)
{
    run->random = run->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(run->random >> 33);
}

/* Frames of the reserve that were ever taken: every one was cleared. */
static uint64_t pages_cleared(const struct frame_pool *pool)
{
    uint64_t left = 0;
    for (unsigned i = 0; i < ARRAY_LENGTH(pool->reserve); i++) {
        left += pool->reserve[i].end - pool->reserve[i].next;
    }
    return (uint64_t)atomic_load(&pool->cpu[0]->owned[OWNER_DESCRIPTORS]) - left;
}

static void note(struct run *run, enum kind kind, unsigned order, uint64_t ticks, uint64_t cleared)
{
    uint64_t taken_off = run->overhead + cleared * run->zeroing;
    ticks -= min_u64(ticks, taken_off);
    calls++;
    if (ticks > worst[kind].ticks) {
        worst[kind] = (struct worst){ticks, order, (unsigned)cleared, calls, false};
    }
}

static phys_addr_t measured_alloc(struct run *run, unsigned order)
{
    struct frame_cpu *cpu = run->pool->cpu[0];
    uint64_t cleared = pages_cleared(run->pool);
    uint64_t shortages = atomic_load(&cpu->shortages);
    interrupts_disable();
    uint64_t start = cpu_ticks();
    phys_addr_t block = frame_alloc(run->pool, order, OWNER_TEST);
    uint64_t ticks = cpu_ticks() - start;
    interrupts_enable();
    bool short_of = atomic_load(&cpu->shortages) != shortages;
    note(run, short_of ? SHORTAGE : ALLOC, order, ticks, pages_cleared(run->pool) - cleared);
    return block;
}

static void measured_free(struct run *run, phys_addr_t block, unsigned order)
{
    interrupts_disable();
    uint64_t start = cpu_ticks();
    frame_free(run->pool, block, order);
    uint64_t ticks = cpu_ticks() - start;
    interrupts_enable();
    note(run, FREE, order, ticks, 0);
}

/* Takes a block into a slot; whether there was one. */
static bool take(struct run *run, unsigned order)
{
    phys_addr_t block = run->count < SLOTS ? measured_alloc(run, order) : FRAME_NONE;
    if (block.raw == 0) {
        return false;
    }
    run->blocks[run->count++] = phys_addr(block.raw | order);
    return true;
}

/* Frees what is in a slot, and moves the last one there. */
static void drop(struct run *run, unsigned slot)
{
    uint64_t block = run->blocks[slot].raw;
    run->blocks[slot] = run->blocks[--run->count];
    measured_free(run, phys_addr(align_down(block, FRAME_BYTES)), block % FRAME_BYTES);
}

static void drop_all(struct run *run)
{
    while (run->count > 0) {
        drop(run, run->count - 1);
    }
}

/* One block of each order, then the other way round: first uses of arenas and leaves, merging from the top.
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

/* Fills memory: at first with blocks of all orders, then with the largest that still fit. */
static void fill(struct run *run)
{
    while (take(run, next_random(run) % 4 == 0 ? 15 + next_random(run) % 4 : next_random(run) % 15)) {
    }
    for (unsigned order = FRAME_ORDERS; order-- > 0;) {
        while (take(run, order)) {
        }
    }
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

static void calibrate(struct run *run)
{
    void *page = frame_pointer(run->pool, run->blocks[0]); /* of the slots themselves, not in use yet */
    interrupts_disable();
    uint64_t start = cpu_ticks();
    uint64_t middle = cpu_ticks();
    memset(page, 0, FRAME_BYTES);
    uint64_t end = cpu_ticks();
    interrupts_enable();
    run->overhead = middle - start;
    run->zeroing = end - middle - run->overhead;
}

static void report(enum kind kind, const char *name)
{
    struct worst *most = &worst[kind];
    if (!most->reported) {
        most->reported = true;
        log_debug("worst %s of %llu calls: %llu ticks, order %u, call %llu, and %u pages cleared", name,
                  (unsigned long long)calls, (unsigned long long)most->ticks, most->order,
                  (unsigned long long)most->number, most->zeroed);
    }
}

/* One sample: the whole run; the figure is the worst call of `kind` since start. */
static void run_all(struct bench *bench, enum kind kind, const char *name)
{
    struct run run = {.pool = kernel_frames(), .random = 88172645463325252ULL + calls};
    struct frame_request request = {.frames = SLOTS * sizeof(phys_addr_t) >> FRAME_SHIFT,
                                    .owner = OWNER_TEST};
    phys_addr_t slots;
    if (frame_alloc_request(run.pool, &request, &slots) != FRAME_OK) {
        bench_skip(bench, "not enough memory");
        return;
    }
    run.blocks = frame_pointer(run.pool, slots);
    run.blocks[0] = slots;
    calibrate(&run);
    each_order(&run);
    scatter(&run);
    fill(&run);
    churn(&run);
    while (run.count > SLOTS / 4) {
        drop(&run, next_random(&run) % run.count);
    }
    scatter(&run);
    drop_all(&run);
    frame_free_run(run.pool, slots, request.frames);
    report(kind, name);
    bench->ticks = worst[kind].ticks;
    bench->operations = 1;
}

KERNEL_BENCH(frame_worst_alloc, "frame.worst.alloc")
{
    run_all(bench, ALLOC, "allocation");
}

KERNEL_BENCH(frame_worst_free, "frame.worst.free")
{
    run_all(bench, FREE, "free");
}

KERNEL_BENCH(frame_worst_shortage, "frame.worst.shortage")
{
    run_all(bench, SHORTAGE, "allocation that emptied the magazines");
}
