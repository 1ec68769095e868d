/* What magazines take from the store and give back to it: in which pieces, and how many at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "mm/frame/cpu/cpu.h"
#include "mm/frame/internal.h"

#define BASE MIB(64)

static struct machine machine;

static int setup(void **state)
{
    (void)state;
    machine_make(&machine, MIB(256));
    machine_range(&machine, MIB(16), MIB(240), MEMORY_USABLE);
    if (machine_start(&machine, 1, NULL) != FRAME_OK) {
        return -1;
    }
    /* What descriptors need lies lower. */
    return frame_pool_back(&machine.pool, phys_addr(BASE), MIB(8)) == FRAME_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    struct frame_problem problem;
    bool good = frame_pool_check(&machine.pool, &problem);
    if (!good) {
        print_error("frame_pool_check: %s at %#" PRIx64 "\n", problem.what, problem.frame);
    }
    machine_destroy(&machine);
    return good ? 0 : -1;
}

static void take(phys_addr_t *blocks, unsigned count, unsigned order)
{
    for (unsigned i = 0; i < count; i++) {
        blocks[i] = phys_addr(BASE + ((uint64_t)i * FRAME_BYTES << order));
        assert_int_equal(frame_alloc_at(&machine.pool, blocks[i], order, OWNER_TEST), FRAME_OK);
    }
}

/* Whether [BASE, BASE + 4 MiB) is free as a whole. */
static bool is_whole(void)
{
    struct frame_problem problem;
    bool taken = frame_pool_check(&machine.pool, &problem) &&
                 frame_alloc_at(&machine.pool, phys_addr(BASE), FRAME_ORDER_2M + 1, OWNER_TEST) == FRAME_OK;
    if (taken) {
        frame_free(&machine.pool, phys_addr(BASE), FRAME_ORDER_2M + 1);
    }
    return taken;
}

/* Blocks that were taken in pieces and together fill 2 MiB or more go back at once. */
static void neighbours_go_back_as_a_whole(void **state)
{
    (void)state;
    static phys_addr_t blocks[1024];
    for (unsigned order = 0; order <= FRAME_ORDER_2M; order++) {
        for (unsigned down = 0; down < 2; down++) {
            unsigned count = 1024U >> order;
            take(blocks, count, order);
            for (unsigned i = 0; i < count; i++) {
                frame_free(&machine.pool, blocks[down ? count - 1 - i : i], order);
            }
            frame_pool_drain(&machine.pool);
            assert_true(is_whole());
        }
    }
}

#define BATCH      4096
#define MOST_GIVEN 19 /* blocks that a drain gives to the policy, if they are scattered frames; else two */

/* Allocates a batch and frees it in the order it came in, or the other way round; returns the drains. */
static uint64_t drains_of_batch(bool backwards)
{
    static phys_addr_t frames[BATCH];
    for (unsigned i = 0; i < BATCH; i++) {
        frames[i] = frame_alloc(&machine.pool, 0, OWNER_TEST);
    }
    uint64_t before = machine.pool.work.drains;
    for (unsigned i = 0; i < BATCH; i++) {
        uint64_t given = machine.pool.work.given;
        frame_free(&machine.pool, frames[backwards ? BATCH - 1 - i : i], 0);
        assert_true(machine.pool.work.given - given <= MOST_GIVEN);
    }
    return machine.pool.work.drains - before;
}

/*
 * Whatever is in the magazine at first: frees in a row make large pieces, or each would make room for a few.
 */
static void frees_in_a_row_take_the_lock_seldom(void **state)
{
    (void)state;
    static phys_addr_t frames[1000];
    for (unsigned left = 0; left < 128; left += 3) {
        for (unsigned i = 0; i < ARRAY_LENGTH(frames); i++) {
            frames[i] = frame_alloc(&machine.pool, 0, OWNER_TEST);
        }
        for (unsigned i = 0; i < ARRAY_LENGTH(frames); i++) {
            frame_free(&machine.pool, frames[i * 387 % ARRAY_LENGTH(frames)], 0); /* scattered ones */
        }
        for (unsigned i = 0; i < left; i++) {
            frames[i] = frame_alloc(&machine.pool, 0, OWNER_TEST);
        }
        drains_of_batch(left % 2);
        for (unsigned round = 0; round < 3; round++) {
            assert_in_range(drains_of_batch(left % 2), 1, BATCH / 15);
        }
        frame_free_batch(&machine.pool, left, frames);
    }
}

/* A free that is looked at before it is done goes into the magazine like any other. */
static void a_checked_free_drains_nothing(void **state)
{
    (void)state;
    phys_addr_t frame = frame_alloc(&machine.pool, 0, OWNER_TEST);
    uint64_t cached = frame_magazine_count(&machine.pool.cpu[0].magazine[0]);
    assert_int_equal(frame_try_free(&machine.pool, frame, 0), FRAME_OK);
    assert_int_equal(frame_magazine_count(&machine.pool.cpu[0].magazine[0]), cached + 1);
    frame_pool_drain(&machine.pool);
    uint64_t drains = machine.pool.work.drains;
    frame = frame_alloc(&machine.pool, FRAME_ORDER_2M, OWNER_TEST);
    assert_int_equal(frame_try_free(&machine.pool, frame, FRAME_ORDER_2M), FRAME_OK); /* into an empty one */
    assert_int_equal(machine.pool.work.drains, drains);
}

/* Of scattered blocks, no two of which are neighbours. */
static void a_free_gives_back_few_blocks(void **state)
{
    (void)state;
    static phys_addr_t blocks[1024];
    for (unsigned order = 0; order < 2; order++) {
        uint64_t most = 0;
        take(blocks, ARRAY_LENGTH(blocks) >> order, order);
        for (unsigned i = 0; i < ARRAY_LENGTH(blocks) >> order; i++) {
            uint64_t given = machine.pool.work.given;
            frame_free(&machine.pool, blocks[i * 387 % (ARRAY_LENGTH(blocks) >> order)], order);
            most = max_u64(most, machine.pool.work.given - given);
        }
        frame_pool_drain(&machine.pool);
        /* Not so few frames, either, that nearly every free takes the lock. */
        assert_in_range(most, order == 0 ? MOST_GIVEN : 2, order == 0 ? MOST_GIVEN : 2);
    }
}

/* Scattered frees of 2 MiB of which one frame stays in use: free, but in 512 pieces until they are merged. */
static void free_scattered(phys_addr_t *frames)
{
    take(frames, 512, 0);
    for (unsigned i = 0; i < 512; i++) {
        if (i * 77 % 512 != 0) {
            frame_free(&machine.pool, frames[i * 77 % 512], 0);
        }
    }
    frame_pool_drain_cpu(&machine.pool, 0);
}

/* Order of the free block that frame 256 of it is in. */
static int order_in_the_middle(void)
{
    const struct frame_policy *policy = machine.pool.config.policy;
    return policy->free_order(machine.pool.policy_state, (BASE >> FRAME_SHIFT) + 256);
}

static uint64_t free_blocks(unsigned order)
{
    struct frame_statistics statistics;
    frame_pool_statistics(&machine.pool, &statistics);
    return statistics.free_blocks[order];
}

static void scattered_frames_are_merged_when_there_is_time(void **state)
{
    (void)state;
    static phys_addr_t frames[512];
    uint64_t halves = free_blocks(8);
    free_scattered(frames);
    struct frame_problem problem;
    assert_true(frame_pool_check(&machine.pool, &problem));
    assert_int_equal(order_in_the_middle(), 0);
    assert_int_equal(free_blocks(8), halves + 1); /* counted as what they will be */
    while (frame_pool_idle(&machine.pool)) {
    }
    assert_int_equal(order_in_the_middle(), 8);
    assert_true(frame_pool_check(&machine.pool, &problem));
    frame_free(&machine.pool, frames[0], 0);
    frame_pool_drain(&machine.pool);
    assert_true(is_whole());
    free_scattered(frames);
    frame_pool_drain(&machine.pool);
    assert_int_equal(order_in_the_middle(), 8);
}

static void scattered_frames_are_merged_before_an_allocation_fails(void **state)
{
    (void)state;
    static phys_addr_t frames[512];
    static phys_addr_t rest[MIB(240) >> FRAME_SHIFT];
    free_scattered(frames);
    unsigned count = 0;
    while ((rest[count] = frame_alloc(&machine.pool, 9, OWNER_TEST)).raw != 0) {
        count++;
    }
    phys_addr_t half = frame_alloc(&machine.pool, 8, OWNER_TEST);
    while (half.raw != 0 && half.raw != BASE + MIB(1)) { /* others first */
        rest[count++] = half;
        half = frame_alloc(&machine.pool, 8, OWNER_TEST);
    }
    assert_int_equal(half.raw, BASE + MIB(1));
}

static void scattered_frames_are_merged_before_some_are_taken(void **state)
{
    (void)state;
    static phys_addr_t frames[512];
    free_scattered(frames);
    phys_addr_t frame = frame_alloc(&machine.pool, 0, OWNER_TEST);
    while (frame.raw < BASE || frame.raw >= BASE + MIB(2)) { /* others first */
        frame = frame_alloc(&machine.pool, 0, OWNER_TEST);
        assert_true(frame.raw != 0);
    }
    uint64_t refills = machine.pool.work.refills;
    for (unsigned i = 0; i < 128; i++) {
        assert_true(frame_alloc(&machine.pool, 0, OWNER_TEST).raw != 0);
    }
    assert_in_range(machine.pool.work.refills - refills, 1, 10); /* a block each, the smallest first */
}

/* All that is left is scattered, and the reserve for descriptors needs blocks of it. */
static void scattered_frames_are_merged_for_descriptors(void **state)
{
    (void)state;
    static phys_addr_t frames[512];
    free_scattered(frames);
    phys_addr_t block;
    for (unsigned order = FRAME_ORDER_2M; order > 0; order--) {
        struct frame_request request = {.frames = 1ULL << order, .owner = OWNER_TEST, .try_only = true};
        while (frame_alloc_request(&machine.pool, &request, &block) == FRAME_OK) {
        }
    }
    assert_int_equal(frame_pool_back(&machine.pool, phys_addr(MIB(16)), MIB(224)), FRAME_OK);
}

static void a_leaf_is_whole_as_soon_as_all_of_it_is_free(void **state)
{
    (void)state;
    static phys_addr_t frames[512];
    take(frames, 512, 0);
    for (unsigned i = 0; i < 512; i++) {
        frame_free(&machine.pool, frames[i * 77 % 512], 0);
    }
    frame_pool_drain_cpu(&machine.pool, 0);
    assert_true(order_in_the_middle() >= FRAME_ORDER_2M);
}

static void a_scattered_frame_can_be_had_by_address(void **state)
{
    (void)state;
    static phys_addr_t frames[512];
    free_scattered(frames);
    assert_int_equal(frame_alloc_at(&machine.pool, phys_addr(BASE + MIB(1)), 8, OWNER_TEST), FRAME_OK);
    assert_int_equal(frame_alloc_at(&machine.pool, phys_addr(BASE), 8, OWNER_TEST), FRAME_BUSY);
    assert_int_equal(frame_alloc_at(&machine.pool, phys_addr(BASE + FRAME_BYTES), 0, OWNER_TEST), FRAME_OK);
}

/* The same for takes: memory of which every other frame is free comes in pieces of one. */
static unsigned takes;

static uint64_t count_take(void *state, unsigned order, unsigned most, uint64_t from, uint64_t limit,
                           unsigned *got)
{
    takes++;
    return frame_policy_buddy.take(state, order, most, from, limit, got);
}

static void an_allocation_takes_few_pieces(void **state)
{
    (void)state;
    static phys_addr_t frames[MIB(240) / FRAME_BYTES];
    struct frame_policy counting = frame_policy_buddy;
    counting.take = count_take;
    uint64_t count = frame_alloc_batch(&machine.pool, ARRAY_LENGTH(frames), frames, OWNER_TEST);
    for (uint64_t i = 0; i < count; i++) {
        if (frames[i].raw / FRAME_BYTES % 2 == 0) {
            frame_free(&machine.pool, frames[i], 0);
        }
    }
    frame_pool_drain(&machine.pool);
    machine.pool.config.policy = &counting;
    for (unsigned i = 0; i < 1000; i++) {
        takes = 0;
        assert_true(frame_alloc(&machine.pool, 0, OWNER_TEST).raw != 0);
        assert_true(takes <= 4); /* a zone each */
    }
    machine.pool.config.policy = &frame_policy_buddy;
}

/* The most blocks of 2 MiB that one of some allocations leaves in the magazine. */
static uint64_t left_by_2m(struct frame_pool *pool)
{
    phys_addr_t blocks[64];
    uint64_t most = 0;
    frame_pool_drain(pool);
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        blocks[i] = frame_alloc(pool, FRAME_ORDER_2M, OWNER_TEST);
        most = max_u64(most, frame_magazine_count(&pool->cpu[0].magazine[FRAME_ORDER_2M]));
    }
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        frame_free(pool, blocks[i], FRAME_ORDER_2M);
    }
    return most;
}

/* Backing one page of descriptors, with a block for the reserve if it needs one, is enough for one hold. */
static void large_blocks_come_together_where_they_are_described(void **state)
{
    (void)state;
    struct machine large;
    machine_make(&large, GIB(8));
    machine_range(&large, MIB(16), GIB(8) - MIB(16), MEMORY_USABLE);
    assert_int_equal(machine_start(&large, 1, NULL), FRAME_OK);
    assert_int_equal(left_by_2m(&large.pool), 0);
    assert_int_equal(frame_pool_back(&large.pool, phys_addr(0), GIB(8)), FRAME_OK);
    assert_int_equal(left_by_2m(&large.pool), 15);
    large.pool.reserve[0].next = large.pool.reserve[0].end;
    large.pool.reserve[1].next = large.pool.reserve[1].end;
    assert_int_equal(left_by_2m(&large.pool), 0);
    machine_destroy(&large);
}

/* A whole leaf comes at once, and what the magazine has no room for serves the refills that follow. */
static void a_refill_serves_the_next_ones(void **state)
{
    (void)state;
    assert_int_equal(frame_pool_back(&machine.pool, phys_addr(MIB(16)), MIB(240)), FRAME_OK);
    for (unsigned order = 0; order <= 3; order += 3) {
        unsigned blocks = 2048U >> order;
        for (unsigned i = 0; i < blocks; i++) { /* what is left of leaves that are partly used */
            assert_true(frame_alloc(&machine.pool, order, OWNER_TEST).raw != 0);
        }
        uint64_t refills = machine.pool.work.refills;
        for (unsigned i = 0; i < blocks; i++) {
            assert_true(frame_alloc(&machine.pool, order, OWNER_TEST).raw != 0);
        }
        assert_in_range(machine.pool.work.refills - refills, 1, 5);
        struct frame_problem problem;
        assert_true(frame_pool_check(&machine.pool, &problem));
    }
}

/* Larger blocks that were freed serve refills, too: what a refill leaves over always finds room. */
static void freed_blocks_serve_refills(void **state)
{
    (void)state;
    for (unsigned order = FRAME_STOCK_ORDER_MAX - 1; order <= FRAME_STOCK_ORDER_MAX; order++) {
        const struct frame_magazine *stock = &machine.pool.cpu[0].magazine[order];
        phys_addr_t blocks[8];
        frame_pool_drain(&machine.pool);
        for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
            blocks[i] = frame_alloc(&machine.pool, order, OWNER_TEST);
        }
        for (unsigned i = 0; frame_magazine_count(stock) < frame_magazine_capacity(stock); i++) {
            frame_free(&machine.pool, blocks[i], order);
        }
        uint64_t refills = machine.pool.work.refills;
        for (unsigned i = 0; i < 1U << order; i++) {
            assert_true(frame_alloc(&machine.pool, 0, OWNER_TEST).raw != 0);
        }
        assert_int_equal(machine.pool.work.refills, refills);
        assert_int_equal(frame_magazine_count(stock), frame_magazine_capacity(stock) - 1);
        struct frame_problem problem;
        assert_true(frame_pool_check(&machine.pool, &problem));
    }
}

#define ALL_FRAMES  (MIB(240) / FRAME_BYTES)
#define MOST_PIECES 2 /* that a refill takes */

/* Where memory is free in single frames, a refill takes several, and none twice. */
static void a_refill_takes_several_pieces(void **state)
{
    (void)state;
    static phys_addr_t frames[ALL_FRAMES];
    unsigned count = 0;
    while (count < ALL_FRAMES && (frames[count] = frame_alloc(&machine.pool, 0, OWNER_TEST)).raw != 0) {
        count++;
    }
    uint64_t freed = 0;
    for (unsigned i = 0; i < count; i++) {
        if (frames[i].raw >> FRAME_SHIFT & 1) {
            frame_free(&machine.pool, frames[i], 0);
            freed++;
        }
    }
    frame_pool_drain(&machine.pool);
    uint64_t refills = machine.pool.work.refills;
    for (uint64_t i = 0; i < freed; i++) {
        phys_addr_t frame = frame_alloc(&machine.pool, 0, OWNER_TEST);
        assert_int_equal(frame.raw >> FRAME_SHIFT & 1, 1);
        assert_true(frame_magazine_count(&machine.pool.cpu[0].magazine[0]) < MOST_PIECES);
    }
    assert_int_equal(frame_alloc(&machine.pool, 0, OWNER_TEST).raw, 0);
    assert_in_range(machine.pool.work.refills - refills, freed / MOST_PIECES,
                    freed / MOST_PIECES + ALL_FRAMES / 512); /* the last pieces of a leaf may be fewer */
}

static bool is_described(struct frame_pool *pool, phys_addr_t frame)
{
    spinlock_acquire(&pool->lock);
    bool backed = frame_is_backed(pool, frame.raw >> FRAME_SHIFT);
    spinlock_release(&pool->lock);
    return backed;
}

/* A piece whose descriptor is not backed waits for a refill of its own. */
static void a_refill_takes_only_pieces_that_are_described(void **state)
{
    (void)state;
    struct machine odd;
    machine_make(&odd, MIB(256));
    machine_range(&odd, MIB(32) + FRAME_BYTES, 299 * FRAME_BYTES, MEMORY_USABLE); /* pieces in two pages */
    machine_range(&odd, MIB(64), MIB(64), MEMORY_USABLE);
    assert_int_equal(machine_start(&odd, 1, NULL), FRAME_OK);
    unsigned there = 0;
    for (unsigned i = 0; i < 1024; i++) {
        phys_addr_t frame = frame_alloc(&odd.pool, 0, OWNER_TEST);
        assert_true(frame.raw != 0);
        assert_true(is_described(&odd.pool, frame));
        there += frame.raw < MIB(64);
    }
    assert_in_range(there, 250, 299);
    struct frame_problem problem;
    assert_true(frame_pool_check(&odd.pool, &problem));
    machine_destroy(&odd);
}

#define MAGAZINE_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MAGAZINE_TEST(neighbours_go_back_as_a_whole),
        MAGAZINE_TEST(frees_in_a_row_take_the_lock_seldom),
        MAGAZINE_TEST(a_checked_free_drains_nothing),
        MAGAZINE_TEST(a_free_gives_back_few_blocks),
        MAGAZINE_TEST(scattered_frames_are_merged_when_there_is_time),
        MAGAZINE_TEST(scattered_frames_are_merged_before_an_allocation_fails),
        MAGAZINE_TEST(scattered_frames_are_merged_before_some_are_taken),
        MAGAZINE_TEST(scattered_frames_are_merged_for_descriptors),
        MAGAZINE_TEST(a_leaf_is_whole_as_soon_as_all_of_it_is_free),
        MAGAZINE_TEST(a_scattered_frame_can_be_had_by_address),
        MAGAZINE_TEST(an_allocation_takes_few_pieces),
        MAGAZINE_TEST(a_refill_serves_the_next_ones),
        MAGAZINE_TEST(freed_blocks_serve_refills),
        MAGAZINE_TEST(a_refill_takes_several_pieces),
        MAGAZINE_TEST(a_refill_takes_only_pieces_that_are_described),
        MAGAZINE_TEST(large_blocks_come_together_where_they_are_described),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
