/* Damage of a frame pool that the operation which meets it notices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "mm/frame/valid.h"
#include "tests/host/support/damage.h"

static struct machine machine;

static int start(void **state)
{
    (void)state;
    machine_make_pc(&machine);
    return machine_start(&machine, 1, NULL) == FRAME_OK ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    validate_at_random(0);
    machine_destroy(&machine);
    return 0;
}

static phys_addr_t take(void)
{
    const struct frame_request request = {.frames = 3, .owner = OWNER_HEAP};
    phys_addr_t address = FRAME_NONE;
    assert_int_equal(frame_alloc_request(&machine.pool, &request, &address), FRAME_OK);
    return address;
}

static void a_pool_that_is_none(void **state)
{
    (void)state;
    struct frame_pool *pool = &machine.pool;
    EXPECT_DAMAGE_SEEN(pool->frame_limit, 0, take(), "frame_pool_is_valid");
    EXPECT_DAMAGE_SEEN(pool->config.policy, NULL, take(), "frame_pool_is_valid");
    EXPECT_DAMAGE_SEEN(pool->descriptors, NULL, frame_get(pool, phys_addr(MIB(2))), "frame_pool_is_valid");
    EXPECT_DAMAGE_SEEN(pool->cpu, NULL, frame_pool_drain(pool), "frame_pool_is_valid");
    frame_free_run(pool, take(), 3);
    assert_true(machine_is_sound(&machine));
}

static void counts_that_do_not_fit_together(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct frame_pool *pool = &machine.pool;
    EXPECT_DAMAGE_SEEN(pool->managed_frames, pool->free_frames - 1, take(), "frame_store_is_valid");
    spinlock_init(&pool->lock, LOCK_FRAME_POOL, 0); /* which that panic has left taken */
    EXPECT_DAMAGE_SEEN(pool->reserve[0].end, pool->frame_limit + 1, take(), "frame_store_is_valid");
    spinlock_init(&pool->lock, LOCK_FRAME_POOL, 0);
    frame_free_run(pool, take(), 3);
    assert_true(machine_is_sound(&machine));
}

static void a_magazine_that_holds_more_than_it_can(void **state)
{
    (void)state;
    struct frame_magazine *magazine = &machine.pool.cpu[0].magazine[0];
    uint32_t end = magazine->end;
    assert_true(frame_magazine_is_valid(magazine));
    atomic_store(&magazine->top, end + 1);
    assert_false(frame_magazine_is_valid(magazine));
    atomic_store(&magazine->top, magazine->bottom);
    atomic_store(&magazine->limit, end - 1);
    assert_false(frame_magazine_is_valid(magazine));
    atomic_store(&magazine->limit, end);
    frame_pool_drain(&machine.pool);
    EXPECT_DAMAGE_SEEN(magazine->end, FRAME_SLOTS + 1, frame_alloc(&machine.pool, 0, OWNER_HEAP),
                       "frame_magazine_is_valid");
    assert_true(machine_is_sound(&machine));
}

/* What no constant-time look can see, the whole validator does, if its turn comes. */
static void damage_that_only_the_validator_sees(void **state)
{
    (void)state;
    struct frame_pool *pool = &machine.pool;
    uint64_t fixed = pool->fixed_bytes[OWNER_KEPT];
    pool->fixed_bytes[OWNER_KEPT] = fixed + FRAME_BYTES;
    frame_free_run(pool, take(), 3);
    pool->fixed_bytes[OWNER_KEPT] = fixed;
    validate_at_random(1);
    uint64_t before = validate_runs();
    EXPECT_DAMAGE_SEEN(pool->fixed_bytes[OWNER_KEPT], fixed + FRAME_BYTES, take(), "frame_pool_check");
    assert_true(validate_runs() > before);
    validate_end(); /* of the one that ended in a panic */
    frame_free_run(pool, take(), 3);
    assert_true(validate_runs() > before + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_pool_that_is_none, start, stop),
        cmocka_unit_test_setup_teardown(counts_that_do_not_fit_together, start, stop),
        cmocka_unit_test_setup_teardown(a_magazine_that_holds_more_than_it_can, start, stop),
        cmocka_unit_test_setup_teardown(damage_that_only_the_validator_sees, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
