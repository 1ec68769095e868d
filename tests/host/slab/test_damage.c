/* Damage to slabs and magazines that only the validator or the slow ways notice, and what may happen
 * meanwhile. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "mm/slab/internal.h"
#include "tests/host/heap/reports.h"

#define OBJECTS 400

static struct slab_cache cache;
static void *objects[OBJECTS];

/* A cache with objects in use, free ones in slabs, magazines of all kinds, and a magazine in the depot. */
static void fill_cache(void)
{
    make(&cache, "damaged", 100, 0);
    for (unsigned i = 0; i < OBJECTS; i++) {
        objects[i] = slab_cache_alloc(&cache);
    }
    for (unsigned i = 0; i < OBJECTS; i += 2) {
        slab_cache_free(&cache, objects[i]);
    }
    assert_non_null(cache.depot_full);
    assert_non_null(slab_cpu(&cache, 0)->previous);
    assert_non_null(cache.partial.first);
}

static void empty_cache(void)
{
    struct slab_problem problem;
    assert_true(slab_cache_check(&cache, &problem));
    for (unsigned i = 1; i < OBJECTS; i += 2) {
        slab_cache_free(&cache, objects[i]);
    }
    assert_int_equal(slab_cache_destroy(&cache), 0);
}

static void expect_damage(const char *what)
{
    struct slab_problem problem;
    assert_false(slab_cache_check(&cache, &problem));
    assert_string_equal(problem.what, what);
}

#define EXPECT_DAMAGE(field, wrong, what)                                                                    \
    do {                                                                                                     \
        __typeof__(field) kept = (field);                                                                    \
        (field) = (wrong);                                                                                   \
        expect_damage(what);                                                                                 \
        (field) = kept;                                                                                      \
    } while (0)

static void the_validator_sees_slabs_and_lists(void **state)
{
    (void)state;
    fill_cache();
    struct slab *slab = cache.partial.first;
    struct frame_descriptor *descriptor =
        frame_descriptor(&fixture.machine.pool, slab_frame_of(&fixture.heap.slabs, slab->memory));
    EXPECT_DAMAGE(descriptor->note, frame_note_of_record(slab, cache.number + 2),
                  "a frame of the slab leads elsewhere");
    EXPECT_DAMAGE(slab->free[SLAB_OBJECTS_MAX / 64 - 1], 1ULL << 63, "a free object that does not exist");
    EXPECT_DAMAGE(slab->previous, slab, "links of a list of slabs");
    EXPECT_DAMAGE(slab->free_count, 0, "slab in the wrong list");
    EXPECT_DAMAGE(cache.partial.last, NULL, "end of a list of slabs");
    EXPECT_DAMAGE(cache.free_objects, 0, "free objects of all slabs");
    empty_cache();
}

static void the_validator_sees_magazines(void **state)
{
    (void)state;
    fill_cache();
    struct slab_cpu *cpu = slab_cpu(&cache, 0);
    EXPECT_DAMAGE(cache.depot_count, 0, "length of the depot");
    EXPECT_DAMAGE(cpu->cache, NULL, "a CPU's loaded magazine");
    EXPECT_DAMAGE(cpu->previous->count, SLAB_MAGAZINE_SLOTS + 1, "objects in a magazine");
    empty_cache();
}

/* Magazines that lie empty in the depot have records, too. */
static void empty_magazines_are_counted(void **state)
{
    (void)state;
    struct slab_problem problem;
    fill_cache();
    void *again[OBJECTS];
    for (unsigned i = 0; i < OBJECTS; i += 2) {
        again[i] = slab_cache_alloc(&cache);
    }
    assert_non_null(cache.depot_empty);
    assert_true(slab_check(&fixture.heap.slabs, &problem));
    for (unsigned i = 0; i < OBJECTS; i += 2) {
        slab_cache_free(&cache, again[i]);
    }
    empty_cache();
}

/* An object that is in a magazine although its slab has it, too, was freed twice. */
static void a_double_free_shows_when_magazines_are_emptied(void **state)
{
    (void)state;
    fill_cache();
    struct slab_cpu *cpu = slab_cpu(&cache, 0);
    void *object = atomic_load(&cpu->previous->slots[0]);
    spinlock_acquire(&cache.lock);
    assert_true(slab_give(&cache, object));
    spinlock_release(&cache.lock);
    slab_drain_cpu(&fixture.heap.slabs, 0);
    expect(SLAB_DOUBLE_FREE, object);
    empty_cache();
}

static void free_objects_are_told_from_live_ones(void **state)
{
    (void)state;
    struct slab_facts facts;
    fill_cache();
    slab_drain_cpu(&fixture.heap.slabs, 0);
    slab_reap(&fixture.heap.slabs); /* and the depot */
    slab_look(&fixture.heap.slabs, objects[0], &facts);
    assert_int_equal(facts.place, SLAB_FREE);
    slab_look(&fixture.heap.slabs, objects[1], &facts);
    assert_int_equal(facts.place, SLAB_LIVE);
    empty_cache();
}

/* What bears no mark of a free object is no such object: no lock is taken, and nobody's magazines are
 * searched. */
static void a_live_object_is_told_without_the_books(void **state)
{
    (void)state;
    struct slab_facts facts;
    fill_cache();
    spinlock_acquire(&cache.lock); /* whoever waits for it now makes a mistake that is noticed */
    slab_look(&fixture.heap.slabs, objects[1], &facts);
    spinlock_release(&cache.lock);
    assert_int_equal(facts.place, SLAB_LIVE);
    assert_ptr_equal(facts.object, objects[1]);
    empty_cache();
}

/* The note behind an object, with its length and whether it is free: written over, it says neither. */
static void a_note_that_was_overwritten_is_an_overrun(void **state)
{
    (void)state;
    uint8_t *object = slab_cache_alloc(&typed);
    struct slab_track *track = slab_track(&typed, object);
    struct slab_track kept = *track;
    track->bytes = 101;
    slab_cache_free(&typed, object);
    expect(SLAB_OVERRUN, object);
    *track = kept;
    track->state ^= 0xff;
    slab_cache_free(&typed, object);
    expect(SLAB_OVERRUN, object);
    *track = kept;
    slab_cache_free(&typed, object);
    assert_int_equal(fixture.reports, 0);
}

/* ---- A cache ends while somebody walks over all of them ---- */

static _Atomic(bool) walker_is_there;
static unsigned met_again;

static bool meet(void *context, struct slab_cache *met)
{
    (void)context;
    met_again += met == &cache;
    return true;
}

static bool stay(void *context, struct slab_cache *met)
{
    (void)context;
    if (met == &cache) {
        atomic_store(&walker_is_there, true);
        while (!__atomic_load_n(&cache.ending, __ATOMIC_ACQUIRE)) {
            cpu_relax();
        }
        slab_for_each_cache(&fixture.heap.slabs, meet, NULL);
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL); /* the other one waits meanwhile */
    }
    return true;
}

static void *walk(void *unused)
{
    host_cpu = 1;
    slab_for_each_cache(&fixture.heap.slabs, stay, unused);
    return NULL;
}

static void a_cache_waits_for_whoever_looks_at_it(void **state)
{
    (void)state;
    pthread_t walker;
    make(&cache, "ending", 100, 0);
    assert_int_equal(pthread_create(&walker, NULL, walk, NULL), 0);
    while (!atomic_load(&walker_is_there)) {
        cpu_relax();
    }
    assert_int_equal(slab_cache_destroy(&cache), 0);
    assert_int_equal(atomic_load(&cache.pins), 0);
    assert_int_equal(pthread_join(walker, NULL), 0);
    assert_int_equal(met_again, 0); /* who comes later does not see it any more */
}

/* ---- Memory ---- */

static uint64_t give_nothing(void *context, uint64_t frames)
{
    (void)context;
    (void)frames;
    return 0;
}

static void a_pool_needs_room_for_its_reclaimer(void **state)
{
    (void)state;
    struct slab_pool pool;
    struct slab_pool_config config = fixture.heap.slabs.config;
    struct frame_reclaimer reclaimers[FRAME_RECLAIMERS_MAX];
    unsigned count = 0;
    do {
        assert_true(count < FRAME_RECLAIMERS_MAX);
        reclaimers[count] = (struct frame_reclaimer){give_nothing, &reclaimers[count]};
    } while (frame_pool_add_reclaimer(&fixture.machine.pool, &reclaimers[count++]) == FRAME_OK);
    assert_int_equal(slab_pool_init(&pool, &config), SLAB_NO_RECLAIMER);
    for (unsigned i = 0; i + 1 < count; i++) {
        assert_int_equal(frame_pool_remove_reclaimer(&fixture.machine.pool, &reclaimers[i]), FRAME_OK);
    }
    assert_int_equal(slab_pool_init(&pool, &config), SLAB_OK);
    slab_pool_destroy(&pool);
}

static phys_addr_t hoard[HEAP_MACHINE_BYTES / FRAME_BYTES];
static uint64_t hoarded;

static void take_all_frames(struct frame_pool *pool)
{
    while (frame_pool_free(pool) > 0) { /* so that nobody is asked to give memory back */
        hoard[hoarded++] = frame_alloc(pool, 0, OWNER_TEST);
    }
}

/* All records of a kind, so that the next one needs a frame; kept in a list through their first words. */
static void *take_all_records(struct slab_records *records)
{
    void *list = NULL;
    do {
        void **record = slab_record_alloc(&fixture.heap.slabs, records);
        *record = list;
        list = record;
    } while (records->partial);
    return list;
}

static void give_records(struct slab_records *records, void *list)
{
    for (void *next; list; list = next) {
        next = *(void **)list;
        slab_record_free(&fixture.heap.slabs, records, list);
    }
}

/* Without a record there is no slab, however many frames there are. */
static void without_a_record_no_slab_is_made(void **state)
{
    (void)state;
    struct slab_pool *pool = &fixture.heap.slabs;
    unsigned count = 0;
    make(&cache, "scarce", 100, 0);
    void *slabs = take_all_records(&pool->slabs);
    take_all_frames(&fixture.machine.pool);
    /* What its first slab holds, if it has one. */
    while ((objects[count] = slab_cache_alloc(&cache)) != NULL) {
        assert_true(++count < OBJECTS);
    }
    assert_int_equal(cache.full.count, count > 0);
    /* Of a page that was reaped elsewhere. */
    void *more = pool->slabs.partial ? take_all_records(&pool->slabs) : NULL;
    assert_null(slab_cache_alloc(&cache));
    give_records(&pool->slabs, more);
    give_records(&pool->slabs, slabs);
    while (hoarded > 0) {
        frame_free(&fixture.machine.pool, hoard[--hoarded], 0);
    }
    while (count > 0) {
        slab_cache_free(&cache, objects[--count]);
    }
    assert_int_equal(slab_cache_destroy(&cache), 0);
}

/* Who comes to the slow way although there are objects gets one: this CPU may have run somebody else, who
 * brought them, between the fast way and the slow one. */
static void the_slow_way_takes_what_is_there(void **state)
{
    (void)state;
    fill_cache();
    struct slab_cpu *cpu = slab_cpu(&cache, 0);
    assert_true(atomic_load(&cpu->top) > cpu->bottom);
    void *next = atomic_load(atomic_load(&cpu->top) - 1);
    void *object = slab_alloc_for(&cache, 100, NULL);
    assert_ptr_equal(object, next);
    slab_cache_free(&cache, object);
    empty_cache();
}

/* A slab needs a record and frames: either may be what is missing. */
static void a_slab_is_made_whole_or_not(void **state)
{
    (void)state;
    static struct heap_fixture scarce;
    static struct slab_cache small;
    static void *blocks[4000];
    const struct slab_cache_config config = {.name = "small", .bytes = 200};
    unsigned count = 0;
    assert_int_equal(fixture_start_on(&scarce, HEAP_MACHINE_BYTES, 1, NULL, NULL, true), SLAB_OK);
    struct frame_pool *pool = &scarce.machine.pool;
    assert_int_equal(slab_cache_init(&scarce.heap.slabs, &small, &config), SLAB_OK);
    assert_int_equal(small.order, 0);
    take_all_frames(pool);
    while (small.grown < 60) { /* more slabs than a page has records */
        void *block = slab_cache_alloc(&small);
        if (block) {
            assert_true(count < ARRAY_LENGTH(blocks));
            blocks[count++] = block;
            continue;
        }
        fixture_check(&scarce);
        frame_free(pool, hoard[--hoarded], 0);
        block = slab_cache_alloc(&small); /* NULL when the frame became a page of records */
        blocks[count] = block;
        count += block != NULL;
        take_all_frames(pool);
    }
    while (count > 0) {
        slab_cache_free(&small, blocks[--count]);
    }
    while (hoarded > 0) {
        frame_free(pool, hoard[--hoarded], 0);
    }
    assert_int_equal(slab_cache_destroy(&small), 0);
    fixture_stop(&scarce);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_validator_sees_slabs_and_lists),
        TEST(the_validator_sees_magazines),
        TEST(empty_magazines_are_counted),
        TEST(a_double_free_shows_when_magazines_are_emptied),
        TEST(free_objects_are_told_from_live_ones),
        TEST(a_live_object_is_told_without_the_books),
        DEBUG_TEST(a_note_that_was_overwritten_is_an_overrun),
        TEST(a_cache_waits_for_whoever_looks_at_it),
        TEST(a_pool_needs_room_for_its_reclaimer),
        TEST(a_slab_is_made_whole_or_not),
        TEST(without_a_record_no_slab_is_made),
        TEST(the_slow_way_takes_what_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
