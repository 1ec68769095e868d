/*
 * What validators see whenever the world may stop. A CPU can be stopped where its preemption is on, so at
 * every moment in which it comes on again, the heap is looked at as a whole.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guard_fixture.h"
#include "reports.h"

static unsigned looks;

/* The validator's own locks are moments, too: it is not called from within itself. */
static void look(void)
{
    host_meanwhile = NULL;
    looks++;
    fixture_check(&fixture);
    host_meanwhile = look;
}

/* From here on the heap is looked at; returns how often it was since the last time. */
static unsigned watch(bool on)
{
    unsigned count = looks;
    looks = 0;
    host_meanwhile = on ? look : NULL;
    return count;
}

/* Leaves objects in the magazines of both CPUs, the depot and slabs, and `live` of them allocated. */
static void use(struct slab_cache *cache, unsigned count, unsigned live)
{
    static void *objects[4000];
    for (unsigned i = 0; i < count; i++) {
        host_cpu = i % 2;
        objects[i] = slab_cache_alloc(cache);
        assert_non_null(objects[i]);
    }
    for (unsigned i = live; i < count; i++) {
        host_cpu = i / 3 % 2;
        slab_cache_free(cache, objects[i]);
    }
    host_cpu = 0;
}

static void a_cache_that_ends_is_whole(void **state)
{
    (void)state;
    static const char *const rules[] = {NULL, "typed:all"};
    for (unsigned i = 0; i < ARRAY_LENGTH(rules); i++) {
        assert_int_equal(begin_with(rules[i]), 0);
        use(&typed, 2000, i == 0 ? 0 : 3);
        watch(true);
        assert_int_equal(slab_cache_destroy(&typed), i == 0 ? 0 : 3);
        assert_true(watch(false) > 50);
        use(&another, 900, 500);
        watch(true);
        assert_int_equal(slab_cache_destroy(&another), 500);
        assert_true(watch(false) > 20);
        assert_int_equal(fixture.reports, i == 0 ? 1 : 2);
        fixture.reports = 0;
        host_cpu = 0;
        /* Their slabs are lost, and so is the fixture's promise that all frames come back. */
        machine_destroy(&fixture.machine);
    }
}

static void reaping_is_whole(void **state)
{
    (void)state;
    assert_int_equal(begin_with("another:all"), 0);
    use(&typed, 3000, 10);
    use(&another, 300, 10);
    watch(true);
    slab_reap(&fixture.heap.slabs);
    slab_drain_cpu(&fixture.heap.slabs, 1);
    assert_true(watch(false) > 100);
    machine_destroy(&fixture.machine);
}

/* All that the heap does, a sample of it in guarded slots. */
static void whatever_the_heap_does_is_whole(void **state)
{
    (void)state;
    static const char *const rules[] = {NULL, "*:all"};
    static struct guard_fixture guard;
    for (unsigned i = 0; i < ARRAY_LENGTH(rules); i++) {
        assert_int_equal(begin_with(rules[i]), 0);
        assert_int_equal(guard_start(&guard, &fixture.heap.slabs, 8, 2), SLAB_OK);
        watch(true);
        char *blocks[40] = {NULL};
        for (unsigned step = 0; step < 400; step++) {
            char **block = &blocks[step * 7 % ARRAY_LENGTH(blocks)];
            *block = heap_resize(&fixture.heap, *block, step * 997 % (step % 5 == 0 ? 90000 : 3000));
            assert_non_null(*block);
        }
        for (unsigned j = 0; j < ARRAY_LENGTH(blocks); j++) {
            heap_free(&fixture.heap, blocks[j]);
        }
        use(&typed, 100, 1);
        slab_cache_destroy(&typed);
        assert_true(watch(false) > 400);
        fixture.reports = 0;
        slab_cache_destroy(&another);
        guard_stop(&guard);
        machine_destroy(&fixture.machine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cache_that_ends_is_whole),
        cmocka_unit_test(reaping_is_whole),
        cmocka_unit_test(whatever_the_heap_does_is_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
