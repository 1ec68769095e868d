/*
 * The heap when memory runs out: every allocation of frames inside every operation fails in turn, and then
 * nothing has changed; and a frame pool that is empty gets what the slabs hold idle.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mm/frame/internal.h"
#include "mm/slab/internal.h"
#include "reports.h"
#include <ashlar/validate.h>

/* ---- A frame pool that fails on purpose ---- */

static uint64_t takes;      /* how often the pool was asked for frames */
static uint64_t fails_from; /* the first one that fails, and all after it; UINT64_MAX for none */

static uint64_t failing_take(void *state, unsigned order, unsigned most, uint64_t from, uint64_t limit,
                             unsigned *got)
{
    if (takes++ >= fails_from) {
        return FRAME_NUMBER_NONE;
    }
    return frame_policy_buddy.take(state, order, most, from, limit, got);
}

static struct frame_policy failing;

static int begin_failing(const char *rules)
{
    failing = frame_policy_buddy;
    failing.take = failing_take;
    fails_from = UINT64_MAX;
    host_cpu = 0;
    const struct frame_policy *policy = &failing;
    assert_int_equal(fixture_start_on(&fixture, HEAP_MACHINE_BYTES, 2, rules, policy, true), SLAB_OK);
    make(&typed, "typed", 100, 0);
    return 0;
}

/* ---- Every allocation fails in turn ---- */

static void *kept; /* a block of 3000 bytes, for operations on one that is there */
static void *got;  /* what the operation allocated, or NULL */
static struct slab_cache fresh;

static bool alloc_small(void)
{
    got = heap_alloc(&fixture.heap, 48);
    return got;
}

static bool alloc_class_of_a_big_slab(void)
{
    got = heap_alloc(&fixture.heap, 8192);
    return got;
}

static bool alloc_block(void)
{
    got = heap_alloc(&fixture.heap, 65536);
    return got;
}

static bool alloc_run(void)
{
    got = heap_alloc(&fixture.heap, 100000);
    return got;
}

static bool alloc_zeroed(void)
{
    got = heap_alloc_zeroed(&fixture.heap, 500);
    return got;
}

static bool alloc_array(void)
{
    got = heap_alloc_array(&fixture.heap, 50, 50);
    return got;
}

static bool alloc_aligned(void)
{
    got = heap_alloc_aligned(&fixture.heap, 100, 1024);
    return got;
}

static bool alloc_run_aligned(void)
{
    got = heap_alloc_aligned(&fixture.heap, 20000, MIB(2));
    return got;
}

static bool duplicate(void)
{
    got = heap_duplicate(&fixture.heap, kept, 2000);
    return got && memcmp(got, kept, 2000) == 0;
}

/* Grows the kept block and back, so that the next attempt starts from the same state. */
static bool resize(void)
{
    void *moved = heap_resize(&fixture.heap, kept, 50000);
    if (!moved) {
        return false;
    }
    fails_from = UINT64_MAX;
    kept = heap_resize(&fixture.heap, moved, 3000);
    return true;
}

static bool alloc_typed(void)
{
    void *object = slab_cache_alloc(&typed);
    if (object) {
        slab_cache_free(&typed, object);
    }
    return object;
}

static bool make_cache(void)
{
    struct slab_cache_config config = {.name = "fresh", .bytes = 64};
    enum slab_error error = slab_cache_init(&fixture.heap.slabs, &fresh, &config);
    if (error == SLAB_OK) {
        slab_cache_destroy(&fresh);
    }
    assert_true(error == SLAB_OK || error == SLAB_NO_MEMORY);
    return error == SLAB_OK;
}

static bool note_none(void *context, const struct heap_block *block)
{
    (void)context;
    (void)block;
    return true;
}

static void show_kept(void *context, struct heap_scan *scan)
{
    (void)context;
    heap_scan_root(scan, &kept, sizeof kept);
}

static bool scan_for_leaks(void)
{
    return heap_leaks(&fixture.heap, show_kept, note_none, NULL) >= 0;
}

/* A magazine for what is freed cannot be had: that must not fail. */
static bool free_without_magazine(void)
{
    fails_from = UINT64_MAX;
    void *block = heap_alloc(&fixture.heap, 48);
    slab_drain_cpu(&fixture.heap.slabs, 0);
    takes = 0;
    fails_from = 0;
    heap_free(&fixture.heap, block);
    fails_from = UINT64_MAX;
    return true;
}

struct operation {
    const char *name;  /* for the message */
    bool (*run)(void); /* whether it succeeded; what it allocated is in `got` */
    bool asks;         /* needs frames, at least when it starts with nothing in stock */
};

static const struct operation operations[] = {
    {"alloc_small", alloc_small, true},       {"alloc_class_of_a_big_slab", alloc_class_of_a_big_slab, true},
    {"alloc_block", alloc_block, true},       {"alloc_run", alloc_run, true},
    {"alloc_zeroed", alloc_zeroed, true},     {"alloc_array", alloc_array, true},
    {"alloc_aligned", alloc_aligned, true},   {"alloc_run_aligned", alloc_run_aligned, true},
    {"duplicate", duplicate, true},           {"resize", resize, true},
    {"alloc_typed", alloc_typed, true},       {"make_cache", make_cache, false},
    {"scan_for_leaks", scan_for_leaks, true}, {"free_without_magazine", free_without_magazine, false},
};

/* Everything that must be as it was: the books of frames, and what is allocated. */
struct snapshot {
    struct frame_ledger ledger;
    struct heap_statistics heap;
};

static void take_snapshot(struct snapshot *snapshot)
{
    slab_drain_cpu(&fixture.heap.slabs, 0);
    slab_reap(&fixture.heap.slabs);
    fixture_check(&fixture);
    frame_pool_ledger(&fixture.machine.pool, &snapshot->ledger);
    heap_statistics(&fixture.heap, &snapshot->heap);
    assert_int_equal(snapshot->ledger.difference, 0);
}

/* Runs the operation with its n-th request for frames failing; whether it succeeded. */
static bool attempt(const struct operation *operation, uint64_t n)
{
    got = NULL;
    takes = 0;
    fails_from = n;
    bool succeeded = operation->run();
    fails_from = UINT64_MAX;
    if (got) {
        assert_true(succeeded);
        heap_free(&fixture.heap, got);
    }
    return succeeded;
}

static void fail_everywhere(const struct operation *operation)
{
    struct snapshot before;
    struct snapshot after;
    uint64_t n = 0;
    bool succeeded;
    take_snapshot(&before);
    do {
        succeeded = attempt(operation, n);
        take_snapshot(&after);
        if (memcmp(&before, &after, sizeof before) != 0 || fixture.reports != 0) {
            fail_msg("%s changed something when its request %" PRIu64 " failed", operation->name, n);
        }
        assert_int_equal(((uint8_t *)kept)[2999], 0x77);
        n++;
    } while (!succeeded && n < 100);
    if (!succeeded || (operation->asks && n == 1)) {
        fail_msg("%s: %s", operation->name, succeeded ? "asked for nothing" : "never succeeded");
    }
}

static void fail_all(const char *rules)
{
    begin_failing(rules);
    kept = heap_alloc(&fixture.heap, 3000);
    memset(kept, 0x77, 3000);
    for (size_t i = 0; i < ARRAY_LENGTH(operations); i++) {
        fail_everywhere(&operations[i]);
    }
    heap_free(&fixture.heap, kept);
    end(NULL);
}

static void every_request_for_frames_fails_in_turn(void **state)
{
    (void)state;
    fail_all(NULL);
}

static void every_request_fails_in_turn_under_policies(void **state)
{
    (void)state;
    fail_all("*:all;large:owner");
}

/* The same with all validators before each operation: none is told a structure amid a change. */
static void validators_run_while_requests_fail(void **state)
{
    (void)state;
    validate_at_random(1);
    fail_all(NULL);
    fail_all("*:all;large:owner");
    validate_at_random(0);
}

/* The same for making a heap: all caches of the classes, with quarantines. */
static void making_a_heap_fails_in_turn(void **state)
{
    (void)state;
    static struct heap made;
    begin_failing(NULL);
    struct heap_config config = {.slabs = fixture.heap.slabs.config};
    config.slabs.debug = "*:quarantine";
    uint64_t free_before = frame_pool_free(&fixture.machine.pool);
    enum slab_error error;
    uint64_t n = 0;
    do {
        takes = 0;
        fails_from = n++;
        error = heap_init(&made, &config);
        fails_from = UINT64_MAX;
        assert_true(error == SLAB_OK || error == SLAB_NO_MEMORY);
        if (error == SLAB_OK) {
            heap_destroy(&made);
        }
        assert_int_equal(frame_pool_free(&fixture.machine.pool), free_before);
    } while (error != SLAB_OK);
    assert_true(n > HEAP_CLASSES);
    end(NULL);
}

/* ---- An empty frame pool gets what lies idle ---- */

#define MANY 3000

static uint64_t take_all_frames(phys_addr_t *frames, uint64_t limit)
{
    uint64_t count = 0;
    while (count < limit) {
        struct frame_request request = {.frames = 1, .owner = OWNER_TEST, .try_only = true};
        if (frame_alloc_request(&fixture.machine.pool, &request, &frames[count]) != FRAME_OK) {
            break;
        }
        count++;
    }
    return count;
}

/* Fills the caches with free objects: magazines, depot and an empty slab hold them. */
static void leave_objects_idle(void)
{
    static void *objects[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        objects[i] = heap_alloc(&fixture.heap, 1024);
        assert_non_null(objects[i]);
    }
    for (unsigned i = 0; i < MANY; i++) {
        heap_free(&fixture.heap, objects[i]);
    }
}

static void an_empty_pool_gets_idle_slabs(void **state)
{
    (void)state;
    static phys_addr_t frames[HEAP_MACHINE_BYTES / FRAME_BYTES];
    leave_objects_idle();
    struct heap_statistics statistics;
    heap_statistics(&fixture.heap, &statistics);
    uint64_t idle = statistics.class_bytes / FRAME_BYTES;
    assert_true(idle > 50);
    uint64_t count = take_all_frames(frames, ARRAY_LENGTH(frames));
    frame_pool_drain(&fixture.machine.pool);
    count += take_all_frames(frames + count, ARRAY_LENGTH(frames) - count);
    /* Nobody asks the heap for anything: the frame pool itself does, when somebody else wants frames. */
    for (uint64_t i = 0; i < idle; i++) {
        frames[count] = frame_alloc(&fixture.machine.pool, 0, OWNER_TEST);
        assert_int_not_equal(frames[count].raw, 0);
        count++;
    }
    heap_statistics(&fixture.heap, &statistics);
    assert_int_equal(statistics.class_bytes, 0);
    fixture_check(&fixture);
    while (count > 0) {
        frame_free(&fixture.machine.pool, frames[--count], 0);
    }
    assert_int_equal(fixture.reports, 0);
}

/* The slab that is being made finds the pool empty: it reaps the other caches, and its own magazines too. */
static void growing_reaps_the_other_caches(void **state)
{
    (void)state;
    static phys_addr_t frames[HEAP_MACHINE_BYTES / FRAME_BYTES];
    static void *objects[200];
    leave_objects_idle();
    uint64_t count = take_all_frames(frames, ARRAY_LENGTH(frames));
    frame_pool_drain(&fixture.machine.pool);
    count += take_all_frames(frames + count, ARRAY_LENGTH(frames) - count);
    make(&typed, "late", 500, 0);
    for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
        objects[i] = slab_cache_alloc(&typed);
        assert_non_null(objects[i]);
        memset(objects[i], (int)i, 500);
    }
    fixture_check(&fixture);
    for (unsigned i = 0; i < ARRAY_LENGTH(objects); i++) {
        assert_int_equal(*(uint8_t *)objects[i], (uint8_t)i);
        slab_cache_free(&typed, objects[i]);
    }
    while (count > 0) {
        frame_free(&fixture.machine.pool, frames[--count], 0);
    }
    assert_int_equal(slab_cache_destroy(&typed), 0);
    assert_int_equal(fixture.reports, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_request_for_frames_fails_in_turn),
        cmocka_unit_test(every_request_fails_in_turn_under_policies),
        cmocka_unit_test(validators_run_while_requests_fail),
        cmocka_unit_test(making_a_heap_fails_in_turn),
        TEST(an_empty_pool_gets_idle_slabs),
        TEST(growing_reaps_the_other_caches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
