/* Slab caches: layout, constructors, magazines and slabs, giving memory back, statistics, the validator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "mm/slab/internal.h"
#include "tests/host/heap/reports.h"
#include "tests/host/support/random.h"

#define OBJECTS 5000

static void objects_are_distinct_aligned_and_hold_their_content(void **state)
{
    (void)state;
    static const uint32_t layouts[][2] = {{1, 0},    {8, 0},     {13, 16},     {56, 64},     {64, 64},
                                          {200, 0},  {200, 128}, {1000, 0},    {4096, 4096}, {5000, 32},
                                          {9000, 0}, {16384, 8}, {16384, 4096}};
    static uint8_t *objects[300];
    for (size_t i = 0; i < ARRAY_LENGTH(layouts); i++) {
        static struct slab_cache cache;
        uint32_t bytes = layouts[i][0];
        make(&cache, "layout", bytes, layouts[i][1]);
        for (size_t j = 0; j < ARRAY_LENGTH(objects); j++) {
            objects[j] = slab_cache_alloc(&cache);
            assert_non_null(objects[j]);
            assert_true(is_aligned((uintptr_t)objects[j], max_u64(layouts[i][1], 8)));
            memset(objects[j], (int)(j * 7 + 1), bytes);
        }
        for (size_t j = 0; j < ARRAY_LENGTH(objects); j++) {
            for (uint32_t k = 0; k < bytes; k++) {
                assert_int_equal(objects[j][k], (uint8_t)(j * 7 + 1));
            }
        }
        fixture_check(&fixture);
        struct slab_statistics statistics;
        slab_cache_statistics(&cache, &statistics);
        assert_int_equal(statistics.live, ARRAY_LENGTH(objects));
        for (size_t j = 0; j < ARRAY_LENGTH(objects); j++) {
            slab_cache_free(&cache, objects[j]);
        }
        fixture_check(&fixture);
        assert_int_equal(slab_cache_destroy(&cache), 0);
        assert_int_equal(fixture.reports, 0);
    }
}

static void impossible_caches_are_refused(void **state)
{
    (void)state;
    static struct slab_cache cache;
    struct slab_pool *pool = &fixture.heap.slabs;
    struct slab_cache_config config = {.name = "x", .bytes = 0};
    assert_int_equal(slab_cache_init(pool, &cache, &config), SLAB_BAD_SIZE);
    config.bytes = SLAB_OBJECT_MAX + 1;
    assert_int_equal(slab_cache_init(pool, &cache, &config), SLAB_BAD_SIZE);
    config.bytes = 8;
    config.alignment = 24;
    assert_int_equal(slab_cache_init(pool, &cache, &config), SLAB_BAD_ALIGNMENT);
    config.alignment = 2 * SLAB_ALIGNMENT_MAX;
    assert_int_equal(slab_cache_init(pool, &cache, &config), SLAB_BAD_ALIGNMENT);
    config.alignment = 8;
    config.name = "";
    assert_int_equal(slab_cache_init(pool, &cache, &config), SLAB_BAD_NAME);
    config.name = "a name of far too many letters";
    assert_int_equal(slab_cache_init(pool, &cache, &config), SLAB_BAD_NAME);
    config.name = "heap-64";
    assert_int_equal(slab_cache_init(pool, &cache, &config), SLAB_BAD_NAME);
    config.name = NULL;
    assert_int_equal(slab_cache_init(pool, &cache, &config), SLAB_BAD_NAME);
    assert_string_equal(slab_error_name(SLAB_BAD_NAME), "name that is empty, too long or taken");
}

/* Not even when the structure was cleared, or the cache is to have another name. */
static void what_is_in_use_is_not_made_again(void **state)
{
    (void)state;
    static struct slab_cache cache;
    struct slab_pool *pool = &fixture.heap.slabs;
    const struct slab_pool_config pool_config = pool->config;
    const struct heap_config heap_config = {.slabs = pool_config};
    const struct slab_cache_config config = {.name = "once", .bytes = 40};
    const struct slab_cache_config other = {.name = "twice", .bytes = 80};
    assert_int_equal(slab_cache_init(pool, &cache, &config), SLAB_OK);
    void *object = slab_cache_alloc(&cache);
    assert_true(slab_cache_in_use(pool, &cache) && slab_pool_in_use(pool, pool->config.frames));
    assert_int_equal(slab_cache_init(pool, &cache, &config), SLAB_IN_USE);
    assert_int_equal(slab_cache_init(pool, &cache, &other), SLAB_IN_USE);
    assert_int_equal(slab_pool_init(pool, &pool_config), SLAB_IN_USE);
    assert_int_equal(heap_init(&fixture.heap, &heap_config), SLAB_IN_USE);
    assert_string_equal(slab_error_name(SLAB_IN_USE), "made already, and not destroyed");
    struct slab_problem problem;
    assert_true(slab_check(pool, &problem)); /* nothing has changed */
    const struct slab_cache before = cache;
    memset(&cache, 0, sizeof cache);
    assert_int_equal(slab_cache_init(pool, &cache, &other), SLAB_IN_USE);
    cache = before;
    slab_cache_free(&cache, object);
    slab_cache_destroy(&cache);
    assert_false(slab_cache_in_use(pool, &cache));
    assert_int_equal(slab_cache_init(pool, &cache, &other), SLAB_OK);
    slab_cache_destroy(&cache);
}

static void only_so_many_caches(void **state)
{
    (void)state;
    static struct slab_cache caches[SLAB_CACHES_MAX];
    struct slab_pool *pool = &fixture.heap.slabs;
    unsigned count = 0;
    enum slab_error error;
    do {
        char name[SLAB_NAME_BYTES];
        snprintf(name, sizeof name, "many-%u", count);
        struct slab_cache_config config = {.name = name, .bytes = 32};
        error = slab_cache_init(pool, &caches[count], &config);
        count += error == SLAB_OK;
    } while (error == SLAB_OK);
    assert_int_equal(error, SLAB_TOO_MANY);
    assert_int_equal(count, SLAB_CACHES_MAX - HEAP_CLASSES - 1);
    while (count > 0) {
        assert_int_equal(slab_cache_destroy(&caches[--count]), 0);
    }
}

static unsigned constructed;

struct thing {
    struct thing *self; /* its own address, once constructed */
    uint64_t zero;      /* 0 while nobody uses it */
};

static void construct_thing(void *object)
{
    struct thing *thing = object;
    *thing = (struct thing){thing, 0};
    constructed++;
}

static void constructor_runs_once_for_each_place(void **state)
{
    (void)state;
    static struct slab_cache cache;
    struct slab_cache_config config = {
        .name = "thing", .bytes = sizeof(struct thing), .construct = construct_thing};
    constructed = 0;
    assert_int_equal(slab_cache_init(&fixture.heap.slabs, &cache, &config), SLAB_OK);
    for (unsigned round = 0; round < 10 * OBJECTS; round++) {
        struct thing *thing = slab_cache_alloc(&cache);
        assert_ptr_equal(thing->self, thing);
        assert_int_equal(thing->zero, 0);
        slab_cache_free(&cache, thing);
    }
    struct slab_statistics statistics;
    slab_cache_statistics(&cache, &statistics);
    assert_int_equal(constructed, statistics.grown * cache.per_slab);
    assert_int_equal(statistics.grown, 1);
    slab_cache_destroy(&cache);
}

static void empty_slabs_are_returned(void **state)
{
    (void)state;
    static void *objects[OBJECTS];
    static struct slab_cache cache;
    make(&cache, "returned", 200, 0);
    for (unsigned i = 0; i < OBJECTS; i++) {
        objects[i] = slab_cache_alloc(&cache);
    }
    uint64_t used = frame_pool_free(&fixture.machine.pool);
    for (unsigned i = 0; i < OBJECTS; i++) {
        slab_cache_free(&cache, objects[i]);
    }
    uint64_t slabs = (OBJECTS + cache.per_slab - 1) / cache.per_slab;
    assert_true(slab_reap(&fixture.heap.slabs) <= slabs);
    struct slab_statistics statistics;
    slab_cache_statistics(&cache, &statistics);
    assert_int_equal(statistics.slabs, 0);
    assert_true(frame_pool_free(&fixture.machine.pool) - used >= slabs);
    slab_cache_destroy(&cache);
}

/* Frees 90 % at random: of the slabs that hold no live object, most must be back without being asked for. */
static void most_of_what_is_unused_is_returned(void **state)
{
    (void)state;
    static void *objects[40 * OBJECTS];
    uint64_t random = 99;
    static struct slab_cache cache;
    make(&cache, "sparse", 56, 0);
    for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
        objects[i] = slab_cache_alloc(&cache);
    }
    uint64_t live = ARRAY_LENGTH(objects);
    for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
        if (random_next(&random) % 10 != 0) {
            slab_cache_free(&cache, objects[i]);
            objects[i] = NULL;
            live--;
        }
    }
    slab_reap(&fixture.heap.slabs);
    struct slab_statistics statistics;
    slab_cache_statistics(&cache, &statistics);
    assert_int_equal(statistics.live, live);
    assert_int_equal(statistics.empty_slabs, 0);
    assert_int_equal(statistics.cached, 0);
    fixture_check(&fixture);
    for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
        slab_cache_free(&cache, objects[i]);
    }
    slab_cache_destroy(&cache);
}

static void places_in_a_slab_are_random(void **state)
{
    (void)state;
    static struct slab_cache cache;
    make(&cache, "random", 56, 0);
    char *before = slab_cache_alloc(&cache);
    char *objects[60];
    for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
        objects[i] = slab_cache_alloc(&cache);
    }
    /* Two caches alike begin at different places. */
    static struct slab_cache other;
    make(&other, "random-2", 56, 0);
    unsigned same = 0;
    char *others[30];
    for (unsigned i = 0; i < ARRAY_LENGTH(others); i++) {
        others[i] = slab_cache_alloc(&other);
        same += ((uintptr_t)others[i] & 4095) == ((uintptr_t)objects[i] & 4095);
    }
    assert_true(same < 15);
    slab_cache_free(&cache, before);
    for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
        slab_cache_free(&cache, objects[i]);
    }
    for (unsigned i = 0; i < ARRAY_LENGTH(others); i++) {
        slab_cache_free(&other, others[i]);
    }
    slab_cache_destroy(&cache);
    slab_cache_destroy(&other);
}

/* From an empty slab each object is as likely to come first as any other, however many there are. */
static void every_place_is_as_likely(void **state)
{
    (void)state;
    enum { DRAWS = 400 }; /* of each place, on average */
    static const uint32_t sizes[] = {16, 56, 80, 200, 480, 1000, 4000, 16384};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        static struct slab_cache cache;
        unsigned drawn[SLAB_OBJECTS_MAX] = {0};
        make(&cache, "likely", sizes[i], 0);
        for (unsigned j = 0; j < DRAWS * cache.per_slab; j++) {
            struct frame_facts facts;
            void *object = slab_take_one(&cache);
            struct slab *slab = slab_find(&fixture.heap.slabs, object, &facts);
            assert_int_equal(slab->free_count, cache.per_slab - 1);
            drawn[slab_object_index(&cache, slab, object)]++;
            spinlock_acquire(&cache.lock);
            slab_give(&cache, object);
            spinlock_release(&cache.lock);
        }
        for (unsigned j = 0; j < cache.per_slab; j++) { /* six standard deviations */
            assert_in_range(drawn[j], DRAWS - 120, DRAWS + 120);
        }
        slab_cache_destroy(&cache);
    }
}

/* One CPU allocates, the other frees: objects come back through the depot, and memory does not grow. */
static void objects_pass_between_cpus(void **state)
{
    (void)state;
    static struct slab_cache cache;
    make(&cache, "passed", 64, 0);
    for (unsigned round = 0; round < 100; round++) {
        void *objects[100];
        host_cpu = 0;
        for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
            objects[i] = slab_cache_alloc(&cache);
        }
        host_cpu = 1;
        for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
            slab_cache_free(&cache, objects[i]);
        }
    }
    host_cpu = 0;
    struct slab_statistics statistics;
    slab_cache_statistics(&cache, &statistics);
    assert_int_equal(statistics.live, 0);
    assert_true(statistics.grown <= 8);
    assert_true(statistics.exchanges > 100);
    fixture_check(&fixture);
    /* The other CPU is asked to drain and does so at its next slow operation. */
    slab_reap(&fixture.heap.slabs);
    host_cpu = 1;
    for (unsigned i = 0; i < 200; i++) {
        slab_cache_free(&cache, slab_cache_alloc(&cache));
    }
    void *objects[100];
    for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
        objects[i] = slab_cache_alloc(&cache);
    }
    assert_int_equal(atomic_load(&slab_cpu(&cache, 1)->drain), 0);
    for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
        slab_cache_free(&cache, objects[i]);
    }
    host_cpu = 0;
    slab_cache_destroy(&cache);
}

/* Magazines that lie empty in the depot hold nothing, whatever their slots say. */
static void emptied_magazines_hold_nothing(void **state)
{
    (void)state;
    static struct slab_cache cache;
    void *objects[300];
    make(&cache, "emptied", 64, 0);
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
            objects[i] = slab_cache_alloc(&cache);
        }
        if (round == 0) {
            for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
                slab_cache_free(&cache, objects[i]);
            }
        }
    }
    assert_non_null(cache.depot_empty);
    slab_reap(&fixture.heap.slabs);
    assert_int_equal(fixture.reports, 0);
    fixture_check(&fixture);
    for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
        slab_cache_free(&cache, objects[i]);
    }
    slab_cache_destroy(&cache);
}

/* All memory goes into one cache, then another needs it: what the first holds free is given back to serve. */
static void idle_memory_serves_other_caches(void **state)
{
    (void)state;
    static void *objects[HEAP_MACHINE_BYTES / 4096];
    static struct slab_cache first;
    static struct slab_cache second;
    make(&first, "first", 4096, 4096);
    make(&second, "second", 4000, 0);
    unsigned count = 0;
    while ((objects[count] = slab_cache_alloc(&first))) {
        count++;
    }
    assert_true(count > 10000);
    unsigned rest = 0; /* smaller slabs fit into what the first could not use */
    static void *others[1000];
    while ((others[rest] = slab_cache_alloc(&second))) {
        rest++;
    }
    fixture_check(&fixture);
    for (unsigned i = 0; i < count; i++) {
        slab_cache_free(&first, objects[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        objects[i] = slab_cache_alloc(&second);
        assert_non_null(objects[i]);
    }
    for (unsigned i = 0; i < count; i++) {
        slab_cache_free(&second, objects[i]);
    }
    while (rest > 0) {
        slab_cache_free(&second, others[--rest]);
    }
    assert_int_equal(fixture.reports, 0);
    slab_cache_destroy(&first);
    slab_cache_destroy(&second);
}

static int begin_with_failures(void **state)
{
    (void)state;
    return begin_with("typed:fail=3;large:owner,fail=2;heap-6*:fail=5,redzone");
}

static unsigned count_failures(void *(*allocate)(void), void (*give_back)(void *pointer), unsigned attempts)
{
    void *objects[100];
    unsigned failed = 0;
    for (unsigned i = 0; i < attempts; i++) {
        objects[i] = allocate();
        failed += !objects[i];
    }
    for (unsigned i = 0; i < attempts; i++) {
        give_back(objects[i]);
    }
    return failed;
}

static void *allocate_typed(void)
{
    return slab_cache_alloc(&typed);
}

static void free_typed(void *object)
{
    slab_cache_free(&typed, object);
}

static void *allocate_small(void)
{
    return heap_alloc(&fixture.heap, 60);
}

static void *allocate_other(void)
{
    return heap_alloc(&fixture.heap, 100);
}

static void *allocate_large(void)
{
    return heap_alloc(&fixture.heap, 20000);
}

static void free_block(void *block)
{
    heap_free(&fixture.heap, block);
}

/* What a rule, or slab_cache_fail_every(), lets fail is one cache's: others go on. */
static void failures_of_one_cache(void **state)
{
    (void)state;
    struct slab_statistics statistics;
    assert_int_equal(count_failures(allocate_typed, free_typed, 90), 30);
    assert_int_equal(count_failures(allocate_small, free_block, 90), 18);
    assert_int_equal(count_failures(allocate_other, free_block, 90), 0);
    assert_int_equal(count_failures(allocate_large, free_block, 90), 45);
    slab_cache_statistics(&typed, &statistics);
    assert_int_equal(statistics.failed, 30);
    assert_int_equal(atomic_load(&fixture.heap.large_failing.failed), 45);
    assert_int_equal(atomic_load(&fixture.heap.slabs.failing.failed), 93);
    slab_cache_fail_every(&typed, 0);
    assert_int_equal(count_failures(allocate_typed, free_typed, 90), 0);
    slab_cache_fail_every(&another, 1);
    assert_null(slab_cache_alloc(&another));
    slab_cache_fail_every(&another, 0);
    fixture_check(&fixture);
    assert_int_equal(fixture.reports, 0);
}

/* The n-th allocation fails for every n of a longer operation: nothing is lost, and the books balance. */
static void every_failure_is_survived(void **state)
{
    (void)state;
    for (unsigned every = 1; every < 60; every++) {
        static struct slab_cache cache;
        make(&cache, "failing", 100, 0);
        slab_fail_every(&fixture.heap.slabs, every);
        void *objects[50] = {NULL};
        unsigned failed = 0;
        for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
            objects[i] = slab_cache_alloc(&cache);
            failed += !objects[i];
        }
        assert_int_equal(failed, ARRAY_LENGTH(objects) / every);
        fixture_check(&fixture);
        for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
            slab_cache_free(&cache, objects[i]);
        }
        slab_fail_every(&fixture.heap.slabs, 0);
        assert_int_equal(slab_cache_destroy(&cache), 0);
    }
    assert_int_equal(fixture.reports, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(objects_are_distinct_aligned_and_hold_their_content),
        TEST(impossible_caches_are_refused),
        TEST(what_is_in_use_is_not_made_again),
        TEST(only_so_many_caches),
        TEST(constructor_runs_once_for_each_place),
        TEST(empty_slabs_are_returned),
        TEST(most_of_what_is_unused_is_returned),
        TEST(places_in_a_slab_are_random),
        TEST(every_place_is_as_likely),
        TEST(objects_pass_between_cpus),
        TEST(emptied_magazines_hold_nothing),
        TEST(idle_memory_serves_other_caches),
        TEST(every_failure_is_survived),
        cmocka_unit_test_setup_teardown(failures_of_one_cache, begin_with_failures, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
