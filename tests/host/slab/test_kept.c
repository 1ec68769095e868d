/* How many empty slabs a cache keeps. */
#include "tests/host/heap/reports.h"

static void *burst[200000];

/* Allocates and frees `count` objects; returns how many slabs were made. */
static uint64_t run_burst(struct slab_cache *cache, unsigned count)
{
    struct slab_statistics before;
    struct slab_statistics after;
    slab_cache_statistics(cache, &before);
    for (unsigned i = 0; i < count; i++) {
        burst[i] = slab_cache_alloc(cache);
        assert_non_null(burst[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        slab_cache_free(cache, burst[i]);
    }
    slab_cache_statistics(cache, &after);
    return after.grown - before.grown;
}

/* What comes and goes again and again makes few slabs in the end; what does not come again is given back. */
static void empty_slabs_stay_as_they_are_used(void **state)
{
    (void)state;
    static struct slab_cache cache;
    struct slab_statistics statistics;
    make(&cache, "bursts", 56, 0);
    unsigned count = (unsigned)(cache.depot_limit + 2) * cache.capacity + 10 * cache.per_slab;
    assert_true(run_burst(&cache, count) > 10);
    assert_true(run_burst(&cache, count) > 1);
    uint64_t made = 0;
    for (unsigned i = 0; i < 20; i++) {
        made += run_burst(&cache, count);
    }
    assert_in_range(made, 0, 30); /* of 140, and in each of some bursts it is tried with fewer */
    slab_cache_statistics(&cache, &statistics);
    assert_in_range(statistics.empty_slabs, 3, cache.keep_limit);
    assert_true(count * 10 < ARRAY_LENGTH(burst));
    run_burst(&cache, ARRAY_LENGTH(burst));
    slab_cache_statistics(&cache, &statistics);
    assert_in_range(statistics.empty_slabs, 0, 1);
    /* Memory that the pool wants back does not stay. */
    run_burst(&cache, count);
    run_burst(&cache, count);
    slab_reap(&fixture.heap.slabs);
    slab_cache_statistics(&cache, &statistics);
    assert_int_equal(statistics.slabs, 0);
    assert_int_equal(cache.keep, 1);
    fixture_check(&fixture);
    slab_cache_destroy(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(empty_slabs_stay_as_they_are_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
