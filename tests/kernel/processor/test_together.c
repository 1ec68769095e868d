/*
 * Memory used by all processors at once. Each test lets all of them work on the kernel's own structures, then
 * asks the validators, and the ledger, which must close to the byte.
 */
#include <ashlar/boot.h>
#include <ashlar/clock.h>
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/processor.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <ashlar/vmalloc.h>
#include <ashlar/world.h>
#include <stdatomic.h>

#include "tests/host/support/random.h"

#define ROUNDS 3000
#define HELD   16 /* blocks that a CPU has at a time */
#define ORDERS 4  /* frames in blocks of 1, 2, 4 and 8 */
#define SHARED 32 /* places by which CPUs hand blocks to each other */
#define BYTES  600
#define CHECKS 300

static _Atomic(unsigned) wrong; /* what any CPU has found */

static bool all_is_sound(void)
{
    struct frame_problem frame_problem;
    struct slab_problem heap_problem;
    struct frame_ledger ledger;
    world_stop();
    bool sound = frame_pool_check(kernel_frames(), &frame_problem) && heap_check(&kernel_heap, &heap_problem);
    memory_ledger(&ledger);
    world_resume();
    return sound && ledger.difference == 0;
}

/* ---- Frames: each block carries its own address as long as it is held ---- */

static void take_and_give_frames(void *context, unsigned cpu)
{
    phys_addr_t held[HELD] = {{0}};
    unsigned orders[HELD] = {0};
    uint64_t random = cpu + 1;
    (void)context;
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned i = (unsigned)(random_next(&random) % HELD);
        cpu_interleave();
        if (held[i].raw != 0) {
            uint64_t *words = physmap_pointer(held[i]);
            atomic_fetch_add(&wrong, *words != held[i].raw);
            frame_free(kernel_frames(), held[i], orders[i]);
            held[i] = phys_addr(0);
            continue;
        }
        orders[i] = (unsigned)(random_next(&random) % ORDERS);
        phys_addr_t block = frame_alloc(kernel_frames(), orders[i], OWNER_TEST);
        if (block.raw != FRAME_NONE.raw) {
            *(uint64_t *)physmap_pointer(block) = block.raw;
            held[i] = block;
        }
    }
    for (unsigned i = 0; i < HELD; i++) {
        if (held[i].raw != 0) {
            frame_free(kernel_frames(), held[i], orders[i]);
        }
    }
}

KERNEL_TEST(together_frames)
{
    struct frame_ledger ledger;
    atomic_store(&wrong, 0);
    EXPECT(processors_run(take_and_give_frames, NULL));
    EXPECT_EQUAL(atomic_load(&wrong), 0);
    EXPECT(all_is_sound());
    memory_ledger(&ledger);
    EXPECT_EQUAL(ledger.owner_bytes[OWNER_TEST], 0);
}

/* ---- A shortage: what lies in the magazines of CPUs that rest is found ---- */

#define FRAMES_MOST 200000 /* of a machine on which taking all memory takes no minute */

static void leave_frames_in_magazines(void *context, unsigned cpu)
{
    phys_addr_t held[HELD];
    (void)context;
    (void)cpu;
    for (unsigned i = 0; i < HELD; i++) {
        held[i] = frame_alloc(kernel_frames(), 0, OWNER_TEST);
    }
    for (unsigned i = 0; i < HELD; i++) {
        if (held[i].raw != FRAME_NONE.raw) {
            frame_free(kernel_frames(), held[i], 0);
        }
    }
}

/* Takes all frames there are, each the next one's link; returns the first. */
static phys_addr_t take_all_frames(void)
{
    phys_addr_t first = FRAME_NONE;
    phys_addr_t frame;
    while ((frame = frame_alloc(kernel_frames(), 0, OWNER_TEST)).raw != FRAME_NONE.raw) {
        *(uint64_t *)physmap_pointer(frame) = first.raw;
        first = frame;
    }
    return first;
}

KERNEL_TEST(together_shortage_finds_what_others_hold)
{
    struct frame_statistics statistics;
    if (memory_free_frames() > FRAMES_MOST) {
        kernel_test_skip("more memory than is taken in a short time");
        return;
    }
    EXPECT(processors_run(leave_frames_in_magazines, NULL));
    phys_addr_t first = take_all_frames();
    frame_pool_statistics(kernel_frames(), &statistics);
    while (first.raw != FRAME_NONE.raw) {
        phys_addr_t next = phys_addr(*(uint64_t *)physmap_pointer(first));
        frame_free(kernel_frames(), first, 0);
        first = next;
    }
    EXPECT_EQUAL(statistics.magazine_frames, 0);
    EXPECT(all_is_sound());
}

/* ---- The heap: blocks wander from CPU to CPU, and are freed where they arrive ---- */

static _Atomic(uint8_t *) shared[SHARED];

/* A block's first two bytes are its length, all others the length's lowest byte. */
static uint8_t *make_block(size_t bytes)
{
    uint8_t *block = heap_alloc(&kernel_heap, bytes);
    if (block) {
        memset(block, (int)(bytes & 0xff), bytes);
        memcpy(block, &(uint16_t){(uint16_t)bytes}, 2);
    }
    return block;
}

static void check_and_free(uint8_t *block)
{
    uint16_t bytes;
    if (!block) {
        return;
    }
    memcpy(&bytes, block, 2);
    for (size_t i = 2; i < bytes; i++) {
        atomic_fetch_add(&wrong, block[i] != (bytes & 0xff));
    }
    heap_free(&kernel_heap, block);
}

static void exchange_blocks(void *context, unsigned cpu)
{
    uint64_t random = cpu + 1;
    (void)context;
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t bytes = 2 + random_next(&random) % BYTES;
        cpu_interleave();
        check_and_free(atomic_exchange(&shared[random_next(&random) % SHARED], make_block(bytes)));
    }
}

KERNEL_TEST(together_heap)
{
    atomic_store(&wrong, 0);
    EXPECT(processors_run(exchange_blocks, NULL));
    for (unsigned i = 0; i < SHARED; i++) {
        check_and_free(atomic_exchange(&shared[i], NULL));
    }
    EXPECT_EQUAL(atomic_load(&wrong), 0);
    EXPECT(all_is_sound());
}

/* ---- Virtual blocks ---- */

static void make_and_free_virtual(void *context, unsigned cpu)
{
    uint64_t random = cpu + 1;
    (void)context;
    for (unsigned round = 0; round < ROUNDS / 30; round++) {
        uint64_t bytes = FRAME_BYTES * (1 + random_next(&random) % 20);
        cpu_interleave();
        volatile uint64_t *block = vmalloc(bytes);
        if (block) {
            for (uint64_t i = 0; i < bytes / sizeof *block; i += FRAME_BYTES / sizeof *block) {
                block[i] = (uint64_t)cpu << 32 | i;
            }
            for (uint64_t i = 0; i < bytes / sizeof *block; i += FRAME_BYTES / sizeof *block) {
                atomic_fetch_add(&wrong, block[i] != ((uint64_t)cpu << 32 | i));
            }
            vfree((void *)block);
        }
    }
}

KERNEL_TEST(together_vmalloc)
{
    struct vmalloc_problem problem;
    atomic_store(&wrong, 0);
    EXPECT(processors_run(make_and_free_virtual, NULL));
    EXPECT_EQUAL(atomic_load(&wrong), 0);
    EXPECT(WORLD_STOPPED(vmalloc_check(&kernel_vmalloc, &problem)));
    EXPECT(all_is_sound());
}

/* ---- Validators beside all of it: while the world stands still, nothing is half done ---- */

static _Atomic(bool) over;

static void take_and_give_runs(uint64_t *random)
{
    struct frame_request request = {.frames = 1 + random_next(random) % 70, .owner = OWNER_TEST};
    phys_addr_t run;
    if (frame_alloc_request(kernel_frames(), &request, &run) == FRAME_OK) {
        frame_free_run(kernel_frames(), run, request.frames);
    }
    phys_addr_t block = frame_alloc(kernel_frames(), 7, OWNER_TEST);
    if (block.raw != FRAME_NONE.raw) {
        frame_free(kernel_frames(), block, 7);
    }
}

static void take_and_give_blocks(uint64_t *random)
{
    uint8_t *blocks[HELD];
    for (unsigned i = 0; i < HELD; i++) {
        blocks[i] = heap_alloc(&kernel_heap, 1 + random_next(random) % (i % 8 == 0 ? 70000 : 5000));
    }
    for (unsigned i = 0; i < HELD; i++) {
        heap_free(&kernel_heap, blocks[i]);
    }
}

static void work_or_check(void *context, unsigned cpu)
{
    uint64_t random = cpu + 1;
    (void)context;
    for (unsigned i = 0; cpu == 0 && i < CHECKS; i++) {
        clock_wait(random_next(&random) % 200000); /* else nobody comes far */
        atomic_fetch_add(&wrong, !all_is_sound());
    }
    if (cpu == 0) {
        atomic_store(&over, true);
    }
    while (!atomic_load(&over)) {
        cpu_interleave();
        take_and_give_runs(&random);
        take_and_give_blocks(&random);
    }
}

KERNEL_TEST(validators_find_nothing_half_done)
{
    atomic_store(&wrong, 0);
    atomic_store(&over, false);
    EXPECT(processors_run(work_or_check, NULL));
    EXPECT_EQUAL(atomic_load(&wrong), 0);
    EXPECT(all_is_sound());
}
