/* Damage of a heap and its caches that the operation which meets it notices. */
#include "mm/heap/large.h"
#include "mm/heap/valid.h"
#include "reports.h"
#include "tests/host/support/damage.h"

/* An allocation that no magazine serves. */
static void *take_slowly(struct slab_cache *cache)
{
    slab_drain_cpu(cache->pool, 0);
    return slab_cache_alloc(cache);
}

static void a_cache_that_is_none(void **state)
{
    (void)state;
    EXPECT_DAMAGE_SEEN(typed.per_slab, 0, slab_cache_alloc(&typed), "slab_cache_is_valid");
    EXPECT_DAMAGE_SEEN(typed.number, 0, slab_cache_alloc(&typed), "slab_cache_is_valid");
    EXPECT_DAMAGE_SEEN(fixture.heap.slabs.descriptors, NULL, slab_reap(&fixture.heap.slabs),
                       "slab_pool_is_valid");
}

static void a_slab_of_another_cache(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    void *object = slab_cache_alloc(&typed);
    struct slab *slab = slab_of(&typed, object);
    assert_true(slab_is_valid(&typed, slab));
    assert_false(slab_is_valid(&another, slab));
    EXPECT_DAMAGE_SEEN(slab->free_count, typed.per_slab + 1, take_slowly(&typed), "slab_is_valid");
    spinlock_init(&typed.lock, LOCK_SLAB_CACHE, (uintptr_t)&typed); /* which that panic has left taken */
}

static void a_list_with_a_wrong_count(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct slab_list list = {.first = NULL, .last = NULL, .count = 0};
    struct slab slab = {.cache = &typed};
    assert_true(slab_list_is_valid(&list));
    EXPECT_DAMAGE_SEEN(list.count, 1, slab_list_add(&list, &slab), "slab_list_is_valid");
}

static void a_heap_that_is_none(void **state)
{
    (void)state;
    struct heap *heap = &fixture.heap;
    EXPECT_DAMAGE_SEEN(heap->large_note, 0, heap_alloc(heap, MIB(1)), "heap_is_valid");
    EXPECT_DAMAGE_SEEN(heap->slabs.config.frames, NULL, heap_resize(heap, NULL, 5), "heap_is_valid");
}

/* A note that is none of a heap's has no length. */
static void a_note_of_no_large_block(void **state)
{
    (void)state;
    assert_int_equal(heap_note_bytes(&fixture.heap, (union frame_note){.raw = 0}), 0);
    assert_int_equal(heap_note_bytes(&fixture.heap, (union frame_note){.raw = 0x1000}), 0);
}

/* What no constant-time look can see, the whole validator does, if its turn comes. */
static void damage_that_only_the_validator_sees(void **state)
{
    (void)state;
    struct heap *heap = &fixture.heap;
    validate_at_random(1);
    EXPECT_DAMAGE_SEEN(heap->slabs.slabs.used, 1000, heap_alloc(heap, MIB(1)), "heap_check");
    validate_end(); /* of the one that ended in a panic */
    heap_free(heap, heap_alloc(heap, MIB(1)));
    validate_at_random(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TYPED_TEST(a_cache_that_is_none),
        TYPED_TEST(a_list_with_a_wrong_count),
        TYPED_TEST(a_heap_that_is_none),
        TYPED_TEST(a_note_of_no_large_block),
        cmocka_unit_test_setup(damage_that_only_the_validator_sees, begin_typed),
        cmocka_unit_test_setup(a_slab_of_another_cache, begin_typed), /* nothing can be freed after it */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
