/* Arenas of kernel addresses, rule by rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "mm/kva/internal.h"

#define BASE 0xffffd00000000000

static struct kva_fixture fixture;

static struct kva_range *take(uint64_t bytes, uint64_t alignment, uint32_t guards)
{
    enum kva_error error;
    struct kva_range *range = kva_take(&fixture, bytes, alignment, guards, &error);
    assert_int_equal(error, KVA_OK);
    return range;
}

static enum kva_error refusal(uint64_t bytes, uint64_t alignment, uint32_t guards)
{
    enum kva_error error;
    assert_null(kva_take(&fixture, bytes, alignment, guards, &error));
    return error;
}

static void init_refuses_what_is_no_arena(void **state)
{
    (void)state;
    struct kva_arena *arena = &fixture.arena;
    kva_fixture_machine(&fixture, 1);
    struct frame_pool *pool = &fixture.machine.pool;
    assert_int_equal(kva_init(arena, virt_addr(BASE), 0, pool), KVA_BAD_ARENA);
    assert_int_equal(kva_init(arena, virt_addr(BASE + 1), FRAME_BYTES, pool), KVA_BAD_ARENA);
    assert_int_equal(kva_init(arena, virt_addr(BASE), FRAME_BYTES + 8, pool), KVA_BAD_ARENA);
    assert_int_equal(kva_init(arena, virt_addr(0), KVA_BYTES_MAX + FRAME_BYTES, pool), KVA_BAD_ARENA);
    assert_int_equal(kva_init(arena, virt_addr(-FRAME_BYTES), 2 * FRAME_BYTES, pool), KVA_BAD_ARENA);
    kva_starve(&fixture, 0);
    assert_int_equal(kva_init(arena, virt_addr(BASE), FRAME_BYTES, pool), KVA_NO_MEMORY);
    kva_starve(&fixture, 1);
    assert_int_equal(kva_init(arena, virt_addr(0), KVA_BYTES_MAX, pool), KVA_OK);
    kva_fixture_stop(&fixture, 0);
}

/* With room for its alignment the longest range there can be would be longer than every class of sizes. */
static void the_longest_range_there_can_be(void **state)
{
    (void)state;
    kva_fixture_start(&fixture, 0, KVA_BYTES_MAX);
    assert_int_equal(refusal(KVA_BYTES_MAX, 0, 1), KVA_NO_SPACE);
    struct kva_range *all = take(KVA_BYTES_MAX, KVA_BYTES_MAX, 0);
    assert_int_equal(all->base.raw, 0);
    assert_int_equal(refusal(FRAME_BYTES, 0, 0), KVA_NO_SPACE);
    kva_release(&fixture.arena, all);
    kva_fixture_stop(&fixture, 0);
}

static void alloc_refuses_bad_requests_by_name(void **state)
{
    (void)state;
    kva_fixture_start(&fixture, BASE, MIB(1));
    assert_int_equal(refusal(0, 0, 0), KVA_BAD_SIZE);
    assert_int_equal(refusal(MIB(1) + 1, 0, 0), KVA_BAD_SIZE);
    assert_int_equal(refusal(UINT64_MAX, 0, 0), KVA_BAD_SIZE);
    assert_int_equal(refusal(100, 3, 0), KVA_BAD_ALIGNMENT);
    assert_int_equal(refusal(100, 4097, 0), KVA_BAD_ALIGNMENT);
    assert_int_equal(refusal(100, KVA_BYTES_MAX * 2, 0), KVA_BAD_ALIGNMENT);
    assert_int_equal(refusal(100, 0, KVA_GUARDS_MAX + 1), KVA_BAD_GUARDS);
    assert_int_equal(refusal(MIB(1), 0, 1), KVA_NO_SPACE);
    assert_int_equal(refusal(100, 0, KVA_GUARDS_MAX), KVA_NO_SPACE);
    assert_int_equal(refusal(100, MIB(2), 1), KVA_NO_SPACE);
    kva_fixture_stop(&fixture, 0);
}

static void free_names_mistakes(void **state)
{
    (void)state;
    kva_fixture_start(&fixture, BASE, MIB(1));
    struct kva_arena *arena = &fixture.arena;
    virt_addr_t small = take(5000, 0, 1)->base;
    virt_addr_t large = take(KIB(200), 0, 3)->base;
    struct kva_range *found;
    assert_int_equal(kva_free(arena, virt_addr(BASE - 1)), KVA_FOREIGN);
    assert_int_equal(kva_free(arena, virt_addr(BASE + MIB(1))), KVA_FOREIGN);
    assert_int_equal(kva_free(arena, virt_addr(0)), KVA_FOREIGN);
    assert_int_equal(kva_free(arena, virt_add(small, 1)), KVA_INTERIOR);
    assert_int_equal(kva_free(arena, virt_add(small, FRAME_BYTES)), KVA_INTERIOR);
    assert_int_equal(kva_free(arena, virt_add(small, -FRAME_BYTES)), KVA_INTERIOR);
    assert_int_equal(kva_free(arena, virt_add(large, KIB(200))), KVA_INTERIOR);
    assert_int_equal(kva_find(arena, virt_add(small, 8), &found), KVA_INTERIOR);
    assert_int_equal(kva_free(arena, virt_addr(BASE + MIB(1) - FRAME_BYTES)), KVA_NOT_ALLOCATED);
    assert_int_equal(kva_find(arena, small, &found), KVA_OK);
    assert_int_equal(found->bytes, 2 * FRAME_BYTES);
    assert_int_equal(kva_free(arena, small), KVA_OK);
    assert_int_equal(kva_free(arena, small), KVA_NOT_ALLOCATED);
    assert_int_equal(kva_find(arena, small, &found), KVA_NOT_ALLOCATED);
    assert_int_equal(kva_free(arena, large), KVA_OK);
    assert_int_equal(kva_free(arena, large), KVA_NOT_ALLOCATED);
    kva_fixture_stop(&fixture, 0);
}

static void only_one_can_claim(void **state)
{
    (void)state;
    static const struct kva_purpose other = {"other", "below", "above"};
    struct kva_range *found = NULL;
    struct kva_facts facts;
    kva_fixture_start(&fixture, BASE, MIB(1));
    struct kva_arena *arena = &fixture.arena;
    virt_addr_t base = take(FRAME_BYTES, 0, 1)->base;
    assert_int_equal(kva_claim(arena, base, &other, &other, &found), KVA_WRONG_PURPOSE);
    assert_int_equal(kva_claim(arena, virt_add(base, 1), &kva_test_purpose, &other, &found), KVA_INTERIOR);
    assert_null(found);
    assert_int_equal(kva_claim(arena, base, &kva_test_purpose, &other, &found), KVA_OK);
    assert_int_equal(found->base.raw, base.raw);
    assert_int_equal(kva_claim(arena, base, &kva_test_purpose, &other, &found), KVA_WRONG_PURPOSE);
    assert_true(kva_look(arena, base, &facts) && facts.purpose == &other);
    kva_release(arena, found);
    assert_int_equal(kva_claim(arena, base, &other, &other, &found), KVA_NOT_ALLOCATED);
    kva_fixture_stop(&fixture, 0);
}

/* What was freed comes back as one piece, whatever waited in quick lists. */
static void space_is_not_lost(void **state)
{
    (void)state;
    kva_fixture_start(&fixture, BASE, MIB(1));
    struct kva_range *ranges[256];
    for (unsigned round = 0; round < 3; round++) {
        unsigned count = 0;
        enum kva_error error;
        while ((ranges[count] = kva_take(&fixture, FRAME_BYTES * (1 + count % 5), 0, count & 1, &error))) {
            count++;
        }
        assert_int_equal(error, KVA_NO_SPACE);
        for (unsigned i = 0; i < count; i++) { /* the even ones, then the odd ones */
            unsigned even = (count + 1) / 2;
            kva_release(&fixture.arena, ranges[i < even ? 2 * i : 2 * (i - even) + 1]);
        }
        kva_release(&fixture.arena, take(MIB(1), 0, 0));
    }
    kva_fixture_stop(&fixture, 0);
}

static void a_freed_range_is_used_again_as_it_is(void **state)
{
    (void)state;
    kva_fixture_start(&fixture, BASE, GIB(1));
    struct kva_range *first = take(KIB(64), 0, 1);
    virt_addr_t base = first->base;
    uint64_t slow = fixture.arena.slow_operations;
    kva_release(&fixture.arena, first);
    first = take(KIB(62), 0, 1);
    assert_int_equal(first->base.raw, base.raw);
    assert_int_equal(fixture.arena.slow_operations, slow);
    assert_ptr_not_equal(take(KIB(64), 0, 0), first); /* without guards it is another kind */
    kva_fixture_stop(&fixture, 2);
}

static void every_size_and_alignment(void **state)
{
    (void)state;
    kva_fixture_start(&fixture, BASE + FRAME_BYTES, TIB(16) - FRAME_BYTES);
    for (unsigned size = 12; size < 44; size++) {
        for (unsigned alignment = 12; alignment < 44; alignment += 3) {
            struct kva_range *range = take((1ULL << size) - 4096 + 1, 1ULL << alignment, size % 3);
            assert_true(is_aligned(range->base.raw, 1ULL << alignment));
            assert_int_equal(range->bytes, 1ULL << size);
            kva_fixture_check(&fixture);
            assert_int_equal(kva_free(&fixture.arena, range->base), KVA_OK);
        }
    }
    kva_fixture_stop(&fixture, 0);
}

static void a_look_tells_guards_from_insides(void **state)
{
    (void)state;
    kva_fixture_start(&fixture, BASE, GIB(1));
    struct kva_range *range = take(3 * FRAME_BYTES, 0, 2);
    struct kva_facts facts;
    assert_true(kva_look(&fixture.arena, virt_add(range->base, -1), &facts));
    assert_int_equal(facts.place, KVA_GUARD_BELOW);
    assert_string_equal(facts.purpose->below, "guard page below test range");
    assert_true(kva_look(&fixture.arena, virt_add(range->base, 3 * FRAME_BYTES - 1), &facts));
    assert_int_equal(facts.place, KVA_INSIDE);
    assert_true(kva_look(&fixture.arena, virt_add(range->base, 5 * FRAME_BYTES - 1), &facts));
    assert_int_equal(facts.place, KVA_GUARD_ABOVE);
    assert_int_equal(facts.guard_bytes, 2 * FRAME_BYTES);
    assert_true(kva_look(&fixture.arena, virt_add(range->base, 5 * FRAME_BYTES), &facts));
    assert_int_equal(facts.state, KVA_FREE);
    assert_int_equal(facts.bytes, GIB(1) - 7 * FRAME_BYTES);
    assert_false(kva_look(&fixture.arena, virt_addr(BASE + GIB(1)), &facts));
    kva_fixture_stop(&fixture, 1);
}

/* With n frames left, for n = 0, 1, ... until it succeeds: a failure changes nothing. */
static void every_failure_leaves_all_as_it_was(void **state)
{
    (void)state;
    static const struct kva_request requests[] = {
        {FRAME_BYTES, 0, 1, &kva_test_purpose, NULL},
        {MIB(5), MIB(64), 0, &kva_test_purpose, NULL},
        {TIB(1), GIB(1), 1, &kva_test_purpose, NULL},
    };
    for (unsigned full = 0; full < 60;
         full++) { /* so many records more are in use: all fillings of a frame */
        kva_fixture_start(&fixture, BASE + FRAME_BYTES, TIB(16) - FRAME_BYTES);
        for (unsigned i = 0; i < full; i++) {
            take(FRAME_BYTES, MIB(i % 2 ? 2 : 1), 0);
        }
        for (unsigned i = 0; i < ARRAY_LENGTH(requests); i++) {
            struct kva_range *range = NULL;
            enum kva_error error = KVA_NO_MEMORY;
            for (uint64_t frames = 0; error != KVA_OK; frames++) {
                struct kva_statistics before;
                struct kva_statistics after;
                kva_starve(&fixture, frames);
                kva_statistics(&fixture.arena, &before);
                error = kva_alloc(&fixture.arena, &requests[i], &range);
                kva_statistics(&fixture.arena, &after);
                kva_fixture_check(&fixture);
                assert_true(frames <= 8);
                if (error != KVA_OK) {
                    assert_int_equal(error, KVA_NO_MEMORY);
                    assert_null(range);
                    assert_int_equal(after.free_bytes, before.free_bytes);
                    assert_int_equal(after.free_ranges, before.free_ranges);
                    assert_true(after.memory_bytes <= before.memory_bytes + FRAME_BYTES);
                }
            }
            kva_feed(&fixture);
        }
        kva_fixture_stop(&fixture, full + ARRAY_LENGTH(requests));
    }
}

/* Freeing never needs memory. */
static void everything_can_be_freed_without_memory(void **state)
{
    (void)state;
    kva_fixture_start(&fixture, BASE, TIB(16));
    struct kva_range *ranges[100];
    for (unsigned i = 0; i < ARRAY_LENGTH(ranges); i++) {
        ranges[i] = take(FRAME_BYTES * (1 + i % 40), MIB(4), i % 3);
    }
    kva_starve(&fixture, 0);
    for (unsigned i = 0; i < ARRAY_LENGTH(ranges); i++) {
        assert_int_equal(kva_free(&fixture.arena, ranges[i * 37 % 100]->base), KVA_OK);
        kva_fixture_check(&fixture);
    }
    kva_reap(&fixture.arena);
    assert_int_equal(fixture.arena.free_ranges, 1);
    assert_int_equal(fixture.arena.memory.node_frames, 0);
    kva_fixture_stop(&fixture, 0);
}

/* The best place is found even where the constant-time search passes it over. */
static void a_fit_in_the_same_class_is_found(void **state)
{
    (void)state;
    kva_fixture_start(&fixture, BASE, 1001 * FRAME_BYTES);
    struct kva_range *all = take(1000 * FRAME_BYTES, 0, 0);
    take(FRAME_BYTES, 0, 0);
    kva_release(&fixture.arena, all);
    all = take(999 * FRAME_BYTES, 0, 0); /* 1000 and 999 share a class, which only begins at 992 */
    kva_release(&fixture.arena, all);
    take(1000 * FRAME_BYTES, 0, 0);
    kva_fixture_stop(&fixture, 2);
}

/* ---- The validator sees what is broken ---- */

static const char *complaint(void)
{
    struct kva_problem problem;
    return kva_check(&fixture.arena, &problem) ? "none" : problem.what;
}

#define EXPECT_COMPLAINT(field, wrong, what)                                                                 \
    do {                                                                                                     \
        __typeof__(field) kept = (field);                                                                    \
        (field) = (wrong);                                                                                   \
        assert_string_equal(complaint(), what);                                                              \
        (field) = kept;                                                                                      \
        assert_string_equal(complaint(), "none");                                                            \
    } while (0)

static void the_validator_names_damage(void **state)
{
    (void)state;
    kva_fixture_start(&fixture, BASE, GIB(1));
    struct kva_arena *arena = &fixture.arena;
    struct kva_range *a = take(FRAME_BYTES, 0, 1);
    struct kva_range *b = take(KIB(300), 0, 0);
    struct kva_range *c = take(KIB(300), 0, 0);
    struct kva_range *held = take(FRAME_BYTES, 0, 0);
    kva_release(arena, b);
    kva_release(arena, held);
    EXPECT_COMPLAINT(b->bytes, b->bytes + FRAME_BYTES, "ranges do not meet");
    EXPECT_COMPLAINT(a->bytes, 100, "range is not whole pages");
    EXPECT_COMPLAINT(a->state, 7, "state of a range");
    EXPECT_COMPLAINT(a->kind, 0, "kind of a range");
    EXPECT_COMPLAINT(a->state, KVA_HELD, "ranges in quick lists");
    EXPECT_COMPLAINT(c->lower, a, "link to the lower neighbour");
    EXPECT_COMPLAINT(c->state, KVA_FREE, "free range beside a free one");
    EXPECT_COMPLAINT(b->previous, c, "a list of free ranges is broken");
    EXPECT_COMPLAINT(arena->doublings, 0, "bitmap of doublings");
    EXPECT_COMPLAINT(arena->subclasses[3], 0x5555, "bitmap of size classes");
    EXPECT_COMPLAINT(arena->free_ranges, 7, "count of free ranges");
    EXPECT_COMPLAINT(arena->taken_ranges, 7, "count of taken ranges");
    EXPECT_COMPLAINT(arena->taken_pages, 7, "count of taken pages");
    EXPECT_COMPLAINT(arena->guard_pages, 7, "count of guard pages");
    EXPECT_COMPLAINT(arena->quick[0].ranges[0], a, "range in a wrong quick list");
    EXPECT_COMPLAINT(arena->quick[0].count, 99, "count of a quick list");
    EXPECT_COMPLAINT(arena->recent[2], a, "range remembered wrongly");
    EXPECT_COMPLAINT(arena->recent[0], b, "range remembered wrongly");
    EXPECT_COMPLAINT(arena->tree, arena->tree + 1, "used slots of a node");
    EXPECT_COMPLAINT(arena->tree, 0, "the tree leads elsewhere");
    EXPECT_COMPLAINT(arena->memory.node_frames, 9, "count of nodes");
    EXPECT_COMPLAINT(arena->memory.records, 99, "free records");
    EXPECT_COMPLAINT(arena->memory.unused_frames, 9, "frames without a record in use");
    EXPECT_COMPLAINT(arena->lists[0][1], c, "a list of free ranges is broken");
    EXPECT_COMPLAINT(arena->bytes, GIB(2), "bytes of all ranges");
    b->base.raw += FRAME_BYTES;
    b->bytes -= 2 * FRAME_BYTES;
    b->guard_pages = 1;
    assert_string_equal(complaint(), "free range with guard pages");
    b->base.raw -= FRAME_BYTES;
    b->bytes += 2 * FRAME_BYTES;
    b->guard_pages = 0;
    EXPECT_COMPLAINT(arena->lists[0][1], b, "free range in the list of another size");
    EXPECT_COMPLAINT(arena->memory.partial->used, 0, "records of a frame");
    uint64_t *inner = kva_link_node(arena->tree)->slot;
    assert_true(arena->tree_shift > 0 && *inner != 0);
    EXPECT_COMPLAINT(*inner, *inner + 1, "used slots of a node");
    kva_fixture_stop(&fixture, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_refuses_what_is_no_arena),
        cmocka_unit_test(the_longest_range_there_can_be),
        cmocka_unit_test(alloc_refuses_bad_requests_by_name),
        cmocka_unit_test(free_names_mistakes),
        cmocka_unit_test(only_one_can_claim),
        cmocka_unit_test(space_is_not_lost),
        cmocka_unit_test(a_freed_range_is_used_again_as_it_is),
        cmocka_unit_test(every_size_and_alignment),
        cmocka_unit_test(a_look_tells_guards_from_insides),
        cmocka_unit_test(every_failure_leaves_all_as_it_was),
        cmocka_unit_test(everything_can_be_freed_without_memory),
        cmocka_unit_test(a_fit_in_the_same_class_is_found),
        cmocka_unit_test(the_validator_names_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
