#include "random.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/host/support/random.h"

static uint64_t random_state;

/* A map of up to 20 ranges with holes, odd ends and every type, some of it beyond 4 GiB or across arenas. */
static void random_map(struct machine *machine)
{
    static const uint64_t starts[] = {0, MIB(1), MIB(15), GIB(1) - MIB(3), GIB(4) - MIB(2), GIB(5) + MIB(7)};
    uint64_t address = starts[random_number(&random_state) % 3];
    unsigned ranges = 3 + random_number(&random_state) % 17;
    machine->map_count = 0;
    for (unsigned i = 0; i < ranges; i++) {
        uint64_t frames = random_number(&random_state) % 4 == 0 ? 1 + random_number(&random_state) % 1500
                                                                : 1 + random_number(&random_state) % 70;
        enum memory_type type = random_number(&random_state) % 2
                                    ? MEMORY_USABLE
                                    : random_number(&random_state) % MEMORY_TYPE_COUNT;
        machine_range(machine, address, frames << FRAME_SHIFT, type);
        address += (frames + (random_number(&random_state) % 3 ? 0 : random_number(&random_state) % 300))
                   << FRAME_SHIFT;
        uint64_t jump = starts[random_number(&random_state) % ARRAY_LENGTH(starts)];
        if (random_number(&random_state) % 8 == 0 && jump > address) {
            address = jump;
        }
    }
    machine_range(machine, address, FRAME_BYTES * (64 + random_number(&random_state) % 2000), MEMORY_USABLE);
}

/* 2 to 3 GiB in few ranges: arenas that are whole, cut at odd places, or begin in the middle. */
static void random_large_map(struct machine *machine)
{
    uint64_t address = MIB(random_number(&random_state) % 700);
    unsigned ranges = 2 + random_number(&random_state) % 3;
    machine->map_count = 0;
    for (unsigned i = 0; i < ranges; i++) {
        uint64_t frames = (MIB(2048 + random_number(&random_state) % 1024) / ranges >> FRAME_SHIFT) +
                          random_number(&random_state) % 512;
        uint64_t bytes = frames << FRAME_SHIFT;
        machine_range(machine, address, bytes, i % 2 ? MEMORY_BOOT_RECLAIMABLE : MEMORY_USABLE);
        address += bytes + (random_number(&random_state) % 2 ? 0 : MIB(random_number(&random_state) % 500));
    }
}

static enum frame_model_operation random_operation(void)
{
    static const uint8_t weights[] = {MODEL_ALLOC,    MODEL_ALLOC,      MODEL_ALLOC,      MODEL_ALLOC,
                                      MODEL_ALLOC,    MODEL_FREE_BLOCK, MODEL_FREE_BLOCK, MODEL_FREE_BLOCK,
                                      MODEL_REQUEST,  MODEL_FREE_BLOCK, MODEL_FREE_BLOCK, MODEL_FREE_BLOCK,
                                      MODEL_ALLOC_AT, MODEL_MISTAKE,    MODEL_SHARE,      MODEL_FREE_BLOCK};
    uint32_t number = random_number(&random_state);
    if (number % 61 == 0) {
        return MODEL_DRAIN;
    }
    if (number % 37 == 0) {
        return number & 64 ? MODEL_BATCH : MODEL_ZEROED;
    }
    return weights[number / 64 % ARRAY_LENGTH(weights)];
}

struct frame_model the_model;

static void expect(bool condition, uint64_t seed)
{
    if (!condition) {
        fprintf(stderr, "random machine of seed %" PRIu64 "\n", seed);
        abort();
    }
}

static void random_steps(uint64_t steps)
{
    for (uint64_t i = 0; i < steps; i++) {
        enum frame_model_operation operation = random_operation();
        uint32_t a = random_number(&random_state);
        frame_model_step(&the_model, operation, a, random_number(&random_state));
    }
    frame_model_verify(&the_model);
    frame_model_finish(&the_model);
    host_cpu = 0;
}

bool run_one(struct machine *machine, uint64_t seed, uint64_t steps, const struct frame_policy *policy)
{
    random_state = seed * 0x9e3779b97f4a7c15ULL + 1;
    machine_make(machine, GIB(6));
    random_map(machine);
    enum frame_error error = machine_start(machine, 1 + seed % 3, policy);
    if (error != FRAME_OK) {
        expect(error == FRAME_NO_ROOM, seed);
        machine_destroy(machine);
        return false;
    }
    if (seed % 4 == 0) {
        expect(frame_pool_reclaim(&machine->pool, MEMORY_BOOT_RECLAIMABLE) == FRAME_OK, seed);
        expect(frame_pool_reclaim(&machine->pool, MEMORY_BOOT_RECLAIMABLE) == FRAME_RESERVED, seed);
    }
    bool lazy = seed % 5 == 1;
    enum frame_error backed = lazy ? FRAME_OK : frame_pool_back(&machine->pool, phys_addr(0), machine->bytes);
    expect(backed == FRAME_OK || backed == FRAME_NO_MEMORY, seed);
    if (backed == FRAME_OK) {
        frame_model_init(&the_model, &machine->pool);
        if (lazy) {
            frame_model_watch(&the_model, machine);
        }
        frame_model_verify(&the_model);
        random_steps(steps);
    }
    machine_destroy(machine);
    return backed == FRAME_OK;
}

void run_large(struct machine *machine, uint64_t seed, uint64_t steps)
{
    random_state = seed * 0x9e3779b97f4a7c15ULL + 1;
    machine_make(machine, GIB(6));
    random_large_map(machine);
    expect(machine_start(machine, 1 + seed % 3, &frame_policy_buddy) == FRAME_OK, seed);
    expect(frame_pool_reclaim(&machine->pool, MEMORY_BOOT_RECLAIMABLE) == FRAME_OK, seed);
    frame_model_init(&the_model, &machine->pool);
    the_model.orders = frame_model_large_orders;
    frame_model_watch(&the_model, machine);
    random_steps(steps);
    machine_destroy(machine);
}
