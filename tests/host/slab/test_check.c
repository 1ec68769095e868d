/* Slabs seen from outside: the validator, the accounts, and what is refused or reported at both ends of a
 * life. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mm/slab/internal.h"
#include "tests/host/heap/reports.h"
#include "tests/host/support/random.h"

#define OBJECTS 5000

/* The validator sees what is broken on purpose. */
static void the_validator_sees_damage(void **state)
{
    (void)state;
    struct slab_problem problem;
    static struct slab_cache cache;
    make(&cache, "damaged", 100, 0);
    uint64_t *objects[40];
    for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
        objects[i] = slab_cache_alloc(&cache);
    }
    struct slab_cpu *cpu = slab_cpu(&cache, 0);
    assert_true(slab_cache_check(&cache, &problem));

    uint64_t header = objects[3][-1];
    objects[3][-1] = 1;
    assert_false(slab_cache_check(&cache, &problem));
    assert_string_equal(problem.what, "header of a live object");
    assert_ptr_equal(problem.where, objects[3]);
    objects[3][-1] = header;

    void *cached = atomic_load(&cpu->bottom[0]);
    assert_true(cpu->bottom != atomic_load(&cpu->top));
    ((uint64_t *)cached)[-1] = 1;
    assert_false(slab_cache_check(&cache, &problem));
    assert_string_equal(problem.what, "a free object without its mark");
    ((uint64_t *)cached)[-1] = SLAB_HEADER_FREE;

    assert_true(atomic_load(&cpu->top) > cpu->bottom + 1);
    void *second = atomic_load(&cpu->bottom[1]);
    atomic_store(&cpu->bottom[1], cached);
    assert_false(slab_cache_check(&cache, &problem));
    assert_string_equal(problem.what, "a free object in two places");
    atomic_store(&cpu->bottom[1], second);

    atomic_store(&cpu->bottom[1], &cache);
    assert_false(slab_cache_check(&cache, &problem));
    assert_string_equal(problem.what, "a magazine holds what is no object");
    assert_ptr_equal(problem.where, &cache);
    atomic_store(&cpu->bottom[1], (char *)second + 8);
    assert_false(slab_cache_check(&cache, &problem));
    assert_string_equal(problem.what, "a magazine holds what is no object");
    atomic_store(&cpu->bottom[1], second);

    cache.depot_count++;
    assert_false(slab_cache_check(&cache, &problem));
    assert_string_equal(problem.what, "length of the depot");
    cache.depot_count--;

    cache.partial.count++;
    assert_false(slab_cache_check(&cache, &problem));
    assert_string_equal(problem.what, "length of a list of slabs");
    cache.partial.count--;

    cache.partial.first->free_count++;
    assert_false(slab_cache_check(&cache, &problem));
    assert_string_equal(problem.what, "count of free objects");
    cache.partial.first->free_count--;
    assert_true(slab_cache_check(&cache, &problem));
    for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
        slab_cache_free(&cache, objects[i]);
    }
    slab_cache_destroy(&cache);
}

/* One byte too many or too few anywhere in the records' accounts. */
static void the_validator_counts_records(void **state)
{
    (void)state;
    struct slab_problem problem;
    struct slab_pool *pool = &fixture.heap.slabs;
    struct slab_records *kinds[] = {&pool->slabs, &pool->magazines};
    void *blocks[40];
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        blocks[i] = heap_alloc(&fixture.heap, 2048);
    }
    for (unsigned i = 0; i < ARRAY_LENGTH(kinds); i++) {
        struct slab_records *records = kinds[i];
        struct slab_record_page *page = records->partial;
        assert_non_null(page);
        records->used++;
        assert_false(slab_check(pool, &problem));
        assert_string_equal(problem.what, "records in pages");
        records->used--;
        struct slab_record_page *unused = records->unused;
        records->unused = unused ? NULL : page;
        assert_false(slab_check(pool, &problem));
        assert_string_equal(problem.what, "unused pages of records");
        records->unused = unused;
        page->used++;
        assert_false(slab_check(pool, &problem));
        assert_string_equal(problem.what, "records of a page");
        page->used--;
        void *next = *(void **)page->free;
        *(void **)page->free = page->free; /* the free records form a ring */
        assert_false(slab_check(pool, &problem));
        assert_string_equal(problem.what, "records of a page");
        *(void **)page->free = next;
        page->previous = page;
        assert_false(slab_check(pool, &problem));
        assert_string_equal(problem.what, "links of pages of records");
        page->previous = NULL;
        assert_true(slab_check(pool, &problem));
    }
    /* A magazine that nobody has any more. */
    void *lost = slab_record_alloc(pool, &pool->magazines);
    assert_false(slab_check(pool, &problem));
    assert_string_equal(problem.what, "magazine records in use");
    slab_record_free(pool, &pool->magazines, lost);
    lost = slab_record_alloc(pool, &pool->slabs);
    assert_false(slab_check(pool, &problem));
    assert_string_equal(problem.what, "slab records in use");
    slab_record_free(pool, &pool->slabs, lost);
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        heap_free(&fixture.heap, blocks[i]);
    }
}

static void live_objects_are_reported_at_the_end(void **state)
{
    (void)state;
    static struct slab_cache cache;
    make(&cache, "left", 100, 0);
    void *object = slab_cache_alloc(&cache);
    assert_non_null(object);
    unsigned reports = fixture.reports;
    assert_int_equal(slab_cache_destroy(&cache), 1);
    assert_int_equal(fixture.reports, reports + 1);
    assert_int_equal(fixture.report.fault, SLAB_LIVE_AT_DESTROY);
    assert_int_equal(fixture.report.found, 1);
    /* Its slab, of one frame, stays owned, and a late free of it is refused. */
    fixture.free_at_start -= 1;
    heap_free(&fixture.heap, object);
    assert_int_equal(fixture.report.fault, SLAB_FOREIGN_POINTER);
}

static void frames_are_accounted(void **state)
{
    (void)state;
    struct frame_ledger ledger;
    static struct slab_cache cache;
    make(&cache, "ledger", 1024, 0);
    void *objects[100];
    for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
        objects[i] = slab_cache_alloc(&cache);
    }
    struct slab_statistics statistics;
    struct heap_statistics heap;
    slab_cache_statistics(&cache, &statistics);
    heap_statistics(&fixture.heap, &heap);
    frame_pool_ledger(&fixture.machine.pool, &ledger);
    assert_int_equal(ledger.difference, 0);
    assert_int_equal(ledger.owner_bytes[OWNER_SLABS], heap.slab_bytes + heap.record_bytes);
    assert_true(heap.slab_bytes >= statistics.slab_bytes + heap.class_bytes);
    assert_int_equal(heap.record_bytes, heap.magazine_bytes + heap.slab_records + heap.part_bytes +
                                            heap.resting_bytes + heap.guard_bytes);
    assert_true(heap.waste_bytes >= statistics.waste_bytes && heap.magazine_bytes + heap.resting_bytes > 0);
    for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
        slab_cache_free(&cache, objects[i]);
    }
    slab_cache_destroy(&cache);
}

static void bad_pools_are_refused(void **state)
{
    (void)state;
    static const char *const rules[] = {
        "x",          "x:",      ":poison",  "x:poisen",  "x:poison,",
        "x:poison;y", "x:fail=", "x:fail=0", "x:fail=1a", "x:fail=99999999999999"};
    static const uint32_t where[] = {0, 2, 0, 2, 9, 9, 2, 2, 2, 2};
    struct slab_pool pool;
    for (size_t i = 0; i < ARRAY_LENGTH(rules); i++) {
        struct slab_pool_config config = fixture.heap.slabs.config;
        config.debug = rules[i];
        assert_int_equal(slab_pool_init(&pool, &config), SLAB_BAD_DEBUG);
        assert_int_equal(pool.debug_error, where[i]);
    }
    struct slab_pool_config config = fixture.heap.slabs.config;
    config.cpus = 0;
    assert_int_equal(slab_pool_init(&pool, &config), SLAB_BAD_CONFIG);
    config = fixture.heap.slabs.config;
    config.seed = 0;
    assert_int_equal(slab_pool_init(&pool, &config), SLAB_BAD_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_validator_sees_damage),
        TEST(the_validator_counts_records),
        TEST(live_objects_are_reported_at_the_end),
        TEST(frames_are_accounted),
        DEBUG_TEST(frames_are_accounted),
        TEST(bad_pools_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
