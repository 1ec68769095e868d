/* What a pool does when memory runs out: magazines, then reclaimers; and what it promises them. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "fixture.h"
#include "tests/host/support/host.h"

#define HOARD_MAX 256

static struct machine machine;

/* Somebody who holds frames that he can spare. */
struct hoard {
    phys_addr_t frames[HOARD_MAX];
    unsigned count;
    unsigned calls;        /* of reclaim */
    uint64_t wanted;       /* as the last call said */
    bool allocates;        /* inside reclaim, too */
    phys_addr_t allocated; /* what that gave */
    unsigned *clock;       /* counts the calls of several hoards */
    unsigned called_at;    /* what it was then */
};

static uint64_t reclaim(void *context, uint64_t frames)
{
    struct hoard *hoard = context;
    hoard->calls++;
    hoard->wanted = frames;
    hoard->called_at = hoard->clock ? ++*hoard->clock : 0;
    if (hoard->allocates) {
        hoard->allocated = frame_alloc(&machine.pool, 3, OWNER_CACHE);
    }
    unsigned given = hoard->count;
    while (hoard->count > 0) {
        frame_free(&machine.pool, hoard->frames[--hoard->count], 0);
    }
    return given;
}

static int setup(void **state)
{
    (void)state;
    machine_make(&machine, MIB(32));
    machine_range(&machine, MIB(16), MIB(4), MEMORY_USABLE);
    return machine_start(&machine, 2, NULL) == FRAME_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    struct frame_problem problem;
    host_cpu = 0;
    bool good = frame_pool_check(&machine.pool, &problem);
    machine_destroy(&machine);
    return good ? 0 : -1;
}

static void add(struct hoard *hoard)
{
    struct frame_reclaimer reclaimer = {reclaim, hoard};
    assert_int_equal(frame_pool_add_reclaimer(&machine.pool, &reclaimer), FRAME_OK);
}

/* `frames` neighbours for the hoard. */
static void fill(struct hoard *hoard, unsigned frames)
{
    struct frame_request request = {.frames = 1, .owner = OWNER_CACHE};
    for (unsigned i = 0; i < frames; i++) {
        assert_int_equal(frame_alloc_request(&machine.pool, &request, &hoard->frames[i]), FRAME_OK);
    }
    hoard->count = frames;
}

/* Takes all that is left, without asking anybody to give. */
static void take_the_rest(void)
{
    struct frame_request request = {.frames = 1, .owner = OWNER_TEST, .try_only = true};
    phys_addr_t frame;
    frame_pool_drain(&machine.pool);
    while (frame_alloc_request(&machine.pool, &request, &frame) == FRAME_OK) {
    }
    assert_int_equal(frame_pool_free(&machine.pool), 0);
}

static void nobody_is_called_while_there_is_memory(void **state)
{
    (void)state;
    struct hoard hoard = {.count = 0};
    add(&hoard);
    fill(&hoard, 64);
    phys_addr_t frame = frame_alloc(&machine.pool, 0, OWNER_TEST);
    frame_free(&machine.pool, frame, 0);
    assert_int_equal(hoard.calls, 0);
}

/* Each way to allocate is served with what the reclaimer gives back, and tells how much it wants. */
static void every_allocation_asks(void **state)
{
    (void)state;
    struct hoard hoard = {.count = 0};
    struct frame_request request = {.frames = 5, .owner = OWNER_TEST};
    phys_addr_t frames[40];
    add(&hoard);
    fill(&hoard, 64);
    take_the_rest();
    assert_true(frame_alloc(&machine.pool, 0, OWNER_TEST).raw != 0);
    assert_int_equal(hoard.calls, 1);
    assert_int_equal(hoard.wanted, 1);

    fill(&hoard, 32);
    take_the_rest();
    assert_int_equal(frame_alloc_request(&machine.pool, &request, &frames[0]), FRAME_OK);
    assert_int_equal(hoard.calls, 2);
    assert_int_equal(hoard.wanted, 5);

    fill(&hoard, 16);
    take_the_rest();
    phys_addr_t at = hoard.frames[3];
    assert_int_equal(frame_alloc_at(&machine.pool, at, 0, OWNER_TEST), FRAME_BUSY); /* it has an owner */
    assert_int_equal(hoard.calls, 2);
    hoard.count = 0;
    frame_free(&machine.pool, at, 0);
    assert_int_equal(frame_alloc_batch(&machine.pool, 40, frames, OWNER_TEST), 1);
    assert_int_equal(hoard.calls, 3);
    assert_int_equal(hoard.wanted, 39);
}

/* Single frames that were freed merge and serve a larger request, though they went through a magazine. */
static void what_is_given_back_merges(void **state)
{
    (void)state;
    struct hoard hoard = {.count = 0};
    add(&hoard);
    fill(&hoard, 64);
    take_the_rest();
    assert_true(frame_alloc(&machine.pool, 4, OWNER_TEST).raw != 0);
}

static void try_only_asks_nobody(void **state)
{
    (void)state;
    struct hoard hoard = {.count = 0};
    struct frame_request request = {.frames = 1, .owner = OWNER_TEST, .try_only = true};
    phys_addr_t frame;
    add(&hoard);
    fill(&hoard, 8);
    take_the_rest();
    assert_int_equal(frame_alloc_request(&machine.pool, &request, &frame), FRAME_NO_MEMORY);
    assert_int_equal(hoard.calls, 0);
}

/* What all free frames together could not give is refused without a magazine emptied for it. */
static void magazines_are_not_emptied_in_vain(void **state)
{
    (void)state;
    struct frame_pool *pool = &machine.pool;
    phys_addr_t block = frame_alloc(pool, 4, OWNER_TEST);
    take_the_rest();
    assert_int_equal(frame_split(pool, block), FRAME_OK);
    for (unsigned i = 0; i < 8; i++) {
        frame_free(pool, phys_add(block, i * FRAME_BYTES), 0);
    }
    struct frame_statistics before;
    struct frame_statistics after;
    frame_pool_statistics(pool, &before);
    assert_int_equal(before.magazine_frames, 8);
    assert_int_equal(frame_alloc(pool, 4, OWNER_TEST).raw, 0);
    frame_pool_statistics(pool, &after);
    assert_int_equal(after.magazine_frames, 8);
    assert_int_equal(after.shortages, before.shortages + 1);
    assert_int_equal(frame_alloc(pool, 3, OWNER_TEST).raw, block.raw); /* these eight can */
}

/* Later reclaimers are spared when an earlier one gave enough, and called when it did not. */
static void reclaimers_are_called_in_order_until_it_is_enough(void **state)
{
    (void)state;
    unsigned clock = 0;
    struct hoard empty = {.clock = &clock};
    struct hoard first = {.clock = &clock};
    struct hoard second = {.clock = &clock};
    add(&empty);
    add(&first);
    add(&second);
    fill(&first, 1);
    fill(&second, 64);
    take_the_rest();
    assert_true(frame_alloc(&machine.pool, 0, OWNER_TEST).raw != 0);
    assert_int_equal(empty.called_at, 1);
    assert_int_equal(first.called_at, 2);
    assert_int_equal(second.calls, 0);

    fill(&first, 0);
    assert_true(frame_alloc(&machine.pool, 4, OWNER_TEST).raw != 0);
    assert_int_equal(second.calls, 1);
    assert_int_equal(first.calls, 2);
}

static void a_reclaimer_is_not_called_by_itself(void **state)
{
    (void)state;
    struct hoard hoard = {.allocates = true};
    add(&hoard);
    fill(&hoard, 64);
    take_the_rest();
    assert_true(frame_alloc(&machine.pool, 2, OWNER_TEST).raw != 0);
    assert_int_equal(hoard.calls, 1);
    assert_int_equal(hoard.allocated.raw, 0);
}

static void when_all_have_given_it_fails(void **state)
{
    (void)state;
    struct hoard hoard = {.count = 0};
    struct host_panic_trap trap;
    bool panicked;
    add(&hoard);
    take_the_rest();
    assert_int_equal(frame_alloc(&machine.pool, 0, OWNER_TEST).raw, 0);
    assert_int_equal(hoard.calls, 1);
    CATCH_PANIC(trap, panicked, frame_alloc_must(&machine.pool, 0, OWNER_STACKS));
    assert_true(panicked);
    assert_int_equal(hoard.calls, 2);
}

static void a_reclaimer_is_added_once(void **state)
{
    (void)state;
    struct hoard one = {.count = 0};
    struct frame_reclaimer reclaimer = {reclaim, &one};
    assert_false(frame_pool_has_reclaimer(&machine.pool, &reclaimer));
    add(&one);
    assert_true(frame_pool_has_reclaimer(&machine.pool, &reclaimer));
    assert_int_equal(frame_pool_add_reclaimer(&machine.pool, &reclaimer), FRAME_BUSY);
    assert_int_equal(frame_pool_remove_reclaimer(&machine.pool, &reclaimer), FRAME_OK);
    assert_false(frame_pool_has_reclaimer(&machine.pool, &reclaimer));
    assert_int_equal(frame_pool_remove_reclaimer(&machine.pool, &reclaimer), FRAME_BAD_CONFIG);
}

static void a_reclaimer_can_leave(void **state)
{
    (void)state;
    struct hoard one = {.count = 0};
    struct hoard other = {.count = 0};
    struct frame_reclaimer reclaimer = {reclaim, &one};
    add(&one);
    add(&other);
    assert_int_equal(frame_pool_remove_reclaimer(&machine.pool, &reclaimer), FRAME_OK);
    assert_int_equal(frame_pool_remove_reclaimer(&machine.pool, &reclaimer), FRAME_BAD_CONFIG);
    take_the_rest();
    assert_int_equal(frame_alloc(&machine.pool, 0, OWNER_TEST).raw, 0);
    assert_int_equal(one.calls, 0);
    assert_int_equal(other.calls, 1);
}

static _Atomic(bool) is_running;
static _Atomic(bool) is_leaving;

static uint64_t reclaim_slowly(void *context, uint64_t frames)
{
    (void)frames;
    atomic_store(&is_running, true);
    while (!atomic_load(&is_leaving)) {
        cpu_relax();
    }
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL); /* meanwhile the other one waits */
    *(bool *)context = true;
    return 0;
}

static void *allocate_elsewhere(void *unused)
{
    host_cpu = 1;
    (void)frame_alloc(&machine.pool, FRAME_ORDER_MAX, OWNER_TEST);
    return unused;
}

/* Whoever takes a reclaimer out may free what it needs: it does not run any more. */
static void leaving_waits_for_the_last_call(void **state)
{
    (void)state;
    volatile bool has_ended = false;
    pthread_t other;
    const struct frame_reclaimer reclaimer = {reclaim_slowly, (void *)&has_ended};
    assert_int_equal(frame_pool_add_reclaimer(&machine.pool, &reclaimer), FRAME_OK);
    take_the_rest();
    assert_int_equal(pthread_create(&other, NULL, allocate_elsewhere, NULL), 0);
    while (!atomic_load(&is_running)) {
        cpu_relax();
    }
    atomic_store(&is_leaving, true);
    assert_int_equal(frame_pool_remove_reclaimer(&machine.pool, &reclaimer), FRAME_OK);
    assert_true(has_ended);
    assert_int_equal(pthread_join(other, NULL), 0);
}

static void there_is_room_for_so_many(void **state)
{
    (void)state;
    struct hoard hoards[FRAME_RECLAIMERS_MAX] = {{.count = 0}};
    struct frame_reclaimer none = {NULL, NULL};
    struct frame_reclaimer reclaimer = {reclaim, NULL};
    for (unsigned i = 0; i < FRAME_RECLAIMERS_MAX; i++) {
        add(&hoards[i]);
    }
    assert_int_equal(frame_pool_add_reclaimer(&machine.pool, &reclaimer), FRAME_NO_ROOM);
    assert_int_equal(frame_pool_add_reclaimer(&machine.pool, &none), FRAME_BAD_CONFIG);
    assert_int_equal(frame_pool_remove_reclaimer(&machine.pool, &none), FRAME_BAD_CONFIG);
    take_the_rest();
    assert_int_equal(frame_alloc(&machine.pool, 0, OWNER_TEST).raw, 0);
    for (unsigned i = 0; i < FRAME_RECLAIMERS_MAX; i++) {
        assert_int_equal(hoards[i].calls, 1);
    }
    reclaimer.context = &hoards[2];
    assert_int_equal(frame_pool_remove_reclaimer(&machine.pool, &reclaimer), FRAME_OK);
    assert_int_equal(frame_pool_add_reclaimer(&machine.pool, &reclaimer), FRAME_OK);
}

#define RECLAIM_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        RECLAIM_TEST(nobody_is_called_while_there_is_memory),
        RECLAIM_TEST(every_allocation_asks),
        RECLAIM_TEST(what_is_given_back_merges),
        RECLAIM_TEST(try_only_asks_nobody),
        RECLAIM_TEST(magazines_are_not_emptied_in_vain),
        RECLAIM_TEST(reclaimers_are_called_in_order_until_it_is_enough),
        RECLAIM_TEST(a_reclaimer_is_not_called_by_itself),
        RECLAIM_TEST(when_all_have_given_it_fails),
        RECLAIM_TEST(a_reclaimer_is_added_once),
        RECLAIM_TEST(a_reclaimer_can_leave),
        RECLAIM_TEST(leaving_waits_for_the_last_call),
        RECLAIM_TEST(there_is_room_for_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
