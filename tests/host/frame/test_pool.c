/*
 * The frame pool, promise by promise: start-up, errors with their names, the ledger, bounds, the validator.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "mm/frame/internal.h"
#include "pc.h"
#include "tests/host/support/host.h"

/* ---- Start-up ---- */

static void a_map_that_is_not_normalised_is_refused(void **state)
{
    (void)state;
    struct frame_config config = machine_config(&pc, 1, NULL);
    struct frame_pool pool;
    static const struct memory_range bad[][2] = {
        {{{MIB(2)}, MIB(1), MEMORY_USABLE, 0}, {{MIB(1)}, MIB(1), MEMORY_USABLE, 0}},   /* not sorted */
        {{{MIB(1)}, MIB(2), MEMORY_USABLE, 0}, {{MIB(2)}, MIB(1), MEMORY_USABLE, 0}},   /* overlap */
        {{{MIB(1)}, MIB(1), MEMORY_USABLE, 0}, {{MIB(2)}, 0, MEMORY_USABLE, 0}},        /* empty */
        {{{MIB(1)}, MIB(1), MEMORY_USABLE, 0}, {{MIB(2) + 8}, MIB(1), MEMORY_MMIO, 0}}, /* base */
        {{{MIB(1)}, MIB(1), MEMORY_USABLE, 0}, {{MIB(2)}, 100, MEMORY_USABLE, 0}},      /* length */
        {{{MIB(1)}, MIB(1), MEMORY_USABLE, 0}, {{MIB(2)}, MIB(1), 99, 0}},              /* type */
        {{{MIB(1)}, MIB(1), MEMORY_MMIO, 0}, {{MIB(2)}, MIB(1), MEMORY_RESERVED, 0}},   /* no RAM */
        {{{MIB(1)}, MIB(1), MEMORY_USABLE, 0}, {{0 - FRAME_BYTES}, FRAME_BYTES * 2, MEMORY_MMIO, 0}},
        {{{MIB(1)}, MIB(1), MEMORY_USABLE, 0},
         {{TIB(64)}, MIB(1), MEMORY_USABLE, 0}}, /* beyond the physmap */
    };
    for (unsigned i = 0; i < ARRAY_LENGTH(bad); i++) {
        config.map = bad[i];
        config.map_count = 2;
        assert_int_equal(frame_pool_init(&pool, &config), FRAME_BAD_MAP);
    }
}

static void an_impossible_configuration_is_refused(void **state)
{
    (void)state;
    struct frame_pool pool;
    struct frame_config config = machine_config(&pc, 0, NULL);
    assert_int_equal(frame_pool_init(&pool, &config), FRAME_BAD_CONFIG);
    config.cpus = 1;
    config.backing.map = NULL;
    assert_int_equal(frame_pool_init(&pool, &config), FRAME_BAD_CONFIG);
}

static void state_that_fits_nowhere_is_refused(void **state)
{
    (void)state;
    struct frame_pool pool;
    static const struct memory_range tiny = {{MIB(1)}, FRAME_BYTES, MEMORY_USABLE, 0};
    struct frame_config config = machine_config(&pc, UINT32_MAX, NULL);
    config.map = &tiny;
    config.map_count = 1;
    assert_int_equal(frame_pool_init(&pool, &config), FRAME_NO_ROOM);
}

/* Each CPU has its part, and each part costs what the others do. */
static void any_number_of_cpus_will_do(void **state)
{
    (void)state;
    static const unsigned counts[] = {1, 3, 64, 65, 300};
    static phys_addr_t frames[300][2];
    uint64_t state_bytes = 0;
    for (unsigned i = 0; i < ARRAY_LENGTH(counts); i++) {
        struct machine machine;
        machine_make(&machine, GIB(8));
        machine_range(&machine, MIB(16), GIB(8) - MIB(16), MEMORY_USABLE);
        assert_int_equal(machine_start(&machine, counts[i], NULL), FRAME_OK);
        uint64_t free = frame_pool_free(&machine.pool);
        for (unsigned cpu = 0; cpu < counts[i]; cpu++) {
            host_cpu = cpu;
            frames[cpu][0] = frame_alloc(&machine.pool, 0, OWNER_TEST);
            frames[cpu][1] = frame_alloc(&machine.pool, 0, OWNER_TEST);
            assert_int_equal(frames[cpu][1].raw, frames[cpu][0].raw + FRAME_BYTES); /* from one magazine */
        }
        for (unsigned cpu = 0; cpu < counts[i]; cpu++) { /* each frees what another has allocated */
            host_cpu = counts[i] - 1 - cpu;
            frame_free(&machine.pool, frames[cpu][0], 0);
            frame_free(&machine.pool, frames[cpu][1], 0);
        }
        host_cpu = 0;
        struct frame_ledger ledger;
        frame_pool_ledger(&machine.pool, &ledger);
        free -= ledger.owner_bytes[OWNER_DESCRIPTORS] >> FRAME_SHIFT;
        assert_int_equal(frame_pool_free(&machine.pool), free);
        assert_true(machine_is_sound(&machine));
        state_bytes = i == 0 ? machine.pool.state_bytes : state_bytes;
        assert_int_equal(machine.pool.state_bytes, state_bytes + (counts[i] - 1) * FRAME_BYTES);
        machine_destroy(&machine);
    }
}

static void a_huge_machine_costs_no_more_than_it_must(void **state)
{
    (void)state;
    static struct machine huge;
    machine_make(&huge, GIB(961));
    machine_range(&huge, MIB(1), GIB(3) - MIB(1), MEMORY_USABLE);
    machine_range(&huge, GIB(4), GIB(957), MEMORY_USABLE);
    assert_int_equal(machine_start(&huge, 1, NULL), FRAME_OK);
    struct frame_statistics statistics;
    frame_pool_statistics(&huge.pool, &statistics);
    assert_true(statistics.state_bytes <= statistics.managed_frames / 2);
    assert_int_equal(statistics.largest_order, FRAME_ORDER_MAX);
    phys_addr_t block = frame_alloc(&huge.pool, FRAME_ORDER_MAX, OWNER_TEST);
    assert_int_equal(block.raw, GIB(4));
    assert_true(frame_alloc_at(&huge.pool, phys_addr(GIB(960) + MIB(1000)), 9, OWNER_TEST) == FRAME_OK);
    frame_free(&huge.pool, block, FRAME_ORDER_MAX);
    machine_destroy(&huge);
}

/* ---- Allocation ---- */

static void low_memory_is_given_out_last(void **state)
{
    (void)state;
    phys_addr_t first = frame_alloc(&pc.pool, 0, OWNER_TEST);
    assert_true(first.raw >= GIB(4));
    while (frame_alloc_must(&pc.pool, 9, OWNER_TEST).raw >= GIB(4)) {
    }
    struct frame_statistics statistics;
    frame_pool_statistics(&pc.pool, &statistics);
    phys_addr_t last = FRAME_NONE;
    for (phys_addr_t next; (next = frame_alloc(&pc.pool, 0, OWNER_TEST)).raw != 0;) {
        last = next;
    }
    assert_true(last.raw < MIB(2));
    assert_int_equal(frame_pool_free(&pc.pool), 0);
}

static void limits_are_kept(void **state)
{
    (void)state;
    static const uint64_t limits[] = {MIB(1), MIB(16), GIB(4), MIB(5) + KIB(12)};
    for (unsigned i = 0; i < ARRAY_LENGTH(limits); i++) {
        struct frame_request request = {.frames = 3, .limit = limits[i], .owner = OWNER_DMA, .zeroed = true};
        phys_addr_t run;
        unsigned runs = 0;
        while (frame_alloc_request(&pc.pool, &request, &run) == FRAME_OK) {
            assert_true(run.raw + 3 * FRAME_BYTES <= limits[i]);
            runs++;
        }
        assert_true(runs > 30 || i > 0);
    }
}

static void neighbours_come_from_one_2m_block(void **state)
{
    (void)state;
    bool used[MIB(300) / MIB(2)] = {false};
    unsigned blocks = 0;
    for (unsigned i = 0; i < 300; i++) {
        phys_addr_t frame = frame_alloc(&pc.pool, i % 3, OWNER_TEST);
        bool *block = &used[(frame.raw - GIB(4)) / MIB(2)];
        blocks += !*block;
        *block = true;
    }
    assert_true(blocks <= 2); /* 700 frames, and 256 for descriptors: no third 2 MiB block was split */
}

static void must_panics_with_the_owner(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    volatile bool panicked;
    CATCH_PANIC(trap, panicked, frame_alloc_must(&pc.pool, 18, OWNER_STACKS));
    assert_true(panicked);
    assert_non_null(strstr(trap.message, "out of memory"));
    assert_non_null(strstr(trap.message, "stacks"));
}

/* ---- Ledger ---- */

static void the_ledger_closes_and_reclaiming_moves_bytes(void **state)
{
    (void)state;
    struct frame_ledger before;
    struct frame_ledger after;
    frame_pool_ledger(&pc.pool, &before);
    assert_int_equal(before.difference, 0);
    assert_int_equal(before.owner_bytes[OWNER_KERNEL], MIB(7));
    assert_int_equal(before.owner_bytes[OWNER_KEPT], FRAME_BYTES);
    assert_int_equal(before.owner_bytes[OWNER_POOL], pc.pool.state_bytes);
    assert_int_equal(frame_pool_reclaim(&pc.pool, MEMORY_BOOT_RECLAIMABLE), FRAME_OK);
    frame_pool_ledger(&pc.pool, &after);
    assert_int_equal(after.difference, 0);
    assert_int_equal(after.free_bytes, before.free_bytes + MIB(20));
    assert_int_equal(after.owner_bytes[OWNER_BOOT_RECLAIMABLE], 0);
    assert_int_equal(frame_pool_reclaim(&pc.pool, MEMORY_BOOT_RECLAIMABLE), FRAME_RESERVED);
    assert_int_equal(frame_pool_reclaim(&pc.pool, MEMORY_MMIO), FRAME_RESERVED);
    assert_int_equal(frame_pool_reclaim(&pc.pool, MEMORY_TYPE_COUNT), FRAME_BAD_CONFIG);
}

static void every_byte_handed_out_is_booked(void **state)
{
    (void)state;
    struct frame_ledger ledger;
    phys_addr_t block = frame_alloc(&pc.pool, 4, OWNER_HEAP);
    host_cpu = 1;
    phys_addr_t frame = frame_alloc(&pc.pool, 0, OWNER_STACKS);
    frame_pool_ledger(&pc.pool, &ledger);
    assert_int_equal(ledger.owner_bytes[OWNER_HEAP], KIB(64));
    assert_int_equal(ledger.owner_bytes[OWNER_STACKS], KIB(4));
    if (pc.pool.config.policy ==
        &frame_policy_buddy) { /* the rest of two refills: of a reserve that is low */
        assert_int_equal(ledger.magazine_bytes, 2 * KIB(256) - KIB(64) - KIB(4));
    }
    assert_int_equal(ledger.difference, 0);
    frame_free(&pc.pool, block, 4); /* freed on another CPU than it came from */
    host_cpu = 0;
    frame_free(&pc.pool, frame, 0);
    frame_pool_ledger(&pc.pool, &ledger);
    assert_int_equal(ledger.owner_bytes[OWNER_HEAP] + ledger.owner_bytes[OWNER_STACKS], 0);
    assert_int_equal(ledger.difference, 0);
}

static void an_owner_can_be_changed(void **state)
{
    (void)state;
    struct frame_ledger ledger;
    struct frame_pool *pool = &pc.pool;
    struct frame_request request = {.frames = 3, .owner = OWNER_KEPT};
    phys_addr_t run;
    phys_addr_t block = frame_alloc(pool, 2, OWNER_KEPT);
    assert_int_equal(frame_change_owner(pool, block, OWNER_STACKS, OWNER_HEAP), FRAME_BUSY);
    assert_int_equal(frame_change_owner(pool, block, OWNER_KEPT, OWNER_COUNT), FRAME_BAD_OWNER);
    assert_int_equal(frame_change_owner(pool, block, OWNER_KEPT, OWNER_HEAP), FRAME_OK);
    assert_int_equal(frame_change_owner(pool, block, OWNER_KEPT, OWNER_STACKS), FRAME_BUSY);
    frame_pool_ledger(pool, &ledger);
    assert_int_equal(ledger.owner_bytes[OWNER_HEAP], KIB(16));
    assert_int_equal(ledger.owner_bytes[OWNER_KEPT], FRAME_BYTES); /* frame 0 */
    assert_int_equal(ledger.difference, 0);
    frame_free(pool, block, 2);
    assert_int_equal(frame_change_owner(pool, block, OWNER_HEAP, OWNER_KEPT), FRAME_DOUBLE_FREE);
    assert_int_equal(frame_change_owner(pool, phys_addr(0), OWNER_KEPT, OWNER_HEAP), FRAME_RESERVED);
    assert_int_equal(frame_alloc_request(pool, &request, &run), FRAME_OK);
    assert_int_equal(frame_change_owner(pool, run, OWNER_KEPT, OWNER_HEAP), FRAME_WRONG_LENGTH);
}

/* ---- Given blocks ---- */

static void a_given_block_is_taken_from_magazines(void **state)
{
    (void)state;
    struct frame_pool *pool = &pc.pool;
    struct frame_statistics before;
    struct frame_statistics after;
    phys_addr_t large = frame_alloc(pool, 3, OWNER_TEST);
    phys_addr_t frame = frame_alloc(pool, 0, OWNER_TEST);
    frame_free(pool, large, 3);
    frame_free(pool, frame, 0);
    frame_pool_statistics(pool, &before);
    uint64_t given = pool->work.given;
    assert_int_equal(frame_alloc_at(pool, frame, 0, OWNER_TEST), FRAME_OK);
    assert_int_equal(pool->work.given, given); /* from hand to hand */
    assert_int_equal(frame_alloc_at(pool, phys_add(large, 2 * FRAME_BYTES), 1, OWNER_TEST), FRAME_OK);
    frame_pool_statistics(pool, &after);
    assert_int_equal(after.magazine_frames, before.magazine_frames - 9); /* the others stay */
    assert_int_equal(after.shortages, 0);
    for (unsigned i = 0; i < 8; i++) { /* each of several goes */
        assert_int_equal(frame_alloc_at(pool, phys_addr(MIB(64) + i * FRAME_BYTES), 0, OWNER_TEST), FRAME_OK);
    }
    for (unsigned i = 0; i < 8; i++) {
        frame_free(pool, phys_addr(MIB(64) + i * 5 % 8 * FRAME_BYTES), 0);
    }
    assert_int_equal(frame_alloc_at(pool, phys_addr(MIB(64)), 3, OWNER_TEST), FRAME_OK);
    host_cpu = 1; /* what another CPU has is not to be had, but it is asked for it */
    phys_addr_t theirs = frame_alloc(pool, 0, OWNER_TEST);
    frame_free(pool, theirs, 0);
    host_cpu = 0;
    assert_int_equal(pool->cpu[1].magazine[0].limit, pool->cpu[1].magazine[0].end);
    assert_int_equal(frame_alloc_at(pool, theirs, 0, OWNER_TEST), FRAME_BUSY);
    assert_int_equal(pool->cpu[1].magazine[0].limit, 0);
    host_cpu = 1;
    while (frame_pool_idle(pool) && frame_alloc_at(pool, theirs, 0, OWNER_TEST) != FRAME_OK) {
    }
    assert_int_equal(frame_alloc_at(pool, theirs, 0, OWNER_TEST), FRAME_BUSY); /* mine, now */
}

static uint64_t count_calls(void *context, uint64_t frames)
{
    (void)frames;
    ++*(unsigned *)context;
    return 0;
}

/* Neither a shortage is counted, nor a magazine emptied, nor a reclaimer called. */
static void what_has_an_owner_is_not_asked_for(void **state)
{
    (void)state;
    struct frame_pool *pool = &pc.pool;
    unsigned calls = 0;
    struct frame_reclaimer reclaimer = {count_calls, &calls};
    struct frame_statistics before;
    struct frame_statistics after;
    assert_int_equal(frame_pool_add_reclaimer(pool, &reclaimer), FRAME_OK);
    phys_addr_t block = frame_alloc(pool, 3, OWNER_TEST);
    frame_pool_statistics(pool, &before);
    assert_int_equal(frame_alloc_at(pool, block, 3, OWNER_TEST), FRAME_BUSY);
    assert_int_equal(frame_alloc_at(pool, phys_add(block, FRAME_BYTES), 0, OWNER_TEST), FRAME_BUSY);
    frame_pool_statistics(pool, &after);
    assert_memory_equal(&before, &after, sizeof before);
    assert_int_equal(calls, 0);
}

static void a_split_block_is_single_frames(void **state)
{
    (void)state;
    struct frame_pool *pool = &pc.pool;
    phys_addr_t block = frame_alloc(pool, FRAME_ORDER_2M + 1, OWNER_TEST);
    phys_addr_t single = frame_alloc(pool, 0, OWNER_TEST);
    assert_int_equal(frame_split(pool, phys_add(block, FRAME_BYTES)), FRAME_NOT_ALLOCATED);
    frame_get(pool, block);
    assert_int_equal(frame_split(pool, block), FRAME_NOT_ALLOCATED);
    assert_false(frame_put(pool, block));
    assert_int_equal(frame_split(pool, block), FRAME_OK);
    assert_int_equal(frame_split(pool, single), FRAME_OK);
    assert_true(machine_is_sound(&pc));
    for (uint64_t i = 0; i < 2ULL << FRAME_ORDER_2M; i++) {
        assert_int_equal(frame_try_free(pool, phys_add(block, i * FRAME_BYTES), 0), FRAME_OK);
    }
    frame_free(pool, single, 0);
    assert_int_equal(frame_split(pool, single), FRAME_NOT_ALLOCATED);
    assert_int_equal(frame_split(pool, phys_addr(TIB(90))), FRAME_NOT_ALLOCATED);
    assert_int_equal(frame_split(pool, phys_addr(8)), FRAME_NOT_ALLOCATED);
}

/* ---- Running out ---- */

static void allocate_until_nothing_is_left(void **state)
{
    (void)state;
    uint64_t frames = 0;
    for (unsigned order = FRAME_ORDERS; order-- > 0;) {
        while (frame_alloc(&pc.pool, order, OWNER_TEST).raw != 0) {
            frames += 1ULL << order;
        }
    }
    struct frame_statistics statistics;
    struct frame_problem problem;
    frame_pool_statistics(&pc.pool, &statistics);
    assert_true(frame_pool_check(&pc.pool, &problem));
    assert_int_equal(frames + statistics.descriptor_bytes / FRAME_BYTES + frame_pool_free(&pc.pool),
                     statistics.managed_frames);
    assert_int_equal(frame_pool_free(&pc.pool), 0);
    assert_int_equal(frame_alloc_at(&pc.pool, phys_addr(GIB(4)), 0, OWNER_TEST), FRAME_BUSY);
}

/* Frames in magazines after some were allocated and freed on CPU 1, and CPU 0 has asked for a drain. */
static uint64_t ask_cpu_1(phys_addr_t *blocks, unsigned count)
{
    struct frame_statistics statistics;
    host_cpu = 1;
    for (unsigned i = 0; i < 2 * count; i++) {
        blocks[i] = frame_alloc(&pc.pool, 0, OWNER_TEST);
    }
    for (unsigned i = count; i < 2 * count; i++) {
        frame_free(&pc.pool, blocks[i], 0);
    }
    host_cpu = 0;
    frame_pool_drain(&pc.pool);
    frame_pool_statistics(&pc.pool, &statistics);
    assert_true(statistics.magazine_frames >= count);
    host_cpu = 1;
    return statistics.magazine_frames;
}

/* Each free returns a part, until nothing is left but what was freed last. */
static void other_cpus_give_back_when_asked(void **state)
{
    (void)state;
    phys_addr_t blocks[40];
    struct frame_statistics statistics;
    uint64_t before = ask_cpu_1(blocks, 20);
    unsigned frees = 0;
    do {
        frame_free(&pc.pool, blocks[frees++], 0);
        frame_pool_statistics(&pc.pool, &statistics);
        assert_true(statistics.magazine_frames <= before);
        before = statistics.magazine_frames;
    } while (before > 1 && frees < 20);
    assert_int_equal(before, 1);
    frame_free(&pc.pool, blocks[frees], 0);
    frame_pool_statistics(&pc.pool, &statistics);
    assert_int_equal(statistics.magazine_frames, 2); /* it may keep them again */
}

static void an_idle_cpu_gives_back_when_asked(void **state)
{
    (void)state;
    phys_addr_t blocks[40];
    struct frame_statistics statistics;
    uint64_t before = ask_cpu_1(blocks, 20);
    unsigned pieces = 0;
    while (before > 0 && pieces++ < 64) {
        assert_true(frame_pool_idle(&pc.pool));
        frame_pool_statistics(&pc.pool, &statistics);
        assert_true(statistics.magazine_frames < before);
        before = statistics.magazine_frames;
    }
    assert_int_equal(before, 0);
    assert_true(frame_pool_idle(&pc.pool)); /* and now it prepares zeroed frames again */
    frame_pool_statistics(&pc.pool, &statistics);
    assert_int_equal(statistics.magazine_frames, 1);
}

static void a_limit_inside_an_untouched_arena_is_kept(void **state)
{
    (void)state;
    static struct machine large;
    machine_make(&large, GIB(9));
    machine_range(&large, GIB(4), GIB(4), MEMORY_USABLE);
    assert_int_equal(machine_start(&large, 1, NULL), FRAME_OK);
    struct frame_request request = {
        .frames = FRAME_RUN_MAX, .limit = GIB(6) - FRAME_BYTES, .owner = OWNER_TEST};
    phys_addr_t address = FRAME_NONE;
    assert_int_equal(frame_alloc_request(&large.pool, &request, &address), FRAME_NO_MEMORY);
    request.limit += FRAME_BYTES;
    assert_int_equal(frame_alloc_request(&large.pool, &request, &address), FRAME_OK);
    assert_int_equal(address.raw, GIB(5));
    machine_destroy(&large);
}

/* By both policies. */
#define FRAME_TEST(function)                                                                                 \
    cmocka_unit_test_setup_teardown(function, pc_setup, pc_teardown),                                        \
    {                                                                                                        \
#function " (bitmap)", function, pc_setup_bitmap, pc_teardown, NULL                                  \
    }
int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAME_TEST(a_map_that_is_not_normalised_is_refused),
        FRAME_TEST(an_impossible_configuration_is_refused),
        FRAME_TEST(state_that_fits_nowhere_is_refused),
        PC_TEST(any_number_of_cpus_will_do),
        PC_TEST(a_huge_machine_costs_no_more_than_it_must),
        FRAME_TEST(low_memory_is_given_out_last),
        FRAME_TEST(limits_are_kept),
        FRAME_TEST(neighbours_come_from_one_2m_block),
        FRAME_TEST(must_panics_with_the_owner),
        FRAME_TEST(the_ledger_closes_and_reclaiming_moves_bytes),
        FRAME_TEST(every_byte_handed_out_is_booked),
        FRAME_TEST(an_owner_can_be_changed),
        FRAME_TEST(a_given_block_is_taken_from_magazines),
        FRAME_TEST(what_has_an_owner_is_not_asked_for),
        FRAME_TEST(a_split_block_is_single_frames),
        FRAME_TEST(allocate_until_nothing_is_left),
        FRAME_TEST(other_cpus_give_back_when_asked),
        FRAME_TEST(an_idle_cpu_gives_back_when_asked),
        PC_TEST(a_limit_inside_an_untouched_arena_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
