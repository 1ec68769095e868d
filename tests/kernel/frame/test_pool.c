/*
 * The kernel's frame pool, on the real machine: the ledger, real memory behind the frames, mistakes by name.
 */
#include <ashlar/boot.h>
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/processor.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <ashlar/world.h>

#include "kernel/commands/frame_marks.h"

#define BLOCKS 200

static bool ledger_closes(void)
{
    struct frame_ledger ledger;
    memory_ledger(&ledger);
    return ledger.difference == 0;
}

static bool pool_is_sound(void)
{
    struct frame_problem problem;
    return WORLD_STOPPED(frame_pool_check(kernel_frames(), &problem));
}

KERNEL_TEST(frame_ledger_closes_after_boot)
{
    struct frame_ledger ledger;
    memory_ledger(&ledger);
    EXPECT_EQUAL(ledger.difference, 0);
    EXPECT(ledger.firmware_bytes > 0);
    EXPECT(ledger.owner_bytes[OWNER_KERNEL] >= boot_info()->kernel.bytes);
    EXPECT_EQUAL(ledger.owner_bytes[OWNER_BOOT_RECLAIMABLE], 0);
}

KERNEL_TEST(frame_pool_is_sound_after_boot)
{
    EXPECT(pool_is_sound());
}

KERNEL_TEST(frame_overhead_is_small)
{
    struct frame_ledger ledger;
    struct frame_statistics statistics;
    memory_ledger(&ledger);
    frame_pool_statistics(kernel_frames(), &statistics);
    uint64_t overhead = statistics.state_bytes + statistics.descriptor_bytes;
    EXPECT(overhead <= MIB(1) + (statistics.managed_frames << FRAME_SHIFT) / 2000);
    uint64_t parts = processors_count() * (uint64_t)FRAME_BYTES; /* of the CPUs */
    EXPECT(statistics.state_bytes <= statistics.managed_frames / 2 + KIB(16) + parts);
}

/* Blocks of many orders, each filled with its own pattern and looked at again: no two overlap. */
KERNEL_TEST(frame_blocks_are_memory_and_do_not_overlap)
{
    struct frame_pool *pool = kernel_frames();
    phys_addr_t *blocks = heap_alloc_array(&kernel_heap, BLOCKS, sizeof *blocks);
    EXPECT(blocks != NULL);
    uint64_t free = frame_pool_free(pool);
    for (unsigned i = 0; i < BLOCKS; i++) {
        blocks[i] = frame_alloc(pool, i % 6, OWNER_TEST);
        EXPECT(blocks[i].raw != 0);
        memset(frame_pointer(pool, blocks[i]), (int)i, FRAME_BYTES << i % 6);
        EXPECT(ledger_closes());
    }
    bool intact = true;
    for (unsigned i = 0; i < BLOCKS; i++) {
        const uint8_t *bytes = frame_pointer(pool, blocks[i]);
        for (uint64_t at = 0; at < FRAME_BYTES << i % 6; at += 64) {
            intact = intact && bytes[at] == (uint8_t)i;
        }
        frame_free(pool, blocks[i], i % 6);
    }
    heap_free(&kernel_heap, blocks);
    EXPECT(intact);
    EXPECT(ledger_closes());
    EXPECT(pool_is_sound());
    /* Only descriptors may have stayed. */
    EXPECT(frame_pool_free(pool) + 1024 >= free);
}

KERNEL_TEST(frame_zeroed_frames_are_zero)
{
    struct frame_pool *pool = kernel_frames();
    for (unsigned i = 0; i < 8; i++) {
        phys_addr_t frame = frame_alloc(pool, 0, OWNER_TEST);
        memset(frame_pointer(pool, frame), 0xa5, FRAME_BYTES);
        frame_free(pool, frame, 0);
        frame_pool_idle(pool);
        frame = frame_alloc_zeroed(pool, OWNER_TEST);
        const uint64_t *words = frame_pointer(pool, frame);
        uint64_t sum = 0;
        for (unsigned word = 0; word < FRAME_BYTES / sizeof *words; word++) {
            sum |= words[word];
        }
        frame_free(pool, frame, 0);
        EXPECT_EQUAL(sum, 0);
    }
}

KERNEL_TEST(frame_limits_hold)
{
    struct frame_pool *pool = kernel_frames();
    struct frame_request request = {.frames = 5, .limit = MIB(16), .owner = OWNER_TEST};
    phys_addr_t run;
    if (frame_alloc_request(pool, &request, &run) != FRAME_OK) {
        kernel_test_skip("no memory below 16 MiB is free");
        return;
    }
    EXPECT(run.raw + 5 * FRAME_BYTES <= MIB(16));
    EXPECT_EQUAL(frame_try_free_run(pool, run, 4), FRAME_WRONG_LENGTH);
    EXPECT_EQUAL(frame_try_free(pool, run, 2), FRAME_WRONG_LENGTH);
    frame_free_run(pool, run, 5);
    EXPECT(pool_is_sound());
}

/* A request for one zeroed frame takes what the idle loop prepared, and it is zero. */
KERNEL_TEST(frame_zeroed_requests_use_the_stock)
{
    struct frame_pool *pool = kernel_frames();
    struct frame_request request = {.frames = 1, .owner = OWNER_TEST, .zeroed = true};
    while (frame_pool_idle(pool)) {
    }
    const struct frame_magazine *stock = &pool->cpu[0].magazine[FRAME_MAGAZINE_ZERO];
    uint32_t before = atomic_load(&stock->top);
    phys_addr_t frame;
    EXPECT(before > stock->bottom);
    EXPECT_EQUAL(frame_alloc_request(pool, &request, &frame), FRAME_OK);
    EXPECT_EQUAL(atomic_load(&stock->top), before - 1);
    const uint64_t *words = frame_pointer(pool, frame);
    uint64_t sum = 0;
    for (unsigned word = 0; word < FRAME_BYTES / sizeof *words; word++) {
        sum |= words[word];
    }
    EXPECT_EQUAL(sum, 0);
    frame_free(pool, frame, 0);
}

/* Memory below 1 MiB is kept for what can use no other. */
KERNEL_TEST(frame_low_memory_can_be_had)
{
    struct frame_facts facts;
    phys_addr_t first = memory_take_low(OWNER_TEST);
    if (first.raw == 0) {
        kernel_test_skip("the firmware left no memory below 1 MiB");
        return;
    }
    phys_addr_t second = memory_take_low(OWNER_OTHER);
    EXPECT(first.raw + FRAME_BYTES <= MIB(1) && second.raw + FRAME_BYTES <= MIB(1));
    EXPECT(first.raw != second.raw);
    memset(frame_pointer(kernel_frames(), first), 0xcc, FRAME_BYTES);
    frame_pool_look(kernel_frames(), first, &facts);
    EXPECT_EQUAL(facts.owner, OWNER_TEST);
    EXPECT(ledger_closes());
    memory_return_low(first, OWNER_TEST);
    if (second.raw != 0) {
        memory_return_low(second, OWNER_OTHER);
    }
    frame_pool_look(kernel_frames(), first, &facts);
    EXPECT_EQUAL(facts.owner, OWNER_KEPT);
    EXPECT(pool_is_sound());
}

KERNEL_TEST(frame_mistakes_have_names)
{
    struct frame_pool *pool = kernel_frames();
    phys_addr_t block = frame_alloc(pool, 1, OWNER_TEST);
    EXPECT_EQUAL(frame_try_free(pool, block, 0), FRAME_WRONG_ORDER);
    EXPECT_EQUAL(frame_try_free(pool, phys_add(block, FRAME_BYTES), 0), FRAME_PART_OF_BLOCK);
    frame_free(pool, block, 1);
    EXPECT_EQUAL(frame_try_free(pool, block, 1), FRAME_DOUBLE_FREE);
    EXPECT_EQUAL(frame_try_free(pool, boot_info()->kernel.segments[0].physical_base, 0), FRAME_RESERVED);
    EXPECT_EQUAL(frame_try_free(pool, phys_addr(TIB(60)), 0), FRAME_NOT_MANAGED);
    EXPECT_EQUAL(frame_try_free(pool, phys_addr(0), 0), FRAME_RESERVED);
}

static bool marks_are(phys_addr_t block, const char *words)
{
    struct frame_facts facts;
    char text[FRAME_MARKS_BYTES];
    frame_pool_look(kernel_frames(), block, &facts);
    return strcmp(frame_marks_text(&facts, text), words) == 0;
}

/* What a person reads about a frame's marks, for each of them and for all together. */
KERNEL_TEST(frame_marks_are_shown_in_words)
{
    struct frame_pool *pool = kernel_frames();
    phys_addr_t block = frame_alloc_must(pool, 0, OWNER_TEST);
    EXPECT(marks_are(block, "none"));
    frame_set_age(pool, block, 5);
    EXPECT(marks_are(block, "age 5"));
    EXPECT(frame_begin_change(pool, block));
    EXPECT(marks_are(block, "being changed, age 5"));
    frame_pin(pool, block);
    EXPECT(marks_are(block, "pinned for a device, being changed, age 5"));
    frame_set_age(pool, block, 0);
    frame_end_change(pool, block);
    EXPECT(marks_are(block, "pinned for a device"));
    frame_pin(pool, block);
    EXPECT(marks_are(block, "pinned 2 times for devices"));
    EXPECT(!frame_unpin(pool, block));
    EXPECT(!frame_unpin(pool, block));
    EXPECT(marks_are(block, "none"));
    frame_free(pool, block, 0);
}
