/* The frame pool against its reference model: random maps, exhaustive small cases, both policies. */
#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "frame_model.h"

static uint64_t random_state;

static uint32_t random_number(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}

/* A map of up to 20 ranges with holes, odd ends and every type, some of it beyond 4 GiB or across arenas. */
static void random_map(struct machine *machine)
{
    static const uint64_t starts[] = {0, MIB(1), MIB(15), GIB(1) - MIB(3), GIB(4) - MIB(2), GIB(5) + MIB(7)};
    uint64_t address = starts[random_number() % 3];
    unsigned ranges = 3 + random_number() % 17;
    machine->map_count = 0;
    for (unsigned i = 0; i < ranges; i++) {
        uint64_t frames = random_number() % 4 == 0 ? 1 + random_number() % 1500 : 1 + random_number() % 70;
        enum memory_type type = random_number() % 2 ? MEMORY_USABLE : random_number() % MEMORY_TYPE_COUNT;
        machine_range(machine, address, frames << FRAME_SHIFT, type);
        address += (frames + (random_number() % 3 ? 0 : random_number() % 300)) << FRAME_SHIFT;
        uint64_t jump = starts[random_number() % ARRAY_LENGTH(starts)];
        if (random_number() % 8 == 0 && jump > address) {
            address = jump;
        }
    }
    machine_range(machine, address, FRAME_BYTES * (64 + random_number() % 2000), MEMORY_USABLE);
}

static enum model_operation random_operation(void)
{
    static const uint8_t weights[] = {MODEL_ALLOC,    MODEL_ALLOC,      MODEL_ALLOC,      MODEL_ALLOC,
                                      MODEL_ALLOC,    MODEL_FREE_BLOCK, MODEL_FREE_BLOCK, MODEL_FREE_BLOCK,
                                      MODEL_REQUEST,  MODEL_FREE_BLOCK, MODEL_FREE_BLOCK, MODEL_FREE_BLOCK,
                                      MODEL_ALLOC_AT, MODEL_MISTAKE,    MODEL_SHARE,      MODEL_FREE_BLOCK};
    uint32_t number = random_number();
    if (number % 61 == 0) {
        return MODEL_DRAIN;
    }
    if (number % 37 == 0) {
        return number & 64 ? MODEL_BATCH : MODEL_ZEROED;
    }
    return weights[number / 64 % ARRAY_LENGTH(weights)];
}

static struct model the_model;

/* One random map, and `steps` operations on it. Returns false when the map has no room for a pool. */
static bool run_one(struct machine *machine, uint64_t seed, uint64_t steps, const struct frame_policy *policy)
{
    random_state = seed * 0x9e3779b97f4a7c15ULL + 1;
    machine_make(machine, GIB(6));
    random_map(machine);
    enum frame_error error = machine_start(machine, 1 + seed % 3, policy);
    if (error != FRAME_OK) {
        assert_int_equal(error, FRAME_NO_ROOM);
        machine_destroy(machine);
        return false;
    }
    if (seed % 4 == 0) {
        assert_int_equal(frame_pool_reclaim(&machine->pool, MEMORY_BOOT_RECLAIMABLE), FRAME_OK);
        assert_int_equal(frame_pool_reclaim(&machine->pool, MEMORY_BOOT_RECLAIMABLE), FRAME_RESERVED);
    }
    enum frame_error backed = frame_pool_back(&machine->pool, phys_addr(0), machine->bytes);
    assert_true(backed == FRAME_OK || backed == FRAME_NO_MEMORY);
    if (backed == FRAME_OK) {
        model_init(&the_model, &machine->pool);
        model_verify(&the_model);
        for (uint64_t i = 0; i < steps; i++) {
            enum model_operation operation = random_operation();
            uint32_t a = random_number();
            model_step(&the_model, operation, a, random_number());
        }
        model_verify(&the_model);
        model_finish(&the_model);
    }
    host_cpu = 0;
    machine_destroy(machine);
    return backed == FRAME_OK;
}

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
static void small_step(struct model *model, unsigned number)
{
    if (number < 5) {
        model_alloc(model, number, OWNER_TEST);
    } else if (number < 9) {
        if (model->block_count > number - 5) {
            model_free_block(model, number - 5);
        }
    } else if (number < 12) {
        model_request(model, (number - 9) * 4 + 2, 0, OWNER_TEST); /* 3, 7 and 11 frames */
    } else if (number < 16) {
        model_alloc_at(model, model->first + (number - 12) * 4, (number - 12) % 3, OWNER_TEST);
    } else {
        model_mistake(model, model->first + number - 16, number - 16, 0);
    }
    MODEL_CHECK(frame_pool_free(model->pool) == model->free);
}

static void exhaust(const struct frame_policy *policy)
{
    static struct machine machine;
    machine_make(&machine, MIB(64));
    small_machine(&machine, policy);
    model_init(&the_model, &machine.pool);
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
            model_verify(&the_model);
        }
        while (the_model.block_count > 0) {
            model_free_block(&the_model, the_model.block_count - 1);
        }
        frame_pool_drain(&machine.pool);
    }
    model_finish(&the_model);
    machine_destroy(&machine);
}

static void every_sequence_of_five_operations_on_sixteen_frames(void **state)
{
    (void)state;
    exhaust(&frame_policy_buddy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buddy_agrees_with_the_model_on_random_maps),
        cmocka_unit_test(bitmap_agrees_with_the_model_on_random_maps),
        cmocka_unit_test(every_sequence_of_five_operations_on_sixteen_frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
