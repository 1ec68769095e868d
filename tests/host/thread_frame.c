/* Several CPUs (threads) use one pool at once, under the thread sanitizer. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "frame_fixture.h"

#define THREADS      4
#define OPERATIONS   30000
#define SLOTS        64
#define SHARED_SLOTS 32

static struct machine machine;
static _Atomic(uint64_t) shared[SHARED_SLOTS]; /* blocks that pass from one CPU to another; 0 is none */

struct worker {
    pthread_t thread;
    unsigned cpu;
    uint64_t random;
};

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
        panic("block %#llx has two owners", (unsigned long long)block.raw);
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
        if (number % 997 == 0) {
            frame_pool_drain(&machine.pool);
        }
        if (number % 1999 == 0) {
            struct frame_statistics statistics;
            struct frame_ledger ledger;
            frame_pool_statistics(&machine.pool, &statistics);
            frame_pool_ledger(&machine.pool, &ledger);
            frame_pool_idle(&machine.pool);
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
    struct worker workers[THREADS];
    machine_make(&machine, MIB(256));
    machine_range(&machine, MIB(1), MIB(200), MEMORY_USABLE);
    assert_int_equal(machine_start(&machine, threads, policy), FRAME_OK);
    uint64_t free = frame_pool_free(&machine.pool);
    for (unsigned i = 0; i < threads; i++) {
        workers[i].cpu = i;
        workers[i].random = 77 + i;
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < threads; i++) {
        pthread_join(workers[i].thread, NULL);
    }
    for (unsigned i = 0; i < SHARED_SLOTS; i++) {
        uint64_t left = atomic_exchange(&shared[i], 0);
        if (left != 0) {
            release(phys_addr(left), 0, left);
        }
    }
    struct frame_problem problem;
    struct frame_statistics statistics;
    assert_true(frame_pool_check(&machine.pool, &problem));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_cpus_share_a_pool),
        cmocka_unit_test(four_cpus_share_a_pool),
        cmocka_unit_test(two_cpus_share_a_bitmap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
