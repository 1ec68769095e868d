/* Runs that may start at any frame: where they are found, and what their parts are. Over both policies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "mm/frame/internal.h"

#define MACHINE_FRAMES 4096

static struct machine machine;
static phys_addr_t singles[MACHINE_FRAMES];

static int begin(void **state)
{
    const struct frame_policy *policy = *state;
    uint64_t bytes = (uint64_t)MACHINE_FRAMES << FRAME_SHIFT;
    machine_make(&machine, bytes);
    machine_range(&machine, MIB(1), bytes - MIB(1), MEMORY_USABLE);
    struct frame_config config = machine_config(&machine, 1, policy);
    assert_int_equal(frame_pool_init(&machine.pool, &config), FRAME_OK);
    assert_int_equal(frame_pool_back(&machine.pool, phys_addr(0), bytes), FRAME_OK);
    return 0;
}

static int end(void **state)
{
    (void)state;
    machine_destroy(&machine);
    return 0;
}

static void check(void)
{
    struct frame_problem problem;
    assert_true(frame_pool_check(&machine.pool, &problem));
}

/* A run, its first frame; 0 when there is none. */
static uint64_t take(uint64_t frames, uint64_t alignment, uint64_t limit)
{
    struct frame_request request = {
        .frames = frames, .alignment = alignment, .limit = limit << FRAME_SHIFT, .owner = OWNER_TEST};
    phys_addr_t run = FRAME_NONE;
    enum frame_error error = frame_alloc_request(&machine.pool, &request, &run);
    assert_true(error == FRAME_OK || (error == FRAME_NO_MEMORY && run.raw == 0));
    check();
    return run.raw >> FRAME_SHIFT;
}

static void give(uint64_t first, uint64_t frames)
{
    frame_free_run(&machine.pool, phys_addr(first << FRAME_SHIFT), frames);
    check();
}

/* Takes all frames one by one, and gives [first, first + frames) back. */
static void leave(uint64_t first, uint64_t frames)
{
    for (unsigned i = 0; (singles[i] = frame_alloc(&machine.pool, 0, OWNER_TEST)).raw != 0; i++) {
    }
    for (uint64_t frame = first; frame < first + frames; frame++) {
        frame_free(&machine.pool, phys_addr(frame << FRAME_SHIFT), 0);
    }
    frame_pool_drain(&machine.pool);
    check();
}

static void runs_lie_one_behind_the_other(void **state)
{
    (void)state;
    uint64_t first = take(33, FRAME_BYTES, 0);
    for (unsigned i = 1; i < 40; i++) {
        assert_int_equal(take(33, FRAME_BYTES, 0), first + 33 * i);
    }
    assert_int_equal(take(33, 0, 0) % 32, 0);
    assert_int_equal(take(33, KIB(64), 0) % 16, 0);
    for (unsigned i = 0; i < 40; i++) {
        give(first + 33 * i, 33);
    }
}

static void free_neighbours_make_a_run(void **state)
{
    (void)state;
    leave(1001, 33);
    uint64_t before = frame_pool_free(&machine.pool);
    assert_int_equal(take(33, 0, 0), 0);              /* not where it would have to be aligned */
    assert_int_equal(take(34, FRAME_BYTES, 0), 0);    /* not one longer */
    assert_int_equal(take(33, FRAME_BYTES, 1033), 0); /* nor below a limit in it */
    assert_int_equal(frame_pool_free(&machine.pool), before);
    assert_int_equal(take(33, FRAME_BYTES, 1034), 1001);
    assert_int_equal(frame_pool_free(&machine.pool), before - 33);
    give(1001, 33);
    assert_int_equal(frame_pool_free(&machine.pool), before);
}

/* Behind the last frame there is nothing that could be a part of the run. */
static void a_run_may_end_where_memory_ends(void **state)
{
    (void)state;
    leave(MACHINE_FRAMES - 3, 3);
    uint64_t first = take(3, FRAME_BYTES, 0);
    assert_int_equal(first, MACHINE_FRAMES - 3);
    assert_true(frame_put(&machine.pool, phys_addr(first << FRAME_SHIFT)));
    assert_int_equal(take(3, FRAME_BYTES, 0), first);
    give(first, 3);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    struct frame_pool *pool = &machine.pool;
    leave(1001, 50);
    uint64_t first = take(33, FRAME_BYTES, 0); /* 1, 2, 4, 16, 8 and 2 frames: 1001 to 1033 */
    phys_addr_t run = phys_addr(first << FRAME_SHIFT);
    assert_int_equal(first, 1001);
    assert_int_equal(take(17, FRAME_BYTES, 0), 1034);
    for (uint64_t frames = 0; frames < 51; frames++) {
        if (frames != 33) {
            assert_int_not_equal(frame_try_free_run(pool, run, frames), FRAME_OK);
        }
    }
    assert_int_equal(frame_try_free_run(pool, run, 35), FRAME_WRONG_LENGTH);
    assert_int_equal(frame_try_free_run(pool, run, 31), FRAME_WRONG_LENGTH);
    for (uint64_t i = 1; i < 33; i++) {
        assert_int_equal(frame_try_free_run(pool, phys_addr((first + i) << FRAME_SHIFT), 33),
                         FRAME_PART_OF_BLOCK);
    }
    /* A part that rises after one that fell is part of no run. */
    struct frame_problem problem;
    struct frame_descriptor *parts = frame_descriptor(pool, phys_addr(1034ULL << FRAME_SHIFT));
    uint32_t tag = atomic_load(&parts[0].tag);
    atomic_store(&parts[0].tag, frame_tag(FRAME_RUN_PART, frame_tag_order(tag), 1));
    assert_false(frame_pool_check(pool, &problem));
    assert_string_equal(problem.what, "part of a run without the one before");
    atomic_store(&parts[0].tag, tag);
    assert_int_equal(frame_try_free_run(pool, run, 33), FRAME_OK);
    give(1034, 17);
}

#define BOTH(test)                                                                                           \
    cmocka_unit_test_prestate_setup_teardown(test, begin, end, (void *)&frame_policy_buddy),                 \
        cmocka_unit_test_prestate_setup_teardown(test, begin, end, (void *)&frame_policy_bitmap)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(runs_lie_one_behind_the_other),
        BOTH(free_neighbours_make_a_run),
        BOTH(a_run_may_end_where_memory_ends),
        BOTH(mistakes_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
