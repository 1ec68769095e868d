/* What a CPU that rests does when another one has asked for what its magazines hold. */
#include "tests/host/heap/reports.h"

#define OBJECTS 100

static void use_objects(struct slab_cache *cache)
{
    void *objects[OBJECTS];
    for (unsigned i = 0; i < OBJECTS; i++) {
        objects[i] = slab_cache_alloc(cache);
        assert_non_null(objects[i]);
    }
    for (unsigned i = 0; i < OBJECTS; i++) {
        slab_cache_free(cache, objects[i]);
    }
}

static uint64_t slabs_of(struct slab_cache *cache)
{
    struct slab_statistics statistics;
    slab_cache_statistics(cache, &statistics);
    return statistics.slabs;
}

static void an_idle_cpu_gives_up_what_it_is_asked_for(void **state)
{
    (void)state;
    static struct slab_cache one;
    static struct slab_cache other;
    struct slab_pool *pool = &fixture.heap.slabs;
    make(&one, "one", 1000, 0);
    make(&other, "other", 300, 0);
    host_cpu = 1;
    assert_false(slab_idle(pool)); /* nobody has asked */
    use_objects(&one);
    use_objects(&other);
    assert_false(slab_idle(pool));
    host_cpu = 0;
    slab_reap(pool);
    assert_true(slab_others_hold(pool));
    assert_true(slabs_of(&one) > 0 && slabs_of(&other) > 0);
    host_cpu = 1;
    unsigned pieces = 0;
    while (slab_idle(pool)) { /* a cache at a time */
        pieces++;
    }
    assert_true(pieces >= 2);
    assert_int_equal(slabs_of(&one) + slabs_of(&other), 0);
    host_cpu = 0;
    assert_false(slab_others_hold(pool));
    host_cpu = 1;
    use_objects(&one);
    assert_false(slab_idle(pool)); /* that was all */
    host_cpu = 0;
    fixture_check(&fixture);
    slab_cache_destroy(&one);
    slab_cache_destroy(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_idle_cpu_gives_up_what_it_is_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
