/*
 * What one CPU needs is in the magazines of others, which are busy: they give it up when they are asked. A
 * thread stands for a CPU, and looks between two operations whether it was asked: there its preemption is on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "tests/host/support/threads.h"

#define CPUS   4
#define SHARED 500 /* frames that the CPUs use by turns */
#define ROUNDS 30000

static struct machine machine;
static _Atomic(bool) asked[CPUS];     /* to return what its magazines hold; by CPU */
static _Atomic(unsigned) arrived;     /* CPUs that have begun, and once more those that are done */
static _Atomic(int64_t) to_be_had;    /* frames that nobody holds, or less while somebody looks */
static _Atomic(uint64_t) collections; /* so far */

/* What a CPU does where it can be interrupted. */
static void serve(void)
{
    if (atomic_exchange(&asked[host_cpu], false)) {
        frame_pool_drain_cpu(&machine.pool, host_cpu);
    }
}

static bool collect(void *context)
{
    (void)context;
    if (!frame_pool_others_hold(&machine.pool)) {
        return false;
    }
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        if (cpu != host_cpu) {
            atomic_store(&asked[cpu], true);
        }
    }
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        while (cpu != host_cpu && atomic_load(&asked[cpu])) {
            serve();
            cpu_relax();
        }
    }
    atomic_fetch_add(&collections, 1);
    return true;
}

/* One more frame, which must be there: fewer are held than there are. */
static phys_addr_t get(uint64_t held)
{
    phys_addr_t frame = frame_alloc(&machine.pool, 0, OWNER_TEST);
    if (frame.raw == 0) {
        panic("CPU %u holds %" PRIu64 " frames, and gets no more", host_cpu, held);
    }
    return frame;
}

static void wait_for(unsigned count)
{
    atomic_fetch_add(&arrived, 1);
    while (atomic_load(&arrived) < count) {
        serve();
        cpu_relax();
    }
}

/* Allocates as long as there is a frame to be had, or a while; then frees for a while; and so on. */
static void *come_and_go(void *argument)
{
    struct worker *worker = argument;
    phys_addr_t frames[SHARED];
    uint64_t held = 0;
    bool more = true;
    host_cpu = worker->cpu;
    wait_for(CPUS);
    for (unsigned round = 0; round < ROUNDS; round++) {
        worker->random = worker->random * 6364136223846793005ULL + 1442695040888963407ULL;
        more ^= (worker->random >> 33) % 128 == 0;
        if (more && atomic_fetch_sub(&to_be_had, 1) > 0) {
            frames[held] = get(held);
            held++;
        } else {
            atomic_fetch_add(&to_be_had, more ? 1 : 0);
            if (held > 0) {
                frame_free(&machine.pool, frames[--held], 0);
                atomic_fetch_add(&to_be_had, 1);
            }
        }
        serve();
    }
    while (held > 0) {
        frame_free(&machine.pool, frames[--held], 0);
    }
    wait_for(2 * CPUS); /* this one is idle now, and still answers */
    return NULL;
}

static void start(bool (*how)(void *))
{
    machine_make(&machine, MIB(64));
    machine_range(&machine, MIB(16), MIB(48), MEMORY_USABLE);
    struct frame_config config = machine_config(&machine, CPUS, NULL);
    config.collect = how;
    assert_int_equal(frame_pool_init(&machine.pool, &config), FRAME_OK);
    assert_int_equal(frame_pool_back(&machine.pool, phys_addr(MIB(16)), MIB(48)), FRAME_OK);
}

/* All frames there are can be had, wherever they are. */
static void no_frame_is_out_of_reach(void **state)
{
    (void)state;
    static phys_addr_t kept[MIB(48) / FRAME_BYTES];
    start(collect);
    uint64_t count = frame_pool_free(&machine.pool) - SHARED;
    assert_int_equal(frame_alloc_batch(&machine.pool, count, kept, OWNER_TEST), count);
    assert_int_equal(frame_pool_free(&machine.pool), SHARED);
    atomic_store(&to_be_had, SHARED);
    atomic_store(&arrived, 0);
    threads_run(CPUS, come_and_go);
    assert_true(atomic_load(&collections) > 0);
    frame_free_batch(&machine.pool, count, kept);
    assert_true(machine_is_sound(&machine));
    machine_destroy(&machine);
}

/* All others are idle. */
static bool collect_from_idle(void *context)
{
    (void)context;
    if (!frame_pool_others_hold(&machine.pool)) {
        return false;
    }
    for (unsigned cpu = 0; cpu < CPUS; cpu++) {
        if (cpu != host_cpu) {
            frame_pool_drain_cpu(&machine.pool, cpu);
        }
    }
    atomic_fetch_add(&collections, 1);
    return true;
}

/* One of them does not answer. */
static bool collect_in_vain(void *context)
{
    (void)context;
    atomic_fetch_add(&collections, 1);
    return false;
}

static phys_addr_t all[MIB(48) / FRAME_BYTES];

/* All memory is in use but for 32 frames that follow each other, in a magazine of CPU 1. */
static uint64_t leave_some_to_another(void)
{
    uint64_t count = 0;
    while ((all[count] = frame_alloc(&machine.pool, 0, OWNER_TEST)).raw != 0) {
        count++;
    }
    host_cpu = 1;
    for (unsigned i = 0; i < 32; i++) {
        frame_free(&machine.pool, phys_addr(MIB(32) + i * FRAME_BYTES), 0);
    }
    host_cpu = 0;
    atomic_store(&collections, 0);
    return count;
}

static void give_all_back(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (all[i].raw < MIB(32) || all[i].raw >= MIB(32) + 32 * FRAME_BYTES) {
            frame_free(&machine.pool, all[i], 0);
        }
    }
    assert_true(machine_is_sound(&machine));
    machine_destroy(&machine);
}

static void what_idle_cpus_hold_makes_a_block(void **state)
{
    (void)state;
    start(collect_from_idle);
    uint64_t count = leave_some_to_another();
    const struct frame_request request = {.frames = 32, .owner = OWNER_TEST, .try_only = true};
    phys_addr_t block;
    assert_int_equal(frame_alloc_request(&machine.pool, &request, &block), FRAME_NO_MEMORY);
    preempt_disable(); /* as under a spinlock */
    assert_int_equal(frame_alloc(&machine.pool, 5, OWNER_TEST).raw, 0);
    preempt_enable();
    assert_int_equal(atomic_load(&collections), 0);
    assert_true(frame_pool_collect(&machine.pool));
    assert_int_equal(frame_alloc_request(&machine.pool, &request, &block), FRAME_OK);
    assert_int_equal(block.raw, MIB(32));
    assert_false(frame_pool_collect(&machine.pool));
    assert_int_equal(atomic_load(&collections), 1);
    host_cpu = 1;
    frame_free(&machine.pool, block, 5);
    host_cpu = 0;
    block = frame_alloc(&machine.pool, 4, OWNER_TEST);
    assert_int_equal(block.raw, MIB(32));
    assert_int_equal(atomic_load(&collections), 2);
    frame_free(&machine.pool, block, 4);
    give_all_back(count);
}

static void who_does_not_answer_is_not_asked_for_ever(void **state)
{
    (void)state;
    start(collect_in_vain);
    uint64_t count = leave_some_to_another();
    assert_int_equal(frame_alloc(&machine.pool, 0, OWNER_TEST).raw, 0);
    assert_int_equal(frame_alloc(&machine.pool, 5, OWNER_TEST).raw, 0);
    assert_int_equal(atomic_load(&collections), 2);
    give_all_back(count);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_idle_cpus_hold_makes_a_block),
        cmocka_unit_test(who_does_not_answer_is_not_asked_for_ever),
        cmocka_unit_test(no_frame_is_out_of_reach),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
