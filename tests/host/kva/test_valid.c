/* Damage of kernel addresses' structures that the operation which meets it notices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mm/kva/valid.h"
#include "tests/host/support/damage.h"
#include "vmalloc_fixture.h"

static struct vmalloc_fixture fixture;

static int start(void **state)
{
    (void)state;
    vmalloc_fixture_start(&fixture, MIB(16), GIB(1), 1, true);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    validate_at_random(0);
    vmalloc_fixture_stop(&fixture);
    return 0;
}

static struct kva_range *take(void)
{
    static const struct kva_purpose purpose = KVA_PURPOSE("test");
    const struct kva_request request = {.bytes = MIB(1), .purpose = &purpose};
    struct kva_range *range = NULL;
    assert_int_equal(kva_alloc(&fixture.arena, &request, &range), KVA_OK);
    return range;
}

static void an_arena_that_is_none(void **state)
{
    (void)state;
    struct kva_arena *arena = &fixture.arena;
    EXPECT_DAMAGE_SEEN(arena->frames, NULL, take(), "kva_arena_is_valid");
    EXPECT_DAMAGE_SEEN(arena->bytes, 100, take(), "kva_arena_is_valid");
}

static void a_range_at_odds_with_its_neighbours(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct kva_arena *arena = &fixture.arena;
    struct kva_range *range = take();
    assert_non_null(range->higher);
    uint64_t bytes = range->bytes;
    assert_true(kva_range_is_valid(arena, range));
    range->bytes = GIB(2);
    assert_false(kva_range_is_valid(arena, range));
    range->bytes = bytes;
    /* The machine is of no use afterwards: the range is neither there nor freed. */
    EXPECT_DAMAGE_SEEN(range->higher->lower, NULL, kva_release(arena, range), "kva_range_is_valid");
}

static void a_vmalloc_that_is_none(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct vmalloc *vmalloc = &fixture.vmalloc;
    EXPECT_DAMAGE_SEEN(vmalloc->table, NULL, vmalloc_alloc(vmalloc, 1), "vmalloc_is_valid");
    void *block = vmalloc_alloc(vmalloc, 1);
    /* The machine is of no use afterwards: the block is neither there nor freed. */
    EXPECT_DAMAGE_SEEN(vmalloc->retired_ranges, 1, vmalloc_free(vmalloc, block), "vmalloc_retired_is_valid");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_arena_that_is_none, start, stop),
        cmocka_unit_test_setup(a_range_at_odds_with_its_neighbours, start),
        cmocka_unit_test_setup(a_vmalloc_that_is_none, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
