/* Several CPUs (threads) use one pool at once, under the thread sanitizer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "tests/host/support/threads.h"

#define OPERATIONS   30000
#define SLOTS        64
#define SHARED_SLOTS 32

static struct machine machine;
static _Atomic(uint64_t) shared[SHARED_SLOTS]; /* blocks that pass from one CPU to another; 0 is none */

static uint32_t next_random(struct worker *worker)
{
    worker->random = worker->random * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(worker->random >> 33);
}

/* The first word of a block says whose it is: two owners of one block would be seen. */
static void claim(phys_addr_t block, uint64_t mark)
{
    *(uint64_t *)frame_pointer(&machine.pool, block) = mark;
}

static void release(phys_addr_t block, unsigned order, uint64_t mark)
{
    if (*(uint64_t *)frame_pointer(&machine.pool, block) != mark) {
        panic("block %#" PRIx64 " has two owners", block.raw);
    }
    frame_free(&machine.pool, block, order);
}

/* Puts a frame into a shared slot and frees the one that another CPU left there. */
static void exchange(struct worker *worker)
{
    phys_addr_t mine = frame_alloc(&machine.pool, 0, OWNER_OTHER);
    if (mine.raw != 0) {
        claim(mine, mine.raw);
    }
    uint64_t theirs = atomic_exchange(&shared[next_random(worker) % SHARED_SLOTS], mine.raw);
    if (theirs != 0) {
        release(phys_addr(theirs), 0, theirs);
    }
}

/* A run, or a zeroed frame: claimed, looked at, shared, and given back by the last reference. */
static void use_request(struct worker *worker)
{
    uint32_t number = next_random(worker);
    struct frame_request request = {.frames = 1 + number % 9,
                                    .owner = OWNER_HEAP,
                                    .zeroed = number % 4 == 0,
                                    .try_only = number % 5 == 0};
    struct frame_facts facts;
    phys_addr_t run;
    if (frame_alloc_request(&machine.pool, &request, &run) != FRAME_OK) {
        return;
    }
    uint64_t *words = frame_pointer(&machine.pool, run);
    if (request.zeroed && (words[0] != 0 || words[511] != 0)) {
        panic("frame %#" PRIx64 " is not zero", run.raw);
    }
    words[0] = words[511] = worker->cpu + 1;
    frame_get(&machine.pool, run);
    frame_pool_look(&machine.pool, run, &facts);
    if (facts.references != 2 || facts.owner != OWNER_HEAP || frame_put(&machine.pool, run) ||
        words[0] != worker->cpu + 1 || words[511] != worker->cpu + 1) {
        panic("run %#" PRIx64 " has two owners", run.raw);
    }
    if (number % 2) {
        frame_put(&machine.pool, run);
    } else {
        frame_free_run(&machine.pool, run, request.frames);
    }
}

/* Single frames in a batch, or of a block that is split; each freed in one of the ways there are. */
static void use_frames(struct worker *worker)
{
    phys_addr_t frames[16];
    unsigned count = 0;
    if (next_random(worker) % 2) {
        count = (unsigned)frame_alloc_batch(&machine.pool, ARRAY_LENGTH(frames), frames, OWNER_STACKS);
    } else {
        phys_addr_t block = frame_alloc(&machine.pool, 4, OWNER_STACKS);
        if (block.raw != 0 && frame_split(&machine.pool, block) != FRAME_OK) {
            panic("block %#" PRIx64 " cannot be split", block.raw);
        }
        for (; block.raw != 0 && count < ARRAY_LENGTH(frames); count++) {
            frames[count] = phys_add(block, count * FRAME_BYTES);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        claim(frames[i], worker->cpu + 1);
    }
    for (unsigned i = 0; i < count; i++) {
        if (*(uint64_t *)frame_pointer(&machine.pool, frames[i]) != worker->cpu + 1) {
            panic("frame %#" PRIx64 " has two owners", frames[i].raw);
        }
        if (i % 3 == 0) {
            frame_put(&machine.pool, frames[i]);
        } else if (frame_try_free(&machine.pool, frames[i], 0) != FRAME_OK) {
            panic("frame %#" PRIx64 " cannot be freed", frames[i].raw);
        }
    }
}

/* A block at some address, which may be free, in use, or in anybody's magazine; and any frame looked at. */
static void use_address(struct worker *worker)
{
    uint32_t number = next_random(worker);
    phys_addr_t block = phys_addr(MIB(1) + (uint64_t)(number % 3200) * KIB(64));
    unsigned order = number / 3200 % 5;
    struct frame_facts facts;
    frame_pool_look(&machine.pool, block, &facts);
    if (frame_alloc_at(&machine.pool, block, order, OWNER_DMA) == FRAME_OK) {
        claim(block, worker->cpu + 1);
        if (frame_change_owner(&machine.pool, block, OWNER_DMA, OWNER_CACHE) != FRAME_OK) {
            panic("block %#" PRIx64 " changes hands by itself", block.raw);
        }
        release(block, order, worker->cpu + 1);
    }
}

static void use_anything(struct worker *worker)
{
    static void (*const uses[])(struct worker *) = {use_request, use_frames, use_address};
    uses[next_random(worker) % ARRAY_LENGTH(uses)](worker);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    phys_addr_t blocks[SLOTS] = {{0}};
    unsigned orders[SLOTS];
    host_cpu = worker->cpu;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        uint32_t number = next_random(worker);
        unsigned slot = number % SLOTS;
        if (blocks[slot].raw != 0) {
            release(blocks[slot], orders[slot], worker->cpu + 1);
            blocks[slot] = FRAME_NONE;
        } else {
            orders[slot] = number / SLOTS % 8 == 7 ? 9 : number / SLOTS % 5;
            blocks[slot] = frame_alloc(&machine.pool, orders[slot], OWNER_TEST);
            if (blocks[slot].raw != 0) {
                claim(blocks[slot], worker->cpu + 1);
            }
        }
        if (number % 3 == 0) {
            exchange(worker);
        }
        if (number % 5 == 0) {
            use_anything(worker);
        }
        if (number % 997 == 0) {
            frame_pool_drain(&machine.pool);
        }
        if (number % 97 == 0) {
            frame_pool_idle(&machine.pool);
            phys_addr_t zeroed = frame_alloc_zeroed(&machine.pool, OWNER_TEST);
            if (zeroed.raw != 0) {
                frame_put(&machine.pool, zeroed);
            }
        }
        if (number % 1999 == 0) {
            struct frame_statistics statistics;
            struct frame_ledger ledger;
            frame_pool_statistics(&machine.pool, &statistics);
            frame_pool_ledger(&machine.pool, &ledger);
        }
    }
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (blocks[slot].raw != 0) {
            release(blocks[slot], orders[slot], worker->cpu + 1);
        }
    }
    return NULL;
}

static void run(const struct frame_policy *policy, unsigned threads)
{
    machine_make(&machine, MIB(256));
    machine_range(&machine, MIB(1), MIB(200), MEMORY_USABLE);
    assert_int_equal(machine_start(&machine, threads, policy), FRAME_OK);
    uint64_t free = frame_pool_free(&machine.pool);
    threads_run(threads, work);
    for (unsigned i = 0; i < SHARED_SLOTS; i++) {
        uint64_t left = atomic_exchange(&shared[i], 0);
        if (left != 0) {
            release(phys_addr(left), 0, left);
        }
    }
    struct frame_statistics statistics;
    assert_true(machine_is_sound(&machine));
    frame_pool_statistics(&machine.pool, &statistics);
    assert_int_equal(frame_pool_free(&machine.pool) + statistics.descriptor_bytes / FRAME_BYTES, free);
    machine_destroy(&machine);
}

static void two_cpus_share_a_pool(void **state)
{
    (void)state;
    run(&frame_policy_buddy, 2);
}

static void four_cpus_share_a_pool(void **state)
{
    (void)state;
    run(&frame_policy_buddy, 4);
}

static void two_cpus_share_a_bitmap(void **state)
{
    (void)state;
    run(&frame_policy_bitmap, 2);
}

/* ---- The same thing done by two CPUs at once ---- */

#define DUELS 5000

static phys_addr_t prize;            /* an allocated frame with one reference */
static _Atomic(unsigned) ready;      /* duellists that have reached the next round */
static _Atomic(unsigned) frees;      /* that succeeded in this round */
static _Atomic(unsigned) references; /* that were had in this round */
static bool may_share;

/* Waits until both have come so far. */
static void meet(unsigned round)
{
    atomic_fetch_add(&ready, 1);
    while (atomic_load(&ready) < 2 * round) {
        cpu_relax();
    }
}

/* What one did to the prize is what the other found done. */
static void settle(void)
{
    unsigned had = atomic_exchange(&references, 0);
    unsigned freed = atomic_exchange(&frees, 0);
    if (had + freed == 0 || freed > 1 || (freed == 1 && had > 0)) {
        panic("%u frees and %u references", freed, had);
    }
    for (; had > 0; had--) {
        frame_put(&machine.pool, prize);
    }
    if (freed == 0) {
        frame_free(&machine.pool, prize, 0);
    }
}

static void *duel(void *argument)
{
    struct worker *worker = argument;
    host_cpu = worker->cpu;
    for (unsigned round = 0; round < DUELS; round++) {
        if (worker->cpu == 0) {
            prize = frame_alloc(&machine.pool, 0, OWNER_TEST);
        }
        meet(3 * round + 1);
        if (may_share && worker->cpu == 1) {
            atomic_fetch_add(&references, frame_try_get(&machine.pool, prize) == FRAME_OK);
        } else {
            atomic_fetch_add(&frees, frame_try_free(&machine.pool, prize, 0) == FRAME_OK);
        }
        meet(3 * round + 2);
        if (worker->cpu == 0) {
            settle();
        }
        meet(3 * round + 3);
    }
    return NULL;
}

static void run_duels(bool with_references)
{
    may_share = with_references;
    atomic_store(&ready, 0);
    machine_make(&machine, MIB(64));
    machine_range(&machine, MIB(16), MIB(32), MEMORY_USABLE);
    assert_int_equal(machine_start(&machine, 2, NULL), FRAME_OK);
    threads_run(2, duel);
    assert_true(machine_is_sound(&machine));
    machine_destroy(&machine);
}

static void of_two_frees_one_succeeds(void **state)
{
    (void)state;
    run_duels(false);
}

static void a_free_and_a_reference_exclude_each_other(void **state)
{
    (void)state;
    run_duels(true);
}

/* ---- Pins, references, marks and owners of one frame, changed by both CPUs at once ---- */

#define MARK_ROUNDS 20000

static void *mark(void *argument)
{
    struct worker *worker = argument;
    struct frame_pool *pool = &machine.pool;
    host_cpu = worker->cpu;
    for (unsigned round = 0; round < MARK_ROUNDS; round++) {
        frame_pin(pool, prize);
        frame_get(pool, prize);
        frame_set_age(pool, prize, round % 128);
        if (frame_begin_change(pool, prize)) {
            frame_end_change(pool, prize);
        }
        if (frame_put(pool, prize) || frame_unpin(pool, prize)) {
            panic("the last reference went");
        }
    }
    return NULL;
}

static void marks_and_references_add_up(void **state)
{
    (void)state;
    machine_make(&machine, MIB(64));
    machine_range(&machine, MIB(16), MIB(32), MEMORY_USABLE);
    assert_int_equal(machine_start(&machine, 2, NULL), FRAME_OK);
    host_cpu = 0;
    prize = frame_alloc(&machine.pool, 0, OWNER_TEST);
    threads_run(2, mark);
    struct frame_facts facts;
    host_cpu = 0;
    frame_pool_look(&machine.pool, prize, &facts);
    assert_true(facts.references == 1 && facts.pins == 0 && !facts.busy && facts.owner == OWNER_TEST);
    assert_true(machine_is_sound(&machine));
    frame_free(&machine.pool, prize, 0);
    assert_true(machine_is_sound(&machine));
    machine_destroy(&machine);
}

/* Both CPUs drop a reference to a block with a mark at once: one of them frees it, whatever the order. */
static void *drop_marked(void *argument)
{
    struct worker *worker = argument;
    host_cpu = worker->cpu;
    for (unsigned round = 0; round < MARK_ROUNDS; round++) {
        if (worker->cpu == 0) {
            prize = frame_alloc(&machine.pool, 0, OWNER_TEST);
            frame_get(&machine.pool, prize);
            frame_set_age(&machine.pool, prize, 1);
            atomic_store(&frees, 0);
        }
        meet(2 * round + 1);
        for (unsigned i = round % 64 * worker->cpu; i-- > 0;) {
            __asm__ volatile(""); /* a little later each time */
        }
        atomic_fetch_add(&frees, frame_put(&machine.pool, prize));
        meet(2 * round + 2);
        if (worker->cpu == 0 && atomic_load(&frees) != 1) {
            panic("%u frees of a block", atomic_load(&frees));
        }
    }
    return NULL;
}

static void of_two_puts_of_a_marked_block_one_frees(void **state)
{
    (void)state;
    atomic_store(&ready, 0);
    machine_make(&machine, MIB(64));
    machine_range(&machine, MIB(16), MIB(32), MEMORY_USABLE);
    assert_int_equal(machine_start(&machine, 2, NULL), FRAME_OK);
    threads_run(2, drop_marked);
    assert_true(machine_is_sound(&machine));
    machine_destroy(&machine);
}

/* ---- Reclaimers that come and go while memory runs out ---- */

#define RECLAIM_ROUNDS 300

static _Atomic(uint64_t) stash[SHARED_SLOTS]; /* frames that any reclaimer may free */
static _Atomic(bool) finished;

static uint64_t reclaim_stash(void *context, uint64_t frames)
{
    uint64_t given = 0;
    ++*(uint64_t *)context; /* plain: nobody else may be inside when its owner reads it */
    for (unsigned i = 0; given < frames && i < SHARED_SLOTS; i++) {
        uint64_t frame = atomic_exchange(&stash[i], 0);
        if (frame != 0) {
            frame_free(&machine.pool, phys_addr(frame), 0);
            given++;
        }
    }
    return given;
}

/* Takes single frames until there are none; a part of them goes to the stash. */
static void *run_out(void *argument)
{
    struct worker *worker = argument;
    static _Thread_local phys_addr_t frames[2048];
    host_cpu = worker->cpu;
    for (unsigned round = 0; round < RECLAIM_ROUNDS / 10; round++) {
        unsigned count = 0;
        while (count < ARRAY_LENGTH(frames)) {
            phys_addr_t frame = frame_alloc(&machine.pool, 0, OWNER_TEST);
            if (frame.raw == 0) {
                break;
            }
            uint64_t none = 0;
            if (count % 8 != 0 || !atomic_compare_exchange_strong(&stash[next_random(worker) % SHARED_SLOTS],
                                                                  &none, frame.raw)) {
                frames[count++] = frame;
            }
        }
        while (count > 0) {
            frame_free(&machine.pool, frames[--count], 0);
        }
    }
    atomic_store(&finished, true);
    return NULL;
}

static void reclaimers_come_and_go(void **state)
{
    (void)state;
    struct worker worker = {.cpu = 0, .random = 5};
    machine_make(&machine, MIB(64));
    machine_range(&machine, MIB(16), MIB(4), MEMORY_USABLE);
    assert_int_equal(machine_start(&machine, 2, NULL), FRAME_OK);
    assert_int_equal(pthread_create(&worker.thread, NULL, run_out, &worker), 0);
    host_cpu = 1;
    while (!atomic_load(&finished)) {
        uint64_t calls = 0;
        struct frame_reclaimer reclaimer = {reclaim_stash, &calls};
        assert_int_equal(frame_pool_add_reclaimer(&machine.pool, &reclaimer), FRAME_OK);
        for (unsigned i = 0; i < 100; i++) {
            cpu_relax();
        }
        assert_int_equal(frame_pool_remove_reclaimer(&machine.pool, &reclaimer), FRAME_OK);
        calls++;
    }
    pthread_join(worker.thread, NULL);
    host_cpu = 0;
    for (unsigned i = 0; i < SHARED_SLOTS; i++) {
        uint64_t frame = atomic_exchange(&stash[i], 0);
        if (frame != 0) {
            frame_free(&machine.pool, phys_addr(frame), 0);
        }
    }
    struct frame_problem problem;
    assert_true(frame_pool_check(&machine.pool, &problem));
    machine_destroy(&machine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_cpus_share_a_pool),
        cmocka_unit_test(four_cpus_share_a_pool),
        cmocka_unit_test(two_cpus_share_a_bitmap),
        cmocka_unit_test(of_two_frees_one_succeeds),
        cmocka_unit_test(a_free_and_a_reference_exclude_each_other),
        cmocka_unit_test(marks_and_references_add_up),
        cmocka_unit_test(of_two_puts_of_a_marked_block_one_frees),
        cmocka_unit_test(reclaimers_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
