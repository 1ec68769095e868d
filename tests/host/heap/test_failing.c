/* Allocations that fail on purpose (<ashlar/failing.h>): the one that was said, in each function that
 * allocates, of the thread that said it. */
#include <ashlar/failing.h>

#include "reports.h"

/* Each allocates once, gives it back, and tells whether it got something. */
static bool by_alloc(void)
{
    void *block = heap_alloc(&fixture.heap, 100);
    heap_free(&fixture.heap, block);
    return block != NULL;
}

static bool by_zeroed(void)
{
    void *block = heap_alloc_zeroed(&fixture.heap, 100);
    heap_free(&fixture.heap, block);
    return block != NULL;
}

static bool by_large(void)
{
    void *block = heap_alloc(&fixture.heap, MIB(1));
    heap_free(&fixture.heap, block);
    return block != NULL;
}

static bool by_resize(void)
{
    void *block = heap_resize(&fixture.heap, NULL, 100);
    heap_free(&fixture.heap, block);
    return block != NULL;
}

static bool by_cache(void)
{
    void *object = slab_cache_alloc(&typed);
    if (object) {
        slab_cache_free(&typed, object);
    }
    return object != NULL;
}

static bool freed(phys_addr_t frame)
{
    if (frame.raw != 0) {
        frame_free(&fixture.machine.pool, frame, 0);
    }
    return frame.raw != 0;
}

static bool by_frame(void)
{
    return freed(frame_alloc(&fixture.machine.pool, 0, OWNER_TEST));
}

static bool by_zeroed_frame(void)
{
    return freed(frame_alloc_zeroed(&fixture.machine.pool, OWNER_TEST));
}

static bool by_request(void)
{
    const struct frame_request request = {.frames = 1, .owner = OWNER_TEST};
    phys_addr_t frame = FRAME_NONE;
    enum frame_error error = frame_alloc_request(&fixture.machine.pool, &request, &frame);
    assert_true(error == FRAME_OK || error == FRAME_NO_MEMORY);
    return freed(frame);
}

static bool by_batch(void)
{
    phys_addr_t frame = FRAME_NONE;
    assert_int_equal(frame_alloc_batch(&fixture.machine.pool, 1, &frame, OWNER_TEST), frame.raw != 0);
    return freed(frame);
}

static bool (*const ways[])(void) = {by_alloc, by_zeroed,       by_large,   by_resize, by_cache,
                                     by_frame, by_zeroed_frame, by_request, by_batch};

static void the_next_allocation_fails(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LENGTH(ways); i++) {
        assert_true(failing_begin((struct failing_plan){.nth = 1, .rest = true}));
        assert_false(ways[i]());
        assert_false(ways[i]());
        assert_true(failing_end() >= 2);
        assert_true(ways[i]());
    }
}

static void only_the_nth_fails(void **state)
{
    (void)state;
    assert_true(by_alloc()); /* so that each takes one object that lies ready */
    assert_true(failing_begin((struct failing_plan){.nth = 3}));
    assert_true(by_alloc());
    assert_true(by_alloc());
    assert_false(by_alloc());
    assert_true(by_alloc());
    assert_int_equal(failing_end(), 1);
    assert_true(failing_begin((struct failing_plan){.nth = 0}));
    assert_true(by_alloc());
    assert_int_equal(failing_end(), 0);
}

/* frame_alloc_must() is for those who cannot go on without. */
static void what_must_be_had_is_had(void **state)
{
    (void)state;
    assert_true(failing_begin((struct failing_plan){.nth = 1, .rest = true}));
    assert_true(freed(frame_alloc_must(&fixture.machine.pool, 0, OWNER_TEST)));
    assert_int_equal(failing_end(), 0);
}

static void other_threads_get_theirs(void **state)
{
    (void)state;
    assert_true(failing_begin((struct failing_plan){.nth = 1, .rest = true}));
    host_cpu = 1;
    assert_true(by_frame());
    assert_false(failing_begin((struct failing_plan){.nth = 1}));
    assert_int_equal(failing_end(), 0); /* it is not its own */
    host_cpu = 0;
    assert_false(by_frame());
    assert_int_equal(failing_end(), 1);
}

static int begin_with_two_cpus(void **state)
{
    (void)state;
    return fixture_start(&fixture, HEAP_MACHINE_BYTES, 2, NULL) != SLAB_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TYPED_TEST(the_next_allocation_fails),
        TEST(only_the_nth_fails),
        TEST(what_must_be_had_is_had),
        cmocka_unit_test_setup_teardown(other_threads_get_theirs, begin_with_two_cpus, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
