#include "contest.h"
#include "list_buddy.h"

#include <stdlib.h>
#include <string.h>

/* ---- Pools ---- */

static void pool_start(struct contestant *contestant)
{
    struct machine *machine = &contestant->machine;
    if (!machine->memory) {
        machine_make(machine, contestant->bytes);
        machine_range(machine, MIB(16), contestant->bytes - MIB(16), MEMORY_USABLE);
    }
    memset(machine->descriptors, 0, contestant->bytes / FRAME_BYTES * sizeof(struct frame_descriptor));
    machine->last_table = 0;
    struct frame_config config = machine_config(machine, contestant->cpus, contestant->policy);
    config.no_magazines = contestant->no_magazines;
    if (frame_pool_init(&machine->pool, &config) != FRAME_OK ||
        frame_pool_back(&machine->pool, phys_addr(0), contestant->bytes) != FRAME_OK) {
        panic("cannot start the pool");
    }
}

static phys_addr_t pool_alloc(struct contestant *contestant, unsigned order)
{
    return frame_alloc(&contestant->machine.pool, order, OWNER_TEST);
}

static void pool_free(struct contestant *contestant, phys_addr_t block, unsigned order)
{
    frame_free(&contestant->machine.pool, block, order);
}

static uint64_t pool_free_frames(struct contestant *contestant, unsigned order)
{
    for (unsigned cpu = 0; cpu < contestant->cpus; cpu++) {
        frame_pool_drain_cpu(&contestant->machine.pool, cpu);
    }
    struct frame_statistics statistics;
    frame_pool_statistics(&contestant->machine.pool, &statistics);
    uint64_t frames = 0;
    for (unsigned i = order; i < FRAME_ORDERS; i++) {
        frames += statistics.free_blocks[i] << i;
    }
    return frames;
}

/* ---- The list buddy ---- */

static void list_start(struct contestant *contestant)
{
    list_buddy_init(contestant->bytes / FRAME_BYTES);
}

static phys_addr_t list_alloc(struct contestant *contestant, unsigned order)
{
    (void)contestant;
    uint64_t frame = list_buddy_alloc(order);
    return frame == UINT64_MAX ? FRAME_NONE : phys_addr((frame + 1) << FRAME_SHIFT);
}

static void list_free(struct contestant *contestant, phys_addr_t block, unsigned order)
{
    (void)contestant;
    list_buddy_free((block.raw >> FRAME_SHIFT) - 1, order);
}

static uint64_t list_free_frames(struct contestant *contestant, unsigned order)
{
    (void)contestant;
    return list_buddy_free_frames(order);
}

/* ---- All of them ---- */

#define POOL(name, its_policy, without)                                                                      \
    {                                                                                                        \
        .peer = (name), .start = pool_start, .alloc = pool_alloc, .free = pool_free,                         \
        .free_frames = pool_free_frames, .policy = &(its_policy), .no_magazines = (without)                  \
    }

struct contestant contestants[CONTESTANTS] = {
    POOL("ashlar", frame_policy_buddy, false),
    POOL("no magazines", frame_policy_buddy, true),
    POOL("bitmap", frame_policy_bitmap, false),
    {.peer = "list buddy",
     .start = list_start,
     .alloc = list_alloc,
     .free = list_free,
     .free_frames = list_free_frames},
};

void contest_machine(uint64_t bytes, unsigned cpus)
{
    for (unsigned i = 0; i < CONTESTANTS; i++) {
        contestants[i].bytes = bytes;
        contestants[i].cpus = cpus;
    }
}

void contest_start(struct contestant *contestant)
{
    contestant->start(contestant);
    for (unsigned i = 0; i < 64; i++) {
        phys_addr_t block = contestant->alloc(contestant, i % 4);
        if (i % 2) {
            contestant->free(contestant, block, i % 4);
        }
    }
}
