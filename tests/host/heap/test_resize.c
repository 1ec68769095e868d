/* Resizing: what stays, what moves, and what room a growing block gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mm/slab/internal.h"
#include "reports.h"
#include "tests/host/support/random.h"
#include "virtual_fixture.h"

static struct heap_statistics statistics_now(void)
{
    struct heap_statistics statistics;
    heap_statistics(&fixture.heap, &statistics);
    return statistics;
}

static void resizing_keeps_the_contents(void **state)
{
    (void)state;
    uint64_t random = 5;
    uint8_t *pointer = NULL;
    size_t length = 0;
    for (unsigned i = 0; i < 2000; i++) {
        size_t bytes = random_next(&random) >> 40;
        bytes %= i % 50 == 0 ? 100000 : 3000;
        uint8_t *moved = heap_resize(&fixture.heap, pointer, bytes);
        assert_non_null(moved);
        for (size_t j = 0; j < min_u64(length, bytes); j++) {
            assert_int_equal(moved[j], (uint8_t)(i - 1 + j));
        }
        for (size_t j = 0; j < bytes; j++) {
            moved[j] = (uint8_t)(i + j);
        }
        pointer = moved;
        length = bytes;
    }
    /* What cannot be had leaves the old block as it was. */
    assert_null(heap_resize(&fixture.heap, pointer, GIB(1)));
    for (size_t j = 0; j < length; j++) {
        assert_int_equal(pointer[j], (uint8_t)(1999 + j));
    }
    char *copy = heap_duplicate(&fixture.heap, "text", 5);
    assert_string_equal(copy, "text");
    heap_free(&fixture.heap, copy);
    heap_free(&fixture.heap, pointer);
    heap_free(&fixture.heap, NULL);
    assert_int_equal(fixture.reports, 0);
    /* Resizing what is no block names the mistake. */
    int local = 0;
    assert_null(heap_resize(&fixture.heap, &local, 100));
    assert_int_equal(fixture.report.fault, SLAB_FOREIGN_POINTER);
}

/* A large block that needs as many frames as before stays, and its new length is noted. */
static void resizing_large_blocks_is_noted(void **state)
{
    (void)state;
    char *block = heap_alloc(&fixture.heap, 9000);
    assert_ptr_equal(heap_resize(&fixture.heap, block, 12000), block);
    assert_int_equal(statistics_now().large_asked, 12000);
    assert_ptr_equal(heap_resize(&fixture.heap, block, 8193), block);
    assert_int_equal(statistics_now().large_asked, 8193);
    fixture_check(&fixture);
    char *longer = heap_resize(&fixture.heap, block, 13000);
    assert_int_equal(statistics_now().large_asked, 13000);
    fixture_check(&fixture);
    char *shorter = heap_resize(&fixture.heap, longer, 12000); /* a frame less: it goes back */
    assert_int_equal(statistics_now().large_bytes, 12288);
    assert_int_equal(statistics_now().large_asked, 12000);
    fixture_check(&fixture);
    /* Where there is nothing to move to, it stays as it was. */
    slab_fail_every(&fixture.heap.slabs, 1);
    assert_ptr_equal(heap_resize(&fixture.heap, shorter, 5000), shorter);
    slab_fail_every(&fixture.heap.slabs, 0);
    assert_int_equal(statistics_now().large_asked, 12000);
    heap_free(&fixture.heap, shorter);
    assert_int_equal(statistics_now().large_asked, 0);
    assert_int_equal(fixture.reports, 0);
}

/* The frame at `bytes` bytes behind the start of a block, taken; none when it is not free. */
static phys_addr_t take_behind(struct heap_fixture *heap, const char *block, uint64_t bytes)
{
    phys_addr_t frame = phys_addr((uintptr_t)block + bytes - heap->heap.slabs.base);
    return frame_alloc_at(&heap->machine.pool, frame, 0, OWNER_TEST) == FRAME_OK ? frame : FRAME_NONE;
}

/*
 * However little a block grows at a time, it stays where it is if what follows is free, and else moves four
 * times until it is twice as long, under any policy.
 */
static void a_block_that_grows_has_room(void **state)
{
    (void)state;
    static const char *const rules[] = {NULL, "large:all", NULL};
    static const bool closed[] = {false, false, true};
    for (unsigned i = 0; i < ARRAY_LENGTH(rules); i++) {
        static struct heap_fixture growing;
        assert_int_equal(fixture_start(&growing, HEAP_MACHINE_BYTES, 1, rules[i]), SLAB_OK);
        char *block = heap_alloc(&growing.heap, MIB(1));
        unsigned moves = 0;
        for (size_t bytes = MIB(1) + KIB(4); bytes <= MIB(16); bytes += KIB(4)) {
            struct heap_facts before;
            heap_look(&growing.heap, block, &before);
            phys_addr_t behind = closed[i] ? take_behind(&growing, block, before.room) : FRAME_NONE;
            char *resized = heap_resize(&growing.heap, block, bytes);
            assert_non_null(resized);
            moves += resized != block;
            block = resized;
            if (behind.raw != 0) {
                frame_free(&growing.machine.pool, behind, 0);
            }
            block[bytes - 1] = (char)(bytes >> 12);
            assert_true(heap_usable_size(&growing.heap, block) >= bytes);
        }
        assert_in_range(moves, closed[i] ? 10 : 0, closed[i] ? 20 : 0);
        for (size_t bytes = MIB(1) + KIB(4); bytes <= MIB(16); bytes += KIB(4)) {
            assert_int_equal(block[bytes - 1], (char)(bytes >> 12));
        }
        struct heap_facts facts;
        heap_look(&growing.heap, block + MIB(9), &facts);
        assert_int_equal(facts.kind, HEAP_LARGE);
        assert_ptr_equal(facts.block, block);
        assert_int_equal(facts.bytes, MIB(16));
        fixture_check(&growing);
        block = heap_resize(&growing.heap, block, MIB(16) + 1); /* a quarter of room */
        assert_non_null(block);
        heap_look(&growing.heap, block, &facts);
        assert_int_equal(facts.bytes, MIB(16) + 1);
        assert_int_equal(facts.room, MIB(20));
        fixture_check(&growing);
        block = heap_resize(&growing.heap, block, MIB(12)); /* room is for those that grow */
        heap_look(&growing.heap, block, &facts);
        assert_int_equal(facts.room, rules[i] ? MIB(12) + KIB(4) : MIB(12)); /* and for a red zone */
        fixture_check(&growing);
        heap_free(&growing.heap, block);
        assert_int_equal(growing.reports, 0);
        fixture_stop(&growing);
    }
}

/* All frames that follow are taken, or none: what is not free behind them is given back. */
static void a_block_takes_all_that_follows_or_nothing(void **state)
{
    (void)state;
    struct heap_facts facts;
    char *block = heap_alloc(&fixture.heap, MIB(1));
    memset(block, 7, MIB(1));
    phys_addr_t last = take_behind(&fixture, block, MIB(1) + KIB(252)); /* of the quarter that it would get */
    assert_int_not_equal(last.raw, 0);
    int64_t free = frame_pool_free(&fixture.machine.pool);
    char *moved = heap_resize(&fixture.heap, block, MIB(1) + 1);
    assert_ptr_not_equal(moved, block);
    assert_int_equal(frame_pool_free(&fixture.machine.pool), free - (int64_t)(KIB(256) / FRAME_BYTES));
    frame_free(&fixture.machine.pool, last, 0);
    char *grown = heap_resize(&fixture.heap, moved, MIB(2));
    assert_ptr_equal(grown, moved);
    for (size_t i = 0; i < MIB(1); i++) {
        assert_int_equal(grown[i], 7);
    }
    fixture_check(&fixture);
    /* All of it is one block, and its parts are no blocks. */
    heap_look(&fixture.heap, grown + MIB(2) - 1, &facts);
    assert_int_equal(facts.kind, HEAP_LARGE);
    assert_ptr_equal(facts.block, grown);
    assert_int_equal(heap_usable_size(&fixture.heap, grown + MIB(1) + KIB(256)), 0);
    heap_free(&fixture.heap, grown + MIB(1) + KIB(256));
    assert_int_equal(fixture.report.fault, SLAB_INTERIOR_POINTER);
    assert_ptr_equal(fixture.report.object, grown);
    heap_free(&fixture.heap, grown);
    assert_int_equal(statistics_now().large_blocks, 0);
    assert_int_equal(statistics_now().large_bytes, 0);
    fixture_check(&fixture);
    /* One that is a power of two of frames again goes back whole. */
    block = heap_alloc(&fixture.heap, KIB(16));
    free = frame_pool_free(&fixture.machine.pool);
    grown = heap_resize(&fixture.heap, block, KIB(32));
    assert_ptr_equal(grown, block);
    heap_free(&fixture.heap, grown);
    assert_int_equal(frame_pool_free(&fixture.machine.pool), free + (int64_t)(KIB(16) / FRAME_BYTES));
    fixture_check(&fixture);
    assert_int_equal(fixture.reports, 1);
    fixture.reports = 0;
}

/* A growing block is searched for damage, and an allocation that shall fail does. */
static void a_block_grows_under_policies(void **state)
{
    (void)state;
    static struct heap_fixture watched;
    struct heap_facts facts;
    assert_int_equal(fixture_start(&watched, HEAP_MACHINE_BYTES, 1, "large:all"), SLAB_OK);
    char *block = heap_alloc(&watched.heap, KIB(64) - 16);
    char *grown = heap_resize(&watched.heap, block, KIB(64)); /* 16 bytes of red zone are a frame more */
    assert_ptr_equal(grown, block);
    heap_look(&watched.heap, grown, &facts);
    assert_int_equal(facts.bytes, KIB(64));
    assert_int_equal(facts.room, KIB(80));
    fixture_check(&watched);
    grown = heap_resize(&watched.heap, grown, KIB(90));
    assert_ptr_equal(grown, block);
    assert_int_equal((uint8_t)grown[KIB(85)], SLAB_BYTE_FRESH);
    assert_int_equal((uint8_t)grown[KIB(90)], SLAB_BYTE_REDZONE);
    assert_int_equal((uint8_t)grown[KIB(96) - 1], SLAB_BYTE_REDZONE);
    fixture_check(&watched);
    int64_t free = frame_pool_free(&watched.machine.pool);
    grown[KIB(90)] = 0;
    assert_ptr_equal(heap_resize(&watched.heap, grown, KIB(120)), grown);
    assert_int_equal(watched.report.fault, SLAB_OVERRUN);
    assert_int_equal(heap_usable_size(&watched.heap, grown), KIB(90));
    assert_int_equal(frame_pool_free(&watched.machine.pool), free);
    grown[KIB(90)] = (char)SLAB_BYTE_REDZONE;
    slab_fail_every(&watched.heap.slabs, 1);
    assert_null(heap_resize(&watched.heap, grown, KIB(120)));
    slab_fail_every(&watched.heap.slabs, 0);
    fixture_check(&watched);
    heap_free(&watched.heap, grown);
    assert_int_equal(watched.reports, 1);
    fixture_stop(&watched);
}

static uint64_t grown_to[2]; /* the lengths that the source was asked for last */
static char *grows_there;    /* where the source has room for the exact length */

static void *grow_elsewhere(void *context, void *pointer, uint64_t bytes)
{
    struct virtual_source *source = context;
    grown_to[0] = grown_to[1];
    grown_to[1] = bytes;
    if (!grows_there || bytes % KIB(64) == 0) { /* none with room */
        return NULL;
    }
    memcpy(grows_there, pointer, VIRTUAL_BYTES);
    source->taken[0] = false;
    source->taken[1] = true;
    return grows_there;
}

/* A virtual block grows by way of its source, with room if that has it, and else is copied. */
static void a_virtual_block_grows_by_its_source(void **state)
{
    (void)state;
    static struct virtual_source source;
    virtual_start(&fixture.heap, &source, 2, 0);
    char *block = fixture.heap.virtually.alloc(&source, VIRTUAL_BYTES);
    block[5] = 9;
    fixture.heap.virtually.grow = grow_elsewhere;
    grows_there = (char *)source.pages[1];
    char *grown = heap_resize(&fixture.heap, block, KIB(300));
    assert_ptr_equal(grown, grows_there);
    assert_int_equal(grown[5], 9);
    assert_int_equal(grown_to[0], KIB(320));
    assert_int_equal(grown_to[1], KIB(300));
    assert_int_equal(statistics_now().virtual_blocks, 1);
    assert_int_equal(statistics_now().large_blocks, 0);
    slab_fail_every(&fixture.heap.slabs, 1); /* an allocation that shall fail does not grow instead */
    assert_null(heap_resize(&fixture.heap, grown, KIB(500)));
    slab_fail_every(&fixture.heap.slabs, 0);
    assert_int_equal(grown_to[1], KIB(300));
    grows_there = NULL;
    char *moved = heap_resize(&fixture.heap, grown, KIB(340));
    assert_non_null(moved);
    assert_int_equal(grown_to[1], KIB(340));
    assert_int_equal(moved[5], 9);
    assert_int_equal(statistics_now().virtual_blocks, 0);
    assert_int_equal(statistics_now().large_blocks, 1);
    heap_free(&fixture.heap, moved);
    assert_int_equal(fixture.reports, 0);
}

#define AREA MIB(16)
#define LEFT MIB(10) /* of an area: what a block that grows beyond 9 MiB needs with its room */

/*
 * Takes all frames, and gives the front of one area back; returns how many are left in taken[]. The last ones
 * given back lie in this CPU's magazine, so that the front is not whole before somebody asks for that.
 */
static uint64_t leave_one_area(phys_addr_t *taken)
{
    struct frame_pool *pool = &fixture.machine.pool;
    uint64_t in_area[HEAP_MACHINE_BYTES / AREA] = {0};
    uint64_t count = 0;
    uint64_t left = 0;
    uint64_t area = 0;
    while (frame_pool_free(pool) > 0) {
        taken[count] = frame_alloc(pool, 0, OWNER_TEST);
        in_area[taken[count++].raw / AREA]++;
    }
    while (in_area[area] != AREA / FRAME_BYTES) {
        area++;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (taken[i].raw - area * AREA < LEFT) {
            frame_free(pool, taken[i], 0);
        } else {
            taken[left++] = taken[i];
        }
    }
    return left;
}

/* Room to grow is had at once or not at all; the block itself is worth more trouble. */
static void a_block_grows_without_room_if_it_must(void **state)
{
    (void)state;
    static phys_addr_t taken[HEAP_MACHINE_BYTES / FRAME_BYTES];
    struct heap_facts facts;
    char *block = heap_alloc(&fixture.heap, MIB(9));
    block[MIB(9) - 1] = 7;
    uint64_t count = leave_one_area(taken);
    block = heap_resize(&fixture.heap, block, MIB(9) + KIB(4));
    assert_non_null(block);
    assert_int_equal(block[MIB(9) - 1], 7);
    heap_look(&fixture.heap, block, &facts);
    assert_int_equal(facts.room, MIB(9) + KIB(4));
    fixture_check(&fixture);
    assert_null(heap_resize(&fixture.heap, block, MIB(250)));
    assert_null(heap_resize(&fixture.heap, block, HEAP_BYTES_MAX + 1));
    heap_look(&fixture.heap, block, &facts);
    assert_int_equal(facts.bytes, MIB(9) + KIB(4));
    heap_free(&fixture.heap, block);
    while (count > 0) {
        frame_free(&fixture.machine.pool, taken[--count], 0);
    }
}

/* The largest request leaves no room for a red zone, and is served all the same. */
static void the_largest_request_is_served_under_any_policy(void **state)
{
    (void)state;
    static struct heap_fixture large;
    static const char *const rules[] = {NULL, "large:redzone,owner"};
    for (unsigned i = 0; i < ARRAY_LENGTH(rules); i++) {
        assert_int_equal(fixture_start(&large, GIB(3), 1, rules[i]), SLAB_OK);
        char *block = heap_alloc(&large.heap, HEAP_BYTES_MAX);
        assert_non_null(block);
        assert_int_equal(heap_usable_size(&large.heap, block), HEAP_BYTES_MAX);
        assert_null(heap_alloc(&large.heap, HEAP_BYTES_MAX + 1));
        heap_free(&large.heap, block);
        assert_int_equal(large.reports, 0);
        fixture_check(&large);
        fixture_stop(&large);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(resizing_keeps_the_contents),           TEST(resizing_large_blocks_is_noted),
        TEST(a_block_that_grows_has_room),           TEST(a_block_takes_all_that_follows_or_nothing),
        TEST(a_block_grows_under_policies),          TEST(a_virtual_block_grows_by_its_source),
        TEST(a_block_grows_without_room_if_it_must), TEST(the_largest_request_is_served_under_any_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
