/*
 * What needs memory for descriptors fails when there is none, for every amount of memory that is left, and
 * changes nothing then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fixture.h"
#include "tests/host/support/host.h"

static struct machine machine;

/* A machine of `frames` frames at 16 MiB and two at 32 MiB, far from each other's descriptors. */
static void tiny_machine(struct machine *tiny, uint64_t frames)
{
    memset(tiny, 0, sizeof *tiny);
    machine_make(tiny, MIB(64));
    machine_range(tiny, MIB(16), frames * FRAME_BYTES, MEMORY_USABLE);
    machine_range(tiny, MIB(32), FRAME_BYTES * 2, MEMORY_USABLE);
    assert_int_equal(machine_start(tiny, 1, NULL), FRAME_OK);
}

static void descriptors_may_lie_beside_what_they_describe(void **state)
{
    (void)state;
    static struct machine tiny;
    struct frame_problem problem;
    tiny_machine(&tiny, 128);
    phys_addr_t block = frame_alloc(&tiny.pool, 0, OWNER_TEST);
    assert_true(block.raw != 0 && block.raw < MIB(17));
    assert_int_equal(tiny.pages_mapped, 1);
    assert_true(frame_pool_check(&tiny.pool, &problem));
    machine_destroy(&tiny);
}

static unsigned map_with_too_many_tables(void *context, void *page, phys_addr_t frame,
                                         const phys_addr_t *tables)
{
    (void)context;
    (void)page;
    (void)frame;
    (void)tables;
    return FRAME_TABLES_MAX + 1;
}

/* A backing that uses more page tables than it was given would have written behind them. */
static void a_backing_that_lies_is_noticed(void **state)
{
    (void)state;
    static struct machine tiny;
    struct host_panic_trap trap;
    volatile bool panicked;
    tiny_machine(&tiny, 128);
    tiny.pool.config.backing.map = map_with_too_many_tables;
    CATCH_PANIC(trap, panicked, (void)frame_alloc(&tiny.pool, 0, OWNER_TEST));
    assert_true(panicked);
    assert_non_null(strstr(trap.message, "backing used"));
    machine_destroy(&tiny);
}

static void without_memory_for_descriptors_nothing_changes(void **state)
{
    (void)state;
    static struct machine tiny;
    struct frame_problem problem;
    struct frame_ledger before;
    struct frame_ledger after;
    tiny_machine(&tiny, 128);
    struct frame_request request = {.frames = 1, .owner = OWNER_TEST};
    phys_addr_t address;
    while (frame_pool_free(&tiny.pool) > 2) {
        assert_int_equal(frame_alloc_request(&tiny.pool, &request, &address), FRAME_OK);
        assert_true(address.raw < MIB(17));
    }
    memset(tiny.pool.reserve, 0, sizeof tiny.pool.reserve); /* used up */
    frame_pool_ledger(&tiny.pool, &before);
    address = FRAME_NONE;
    request.frames = 2;
    assert_int_equal(frame_alloc(&tiny.pool, 0, OWNER_TEST).raw, 0);
    assert_int_equal(frame_alloc(&tiny.pool, 1, OWNER_TEST).raw, 0);
    assert_int_equal(frame_alloc_request(&tiny.pool, &request, &address), FRAME_NO_MEMORY);
    assert_int_equal(frame_alloc_at(&tiny.pool, phys_addr(MIB(32)), 0, OWNER_TEST), FRAME_NO_MEMORY);
    assert_int_equal(frame_alloc_batch(&tiny.pool, 1, &address, OWNER_TEST), 0);
    assert_false(frame_pool_idle(&tiny.pool));
    assert_int_equal(frame_pool_back(&tiny.pool, phys_addr(MIB(32)), FRAME_BYTES), FRAME_NO_MEMORY);
    assert_int_equal(address.raw, 0);
    frame_pool_ledger(&tiny.pool, &after);
    assert_memory_equal(&before, &after, sizeof before);
    assert_true(frame_pool_check(&tiny.pool, &problem));
    machine_destroy(&tiny);
}

/* ---- With n frames left, n = 0, 1, ... until it succeeds ---- */

#define NEAR MIB(16) /* where what is left lies; its descriptors are backed */
#define FAR  MIB(32) /* where memory is wanted; of its descriptors none are, or one page */

static phys_addr_t near_frames[256];

/* One thing to do in the far range, which is all free before prepare(). */
struct attempt {
    uint64_t far_frames;
    phys_addr_t (*prepare)(void); /* with memory; its result is handed on; or NULL */
    enum frame_error (*run)(phys_addr_t prepared);
};

static void start_far(uint64_t far_frames, const struct frame_policy *policy)
{
    memset(&machine, 0, sizeof machine);
    machine_make(&machine, MIB(64));
    machine_range(&machine, NEAR, MIB(1), MEMORY_USABLE);
    machine_range(&machine, FAR, far_frames * FRAME_BYTES, MEMORY_USABLE);
    struct frame_config config = machine_config(&machine, 1, policy);
    config.no_magazines = true;
    assert_int_equal(frame_pool_init(&machine.pool, &config), FRAME_OK);
}

/* Takes all near memory but `left` neighbours; whether there are so many. */
static bool starve(uint64_t left)
{
    struct frame_request request = {.frames = 1, .limit = FAR, .owner = OWNER_OTHER, .try_only = true};
    unsigned count = 0;
    while (frame_alloc_request(&machine.pool, &request, &near_frames[count]) == FRAME_OK) {
        count++;
    }
    memset(machine.pool.reserve, 0, sizeof machine.pool.reserve); /* used up */
    for (unsigned i = 0; i < left && i < count; i++) {
        frame_free(&machine.pool, phys_addr(NEAR + MIB(1) - (i + 1) * FRAME_BYTES), 0);
    }
    return left <= count;
}

/* Descriptors may have got memory before it failed: nothing else has changed hands. */
static void expect_unchanged(struct frame_ledger *before)
{
    struct frame_ledger after;
    frame_pool_ledger(&machine.pool, &after);
    uint64_t descriptors = after.owner_bytes[OWNER_DESCRIPTORS] - before->owner_bytes[OWNER_DESCRIPTORS];
    before->owner_bytes[OWNER_DESCRIPTORS] += descriptors;
    before->free_bytes -= descriptors;
    assert_memory_equal(before, &after, sizeof after);
    assert_true(machine_is_sound(&machine));
}

static enum frame_error try_with(const struct attempt *attempt, uint64_t left,
                                 const struct frame_policy *policy)
{
    struct frame_ledger before;
    start_far(attempt->far_frames, policy);
    phys_addr_t prepared = attempt->prepare ? attempt->prepare() : FRAME_NONE;
    assert_true(starve(left));
    frame_pool_ledger(&machine.pool, &before);
    enum frame_error error = attempt->run(prepared);
    if (error == FRAME_OK) {
        assert_true(machine_is_sound(&machine));
    } else {
        assert_int_equal(error, FRAME_NO_MEMORY);
        expect_unchanged(&before);
    }
    machine_destroy(&machine);
    return error;
}

/* 4095 frames: twelve blocks, whose descriptors are on five pages. */
static enum frame_error run_of_frames(phys_addr_t prepared)
{
    (void)prepared;
    phys_addr_t run = FRAME_NONE;
    struct frame_request request = {.frames = 4095, .owner = OWNER_TEST};
    enum frame_error error = frame_alloc_request(&machine.pool, &request, &run);
    assert_true((error == FRAME_OK) == (run.raw == FAR));
    return error;
}

static enum frame_error block_at(phys_addr_t prepared)
{
    (void)prepared;
    return frame_alloc_at(&machine.pool, phys_addr(FAR), 3, OWNER_TEST);
}

static enum frame_error back(phys_addr_t prepared)
{
    (void)prepared;
    return frame_pool_back(&machine.pool, phys_addr(FAR), MIB(8));
}

static phys_addr_t far_block(void)
{
    assert_int_equal(frame_alloc_at(&machine.pool, phys_addr(FAR), 11, OWNER_TEST), FRAME_OK);
    return phys_addr(FAR);
}

/* 2048 frames: eight pages of descriptors, of which there is one. */
static enum frame_error split(phys_addr_t block)
{
    return frame_split(&machine.pool, block);
}

static void fail_until_it_works(const struct frame_policy *policy)
{
    static const struct attempt attempts[] = {
        {4096, NULL, run_of_frames},
        {8, NULL, block_at},
        {4, NULL, back},
        {2048, far_block, split},
    };
    for (unsigned i = 0; i < ARRAY_LENGTH(attempts); i++) {
        uint64_t left = 0;
        while (try_with(&attempts[i], left, policy) != FRAME_OK) {
            left++;
        }
        assert_in_range(left, 8, 24); /* at least one block of the reserve */
    }
}

static void every_failure_leaves_all_as_it_was(void **state)
{
    (void)state;
    fail_until_it_works(&frame_policy_buddy);
    fail_until_it_works(&frame_policy_bitmap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_may_lie_beside_what_they_describe),
        cmocka_unit_test(a_backing_that_lies_is_noticed),
        cmocka_unit_test(without_memory_for_descriptors_nothing_changes),
        cmocka_unit_test(every_failure_leaves_all_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
