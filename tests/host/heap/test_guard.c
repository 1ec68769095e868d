/* Guarded slots: accesses that miss an object fault where they are made, and are explained. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "guard_fixture.h"
#include "reports.h"

#define SLOTS 8

static struct guard_fixture guard;

static int begin_guarded(void **state)
{
    begin_typed(state);
    assert_int_equal(guard_start(&guard, &fixture.heap.slabs, SLOTS, 1), SLAB_OK);
    return 0;
}

static int end_guarded(void **state)
{
    guard_stop(&guard);
    return end(state);
}

/* An object in a slot: with nothing in the magazines, the first allocation is a slow one. */
static void *guarded_alloc(size_t bytes)
{
    slab_drain_cpu(&fixture.heap.slabs, 0);
    uint64_t before = guard.guard.sampled;
    void *pointer = heap_alloc(&fixture.heap, bytes);
    assert_int_equal(guard.guard.sampled, before + 1);
    return pointer;
}

/* One that lies at the end (or beginning) of its page; the others on the way there are given back. */
static char *guarded_alloc_at(size_t bytes, bool at_the_end)
{
    for (;;) {
        char *pointer = guarded_alloc(bytes);
        bool at_the_beginning = is_aligned((uintptr_t)pointer, FRAME_BYTES);
        if (at_the_beginning != at_the_end) {
            return pointer;
        }
        heap_free(&fixture.heap, pointer);
    }
}

/* ---- Accesses that fault ---- */

static sigjmp_buf fault_jump;
static void *volatile fault_address;

static void on_fault(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    fault_address = info->si_addr;
    siglongjmp(fault_jump, 1);
}

/* Whether writing (else reading) one byte faults there. */
static bool faults(volatile char *byte, bool write)
{
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    struct sigaction before;
    fault_address = NULL;
    sigaction(SIGSEGV, &action, &before);
    if (sigsetjmp(fault_jump, 1) == 0) {
        if (write) {
            *byte = 1;
        } else {
            (void)*byte;
        }
    }
    sigaction(SIGSEGV, &before, NULL);
    return fault_address == byte;
}

/* The access to `byte` faults and is explained as this mistake, so many bytes from the object's start. */
static void expect_fault(char *byte, bool write, enum slab_fault fault, const void *object, int64_t offset)
{
    struct slab_report report;
    assert_true(faults(byte, write));
    assert_true(slab_guard_explain(&guard.guard, fault_address, &report));
    assert_string_equal(slab_fault_name(report.fault), slab_fault_name(fault));
    assert_ptr_equal(report.object, object);
    assert_int_equal(report.offset, offset);
    assert_non_null(report.allocated);
    assert_ptr_equal(report.allocated->stack[0], (void *)0x1234);
    assert_true(fault == SLAB_ACCESS_AFTER_FREE ? report.freed != NULL : report.freed == NULL);
}

static void the_first_byte_behind_an_object_faults(void **state)
{
    (void)state;
    char *block = guarded_alloc_at(64, true);
    assert_false(faults(block + 63, true));
    expect_fault(block + 64, true, SLAB_ACCESS_OUTSIDE, block, 64);
    expect_fault(block + 64, false, SLAB_ACCESS_OUTSIDE, block, 64);
    heap_free(&fixture.heap, block);
    assert_int_equal(fixture.reports, 0);
}

static void the_first_byte_before_an_object_faults(void **state)
{
    (void)state;
    char *block = guarded_alloc_at(64, false);
    expect_fault(block - 1, true, SLAB_ACCESS_OUTSIDE, block, -1);
    heap_free(&fixture.heap, block);
    assert_int_equal(fixture.reports, 0);
}

static void an_access_after_the_free_faults(void **state)
{
    (void)state;
    char *block = guarded_alloc(100);
    heap_free(&fixture.heap, block);
    expect_fault(block, false, SLAB_ACCESS_AFTER_FREE, block, 0);
    expect_fault(block + 50, true, SLAB_ACCESS_AFTER_FREE, block, 50);
    /* Others are used first: it stays inaccessible as long as possible. */
    for (unsigned i = 0; i < SLOTS - 1; i++) {
        char *next = guarded_alloc(100);
        heap_free(&fixture.heap, next);
        assert_ptr_not_equal((void *)align_down((uintptr_t)next, FRAME_BYTES),
                             (void *)align_down((uintptr_t)block, FRAME_BYTES));
    }
    assert_true(faults(block, false));
}

static void what_is_not_the_guards_is_not_explained(void **state)
{
    (void)state;
    struct slab_report report;
    char *block = guarded_alloc(100);
    assert_false(slab_guard_explain(&guard.guard, &report, &report));
    assert_false(slab_guard_explain(&guard.guard, guard.pages - 1, &report));
    assert_false(slab_guard_explain(&guard.guard, guard.pages + guard.bytes, &report));
    assert_false(slab_guard_explain(&guard.guard, guard.pages + guard.bytes - 1, &report)); /* unused yet */
    heap_free(&fixture.heap, block);
}

/* ---- Mistakes noticed at the free ---- */

static void mistaken_frees_have_names(void **state)
{
    (void)state;
    char *block = guarded_alloc(100);
    heap_free(&fixture.heap, block + 8);
    expect(SLAB_INTERIOR_POINTER, block + 8);
    assert_ptr_equal(fixture.report.object, block);
    slab_cache_free(&typed, block);
    expect(SLAB_WRONG_CACHE, block);
    heap_free(&fixture.heap, guard.pages);
    expect(SLAB_FOREIGN_POINTER, guard.pages);
    heap_free(&fixture.heap, block);
    assert_int_equal(fixture.reports, 0);
    heap_free(&fixture.heap, block);
    expect(SLAB_DOUBLE_FREE, block);
    assert_non_null(fixture.report.freed);
}

/* What alignment leaves between an object and the border is compared at the free. */
static void a_write_short_of_the_border_is_found(void **state)
{
    (void)state;
    char *block = guarded_alloc_at(61, true);
    block[61] ^= 1;
    heap_free(&fixture.heap, block);
    expect(SLAB_OVERRUN, block);
    assert_int_equal(fixture.report.offset, 61);
    block[61] ^= 1;
    block[-1] ^= 1;
    heap_free(&fixture.heap, block);
    expect(SLAB_UNDERRUN, block);
    assert_int_equal(fixture.report.offset, -1);
    block[-1] ^= 1;
    heap_free(&fixture.heap, block);
    assert_int_equal(fixture.reports, 0);
}

static void *raced; /* an object that another CPU frees while its state is looked at */
static unsigned races;
static struct slab_cache racy;

static bool is_freed_meanwhile(const void *object)
{
    (void)object;
    if (races++ == 0) {
        host_cpu = 1;
        slab_cache_free(&racy, raced);
        host_cpu = 0;
    }
    return true;
}

/* Two CPUs free one object: only one of them touches its page, the other is told. */
static void a_free_on_two_cpus_is_a_double_free(void **state)
{
    (void)state;
    const struct slab_cache_config config = {
        .name = "racy", .bytes = 64, .is_constructed = is_freed_meanwhile};
    assert_int_equal(slab_cache_init(&fixture.heap.slabs, &racy, &config), SLAB_OK);
    races = 0;
    raced = slab_cache_alloc(&racy);
    slab_cache_free(&racy, raced);
    expect(SLAB_DOUBLE_FREE, raced);
    assert_int_equal(races, 1);
    assert_int_equal(guard.guard.count, SLOTS);
    assert_int_equal(slab_cache_destroy(&racy), 0);
}

static void what_shrinks_is_guarded_from_its_new_end_on(void **state)
{
    (void)state;
    char *block = guarded_alloc(100);
    assert_ptr_equal(heap_resize(&fixture.heap, block, 70), block);
    assert_int_equal(heap_usable_size(&fixture.heap, block), 70);
    block[70] = 1;
    heap_free(&fixture.heap, block);
    expect(SLAB_OVERRUN, block);
    assert_int_equal(fixture.report.offset, 70);
    block[70] = (char)0xbb;
    heap_free(&fixture.heap, block);
    assert_int_equal(fixture.reports, 0);
}

/* A resize that meets damage reports it, and leaves all as it is. */
static void damage_is_noticed_when_a_block_shrinks(void **state)
{
    (void)state;
    char *block = guarded_alloc(100);
    block[-1] ^= 1;
    assert_ptr_equal(heap_resize(&fixture.heap, block, 70), block);
    expect(SLAB_UNDERRUN, block);
    block[-1] ^= 1;
    assert_int_equal(heap_usable_size(&fixture.heap, block), 100);
    heap_free(&fixture.heap, block);
    assert_int_equal(fixture.reports, 0);
}

static void set_to_ones(void *object)
{
    memset(object, 1, 64);
}

static bool is_all_ones(const void *object)
{
    return ((const char *)object)[63] == 1;
}

/* What has a constructed state is given out in it, and must come back in it. */
static void guarded_objects_are_constructed(void **state)
{
    (void)state;
    static struct slab_cache made;
    const struct slab_cache_config config = {
        .name = "made", .bytes = 64, .construct = set_to_ones, .is_constructed = is_all_ones};
    assert_int_equal(slab_cache_init(&fixture.heap.slabs, &made, &config), SLAB_OK);
    uint64_t before = guard.guard.sampled;
    char *object = slab_cache_alloc(&made);
    assert_int_equal(guard.guard.sampled, before + 1);
    assert_true(object[0] == 1 && object[63] == 1);
    object[63] = 2;
    slab_cache_free(&made, object);
    expect(SLAB_CONSTRUCTED_STATE, object);
    object[63] = 1;
    slab_cache_free(&made, object);
    assert_int_equal(fixture.reports, 0);
    assert_int_equal(slab_cache_destroy(&made), 0);
}

/* Pages that are shown count as the heap's; what never held an object is nothing. */
static void slots_are_seen_from_outside(void **state)
{
    (void)state;
    struct heap_statistics statistics;
    struct slab_facts facts;
    slab_look(&fixture.heap.slabs, guard.pages + FRAME_BYTES, &facts);
    assert_int_equal(facts.place, SLAB_NONE);
    guard.guard.config.shown_bytes = FRAME_BYTES;
    char *block = guarded_alloc(100);
    heap_statistics(&fixture.heap, &statistics);
    assert_int_equal(statistics.guard_bytes, FRAME_BYTES);
    heap_free(&fixture.heap, block);
    heap_statistics(&fixture.heap, &statistics);
    assert_int_equal(statistics.guard_bytes, 0);
    guard.guard.config.shown_bytes = 0;
}

/* ---- The heap around it ---- */

static void caches_can_stay_out_of_it(void **state)
{
    (void)state;
    static struct slab_cache cache;
    const struct slab_cache_config config = {.name = "out", .bytes = 64, .unguarded = true};
    assert_int_equal(slab_cache_init(&fixture.heap.slabs, &cache, &config), SLAB_OK);
    uint64_t before = guard.guard.sampled;
    for (unsigned i = 0; i < 20; i++) {
        slab_drain_cpu(&fixture.heap.slabs, 0);
        slab_cache_free(&cache, slab_cache_alloc(&cache));
    }
    assert_int_equal(guard.guard.sampled, before);
    assert_int_equal(slab_cache_destroy(&cache), 0);
}

static void the_validator_knows_the_ring(void **state)
{
    (void)state;
    struct slab_problem problem;
    char *block = guarded_alloc(64);
    struct slab_guard *ring = &guard.guard;
    uint8_t next = ring->free[ring->first];
    assert_true(slab_check(&fixture.heap.slabs, &problem));
    ring->count--;
    assert_false(slab_check(&fixture.heap.slabs, &problem));
    assert_string_equal(problem.what, "a guarded slot is neither live nor free");
    ring->count++;
    ring->slots[next].live = true;
    assert_false(slab_check(&fixture.heap.slabs, &problem));
    assert_string_equal(problem.what, "a guarded slot is live and free");
    ring->slots[next].live = false;
    ring->free[(ring->first + ring->count) % SLAB_GUARD_SLOTS_MAX] = next; /* twice */
    ring->count++;
    assert_false(slab_check(&fixture.heap.slabs, &problem));
    assert_string_equal(problem.what, "free guarded slots");
    ring->count--;
    heap_free(&fixture.heap, block);
}

static void guarded_blocks_are_blocks_like_others(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 8, 24, 100, 300, 1024, 2048, 4096};
    for (size_t i = 0; i < ARRAY_LENGTH(sizes); i++) {
        uint8_t *block = guarded_alloc(sizes[i]);
        assert_true(heap_usable_size(&fixture.heap, block) >= sizes[i]);
        size_t class = heap_class_bytes(heap_class(sizes[i]));
        assert_true(is_aligned((uintptr_t)block, class & -class));
        memset(block, 0x33, sizes[i]);
        uint8_t *moved = heap_resize(&fixture.heap, block, sizes[i] * 2 + 5000);
        assert_non_null(moved);
        for (size_t j = 0; j < sizes[i]; j++) {
            assert_int_equal(moved[j], 0x33);
        }
        heap_free(&fixture.heap, moved);
    }
    void *object = slab_cache_alloc(&typed);
    struct slab_statistics statistics;
    slab_cache_statistics(&typed, &statistics);
    assert_int_equal(statistics.guarded, 1);
    slab_cache_free(&typed, object);
    slab_cache_statistics(&typed, &statistics);
    assert_int_equal(statistics.guarded, 0);
    assert_int_equal(fixture.reports, 0);
}

static void without_a_slot_a_block_comes_from_its_slab(void **state)
{
    (void)state;
    void *blocks[SLOTS + 5];
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        slab_drain_cpu(&fixture.heap.slabs, 0);
        blocks[i] = heap_alloc(&fixture.heap, 40);
        assert_non_null(blocks[i]);
    }
    assert_int_equal(guard.guard.sampled, SLOTS);
    assert_int_equal(guard.guard.missed, 5);
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        heap_free(&fixture.heap, blocks[i]);
    }
    guard.refuses = true;
    slab_drain_cpu(&fixture.heap.slabs, 0);
    void *block = heap_alloc(&fixture.heap, 40);
    assert_non_null(block);
    heap_free(&fixture.heap, block);
    assert_int_equal(guard.guard.count, SLOTS);
    guard.refuses = false;
    assert_int_equal(fixture.reports, 0);
}

static void every_so_many_slow_operations_one_is_sampled(void **state)
{
    (void)state;
    guard_stop(&guard);
    assert_int_equal(guard_start(&guard, &fixture.heap.slabs, SLOTS, 10), SLAB_OK);
    for (unsigned i = 0; i < 100; i++) {
        slab_drain_cpu(&fixture.heap.slabs, 0);
        heap_free(&fixture.heap, heap_alloc(&fixture.heap, 40));
    }
    assert_int_equal(guard.guard.sampled, 10);
}

static bool note_block(void *context, const struct heap_block *block)
{
    *(const void **)context = block->pointer;
    return true;
}

static void no_roots(void *context, struct heap_scan *scan)
{
    (void)context;
    (void)scan;
}

static void guarded_blocks_are_visited_and_searched(void **state)
{
    (void)state;
    void **block = guarded_alloc(64);
    const void *found = NULL;
    heap_visit(&fixture.heap, note_block, &found);
    assert_ptr_equal(found, block);
    block[3] = heap_alloc(&fixture.heap, 20000); /* only reached from the guarded block */
    assert_int_equal(heap_leaks(&fixture.heap, no_roots, note_block, &found), 0);
    heap_free(&fixture.heap, block[3]);
    heap_free(&fixture.heap, block);
    assert_int_equal(fixture.reports, 0);
}

static void a_cache_that_ends_takes_its_slots_along(void **state)
{
    (void)state;
    static struct slab_cache short_lived;
    make(&short_lived, "short", 64, 0);
    char *object = slab_cache_alloc(&short_lived);
    assert_int_equal(slab_cache_destroy(&short_lived), 1);
    assert_int_equal(fixture.report.fault, SLAB_LIVE_AT_DESTROY);
    assert_true(faults(object, false));
    fixture.reports = 0;
    heap_free(&fixture.heap, object);
    expect(SLAB_FOREIGN_POINTER, object);
    assert_int_equal(guard.guard.count, SLOTS);
}

static void bad_guards_are_refused(void **state)
{
    (void)state;
    static struct slab_guard second;
    struct slab_guard_config config = guard.guard.config;
    assert_int_equal(slab_guard_start(&second, &fixture.heap.slabs, &config), SLAB_BAD_CONFIG);
    slab_guard_stop(&guard.guard);
    config.slots = SLAB_GUARD_SLOTS_MAX + 1;
    assert_int_equal(slab_guard_start(&second, &fixture.heap.slabs, &config), SLAB_BAD_CONFIG);
    config = guard.guard.config;
    config.every = 0;
    assert_int_equal(slab_guard_start(&second, &fixture.heap.slabs, &config), SLAB_BAD_CONFIG);
    config = guard.guard.config;
    config.base = guard.pages + 8;
    assert_int_equal(slab_guard_start(&second, &fixture.heap.slabs, &config), SLAB_BAD_CONFIG);
    config.base = fixture.machine.memory;
    assert_int_equal(slab_guard_start(&second, &fixture.heap.slabs, &config), SLAB_BAD_CONFIG);
    config = guard.guard.config;
    assert_int_equal(slab_guard_start(&guard.guard, &fixture.heap.slabs, &config), SLAB_OK);
}

#define GUARD_TEST(function) cmocka_unit_test_setup_teardown(function, begin_guarded, end_guarded)

int main(void)
{
    const struct CMUnitTest tests[] = {
        GUARD_TEST(the_first_byte_behind_an_object_faults),
        GUARD_TEST(the_first_byte_before_an_object_faults),
        GUARD_TEST(an_access_after_the_free_faults),
        GUARD_TEST(what_is_not_the_guards_is_not_explained),
        GUARD_TEST(mistaken_frees_have_names),
        GUARD_TEST(a_write_short_of_the_border_is_found),
        GUARD_TEST(a_free_on_two_cpus_is_a_double_free),
        GUARD_TEST(what_shrinks_is_guarded_from_its_new_end_on),
        GUARD_TEST(damage_is_noticed_when_a_block_shrinks),
        GUARD_TEST(guarded_objects_are_constructed),
        GUARD_TEST(slots_are_seen_from_outside),
        GUARD_TEST(caches_can_stay_out_of_it),
        GUARD_TEST(the_validator_knows_the_ring),
        GUARD_TEST(guarded_blocks_are_blocks_like_others),
        GUARD_TEST(without_a_slot_a_block_comes_from_its_slab),
        GUARD_TEST(every_so_many_slow_operations_one_is_sampled),
        GUARD_TEST(guarded_blocks_are_visited_and_searched),
        GUARD_TEST(a_cache_that_ends_takes_its_slots_along),
        GUARD_TEST(bad_guards_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
