/*
 * How long the locks of the heap and its caches are held, however many objects there are and however long
 * they are: no longer than two magazines take, or the depot's look.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "tests/host/support/counted.h"

#define HOLD_MAX 2000 /* branches of the longest hold allowed */
#define OBJECTS  200000

static struct heap_fixture fixture;
static void *objects[OBJECTS];

static void allocate(uint64_t bytes, unsigned count)
{
    count_begin();
    for (unsigned i = 0; i < count; i++) {
        objects[i] = heap_alloc(&fixture.heap, bytes);
        assert_non_null(objects[i]);
    }
    count_end("allocating", "objects", HOLD_MAX);
}

/* Each second one before the others, so that most slabs are partly free for long. */
static void release(unsigned count)
{
    count_begin();
    for (unsigned first = 0; first < 2; first++) {
        for (unsigned i = first; i < count; i += 2) {
            heap_free(&fixture.heap, objects[i]);
        }
    }
    count_end("freeing", "objects", HOLD_MAX);
}

static bool look_at(void *context, struct slab_cache *cache)
{
    struct slab_statistics statistics;
    slab_cache_statistics(cache, &statistics);
    *(uint64_t *)context += statistics.live;
    return true;
}

static void look_at_caches(uint64_t live)
{
    uint64_t found = 0;
    count_begin();
    slab_for_each_cache(&fixture.heap.slabs, look_at, &found);
    count_end("statistics", "objects", HOLD_MAX);
    assert_int_equal(found, live);
}

static void reap(void)
{
    count_begin();
    slab_reap(&fixture.heap.slabs);
    count_end("reaping", "objects", HOLD_MAX);
}

static void no_hold_grows_with_the_objects(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        unsigned count;
    } kinds[] = {{16, OBJECTS}, {64, OBJECTS}, {1024, OBJECTS / 2}, {KIB(8), OBJECTS / 20}};
    for (unsigned i = 0; i < ARRAY_LENGTH(kinds); i++) {
        assert_int_equal(fixture_start(&fixture, HEAP_MACHINE_BYTES, 1, NULL), SLAB_OK);
        allocate(kinds[i].bytes, kinds[i].count);
        look_at_caches(kinds[i].count);
        reap();
        release(kinds[i].count);
        look_at_caches(0);
        reap();
        fixture_stop(&fixture);
    }
}

static void no_hold_grows_with_a_block(void **state)
{
    (void)state;
    static const uint64_t bytes[] = {KIB(40), MIB(1), MIB(5), MIB(33)};
    assert_int_equal(fixture_start(&fixture, HEAP_MACHINE_BYTES, 1, NULL), SLAB_OK);
    for (unsigned i = 0; i < ARRAY_LENGTH(bytes); i++) {
        count_begin();
        void *block = heap_alloc(&fixture.heap, bytes[i]);
        assert_non_null(block);
        block = heap_resize(&fixture.heap, block, bytes[i] + bytes[i] / 4);
        assert_non_null(block);
        heap_free(&fixture.heap, block);
        count_end("a large block", "its length", HOLD_MAX);
    }
    fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_hold_grows_with_the_objects),
        cmocka_unit_test(no_hold_grows_with_a_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
