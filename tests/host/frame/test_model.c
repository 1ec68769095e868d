/* The frame pool against its reference model: random maps, exhaustive small cases, both policies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "random.h"

static void run_many(const struct frame_policy *policy)
{
    static struct machine machine;
    unsigned ran = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        ran += run_one(&machine, seed, 3000, policy);
    }
    assert_true(ran > 40);
}

static void buddy_agrees_with_the_model_on_random_maps(void **state)
{
    (void)state;
    run_many(&frame_policy_buddy);
}

static void bitmap_agrees_with_the_model_on_random_maps(void **state)
{
    (void)state;
    run_many(&frame_policy_bitmap);
}

static void buddy_agrees_with_the_model_on_large_machines(void **state)
{
    (void)state;
    static struct machine machine;
    uint64_t failures = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        run_large(&machine, seed, 1500);
        failures += the_model.failures;
    }
    assert_true(failures > 0);
}

/* A pool of exactly 16 free frames at 16 MiB, all backed; `prefix` frames there are not of the pool. */
static void small_machine(struct machine *machine, const struct frame_policy *policy)
{
    machine->map_count = 0;
    machine->last_table = 0;
    machine_range(machine, MIB(16), FRAME_BYTES * 16, MEMORY_BOOT_RECLAIMABLE);
    machine_range(machine, MIB(32), FRAME_BYTES * 32, MEMORY_USABLE);
    assert_int_equal(machine_start(machine, 1, policy), FRAME_OK);
    assert_int_equal(frame_pool_back(&machine->pool, phys_addr(MIB(16)), FRAME_BYTES), FRAME_OK);
    while (frame_alloc(&machine->pool, 0, OWNER_OTHER).raw != 0) {
    }
    assert_int_equal(frame_pool_reclaim(&machine->pool, MEMORY_BOOT_RECLAIMABLE), FRAME_OK);
    assert_int_equal(frame_pool_free(&machine->pool), 16);
}

/* The 20 operations of the exhaustive test, by number. */
static void small_step(struct frame_model *model, unsigned number)
{
    if (number < 5) {
        frame_model_alloc(model, number, OWNER_TEST);
    } else if (number < 9) {
        if (model->block_count > number - 5) {
            frame_model_free_block(model, number - 5);
        }
    } else if (number < 12) {
        frame_model_request(model, (number - 9) * 4 + 2, 0, OWNER_TEST); /* 3, 7 and 11 frames */
    } else if (number < 16) {
        frame_model_alloc_at(model, model->first + (number - 12) * 4, (number - 12) % 3, OWNER_TEST);
    } else {
        frame_model_mistake(model, model->first + number - 16, number - 16, 0);
    }
    MODEL_CHECK(frame_pool_free(model->pool) == model->free);
}

static void exhaust(const struct frame_policy *policy)
{
    static struct machine machine;
    machine_make(&machine, MIB(64));
    small_machine(&machine, policy);
    frame_model_init(&the_model, &machine.pool);
    the_model.first = MIB(16) >> FRAME_SHIFT;
    uint64_t sequences = 1;
    for (unsigned i = 0; i < 5; i++) {
        sequences *= 20;
    }
    for (uint64_t sequence = 0; sequence < sequences; sequence++) {
        uint64_t digits = sequence;
        for (unsigned i = 0; i < 5; i++, digits /= 20) {
            small_step(&the_model, digits % 20);
        }
        if (sequence % 64 == 0) {
            frame_model_verify(&the_model);
        }
        while (the_model.block_count > 0) {
            frame_model_free_block(&the_model, the_model.block_count - 1);
        }
        frame_pool_drain(&machine.pool);
    }
    frame_model_finish(&the_model);
    machine_destroy(&machine);
}

static void every_sequence_of_five_operations_on_sixteen_frames(void **state)
{
    (void)state;
    exhaust(&frame_policy_buddy);
}

static void the_same_by_a_bitmap(void **state)
{
    (void)state;
    exhaust(&frame_policy_bitmap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buddy_agrees_with_the_model_on_random_maps),
        cmocka_unit_test(bitmap_agrees_with_the_model_on_random_maps),
        cmocka_unit_test(buddy_agrees_with_the_model_on_large_machines),
        cmocka_unit_test(every_sequence_of_five_operations_on_sixteen_frames),
        cmocka_unit_test(the_same_by_a_bitmap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
