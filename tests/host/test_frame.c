/* The frame pool, promise by promise: start-up, errors with their names, the ledger, bounds, the validator.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frame_fixture.h"
#include "frame_internal.h"
#include "host.h"

static struct machine machine;

static int setup(void **state)
{
    (void)state;
    machine_make(&machine, GIB(6));
    machine_range(&machine, 0, KIB(640), MEMORY_USABLE);
    machine_range(&machine, KIB(640), KIB(384), MEMORY_RESERVED);
    machine_range(&machine, MIB(1), MIB(99), MEMORY_USABLE);
    machine_range(&machine, MIB(100), MIB(20), MEMORY_BOOT_RECLAIMABLE);
    machine_range(&machine, MIB(120), MIB(1), MEMORY_ACPI_NVS);
    machine_range(&machine, MIB(121), MIB(7), MEMORY_KERNEL);
    machine_range(&machine, GIB(4), MIB(300), MEMORY_USABLE);
    assert_int_equal(machine_start(&machine, 2, NULL), FRAME_OK);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    struct frame_problem problem;
    host_cpu = 0;
    bool good = frame_pool_check(&machine.pool, &problem);
    if (!good) {
        print_error("frame_pool_check: %s at %#llx\n", problem.what, (unsigned long long)problem.frame);
    }
    machine_destroy(&machine);
    return good ? 0 : -1;
}

/* ---- Start-up ---- */

static void a_map_that_is_not_normalised_is_refused(void **state)
{
    (void)state;
    struct frame_config config = machine_config(&machine, 1, NULL);
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
    struct frame_config config = machine_config(&machine, 0, NULL);
    assert_int_equal(frame_pool_init(&pool, &config), FRAME_BAD_CONFIG);
    config.cpus = CPUS_MAX + 1;
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
    struct frame_config config = machine_config(&machine, CPUS_MAX, NULL);
    config.map = &tiny;
    config.map_count = 1;
    assert_int_equal(frame_pool_init(&pool, &config), FRAME_NO_ROOM);
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
    phys_addr_t first = frame_alloc(&machine.pool, 0, OWNER_TEST);
    assert_true(first.raw >= GIB(4));
    while (frame_alloc_must(&machine.pool, 9, OWNER_TEST).raw >= GIB(4)) {
    }
    struct frame_statistics statistics;
    frame_pool_statistics(&machine.pool, &statistics);
    phys_addr_t last = FRAME_NONE;
    for (phys_addr_t next; (next = frame_alloc(&machine.pool, 0, OWNER_TEST)).raw != 0;) {
        last = next;
    }
    assert_true(last.raw < MIB(2));
    assert_int_equal(frame_pool_free(&machine.pool), 0);
}

static void limits_are_kept(void **state)
{
    (void)state;
    static const uint64_t limits[] = {MIB(1), MIB(16), GIB(4), MIB(5) + KIB(12)};
    for (unsigned i = 0; i < ARRAY_LENGTH(limits); i++) {
        struct frame_request request = {.frames = 3, .limit = limits[i], .owner = OWNER_DMA, .zeroed = true};
        phys_addr_t run;
        unsigned runs = 0;
        while (frame_alloc_request(&machine.pool, &request, &run) == FRAME_OK) {
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
        phys_addr_t frame = frame_alloc(&machine.pool, i % 3, OWNER_TEST);
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
    CATCH_PANIC(trap, panicked, frame_alloc_must(&machine.pool, 18, OWNER_STACKS));
    assert_true(panicked);
    assert_non_null(strstr(trap.message, "out of memory"));
    assert_non_null(strstr(trap.message, "stacks"));
}

/* ---- Mistakes ---- */

static void expect_panic(phys_addr_t block, unsigned order, const char *name, const char *detail)
{
    struct host_panic_trap trap;
    volatile bool panicked;
    CATCH_PANIC(trap, panicked, frame_free(&machine.pool, block, order));
    assert_true(panicked);
    if (!strstr(trap.message, name) || !strstr(trap.message, detail)) {
        fail_msg("\"%s\" says neither \"%s\" nor \"%s\"", trap.message, name, detail);
    }
}

static void every_mistaken_free_has_its_name(void **state)
{
    (void)state;
    phys_addr_t block = frame_alloc(&machine.pool, 3, OWNER_SLABS);
    expect_panic(block, 2, "wrong order", "slabs");
    expect_panic(phys_add(block, FRAME_BYTES), 0, "part of a block", "order 3");
    expect_panic(phys_add(block, 8), 3, "misaligned", "");
    frame_get(&machine.pool, block);
    expect_panic(block, 3, "still shared", "2 references");
    assert_false(frame_put(&machine.pool, block));
    frame_free(&machine.pool, block, 3);
    expect_panic(block, 3, "double free", "in a magazine");
    frame_pool_drain(&machine.pool);
    expect_panic(block, 3, "double free", "free");
    expect_panic(phys_addr(MIB(50)), 0, "never allocated", "free");
    expect_panic(phys_addr(KIB(700)), 0, "reserved memory", "reserved");
    expect_panic(phys_addr(MIB(120)), 0, "reserved memory", "ACPI NVS");
    expect_panic(phys_addr(0), 0, "reserved memory", "kept back");
    expect_panic(machine.pool.state_base, 0, "reserved memory", "allocator state");
    expect_panic(phys_addr(GIB(2)), 0, "not memory of this pool", "");
    expect_panic(phys_addr(TIB(100)), 0, "not memory of this pool", "");
    expect_panic(phys_addr(MIB(50)), 30, "impossible order", "");
    assert_int_equal(frame_try_get(&machine.pool, phys_addr(MIB(50))), FRAME_NOT_ALLOCATED);
}

static void a_second_pool_refuses_the_first_ones_frames(void **state)
{
    (void)state;
    static struct machine other;
    machine_make(&other, GIB(6));
    machine_range(&other, GIB(5), MIB(64), MEMORY_USABLE);
    assert_int_equal(machine_start(&other, 1, NULL), FRAME_OK);
    phys_addr_t block = frame_alloc(&machine.pool, 0, OWNER_TEST);
    assert_int_equal(frame_try_free(&other.pool, block, 0), FRAME_NOT_MANAGED);
    frame_free(&machine.pool, block, 0);
    machine_destroy(&other);
}

static void references_have_an_end(void **state)
{
    (void)state;
    phys_addr_t block = frame_alloc(&machine.pool, 0, OWNER_TEST);
    struct frame_descriptor *descriptor = frame_descriptor(&machine.pool, block);
    atomic_store(&descriptor->tag, frame_tag(FRAME_ALLOCATED, 0, FRAME_REFERENCES_MAX));
    assert_int_equal(frame_try_get(&machine.pool, block), FRAME_TOO_SHARED);
    assert_false(frame_put(&machine.pool, block));
    assert_int_equal(frame_try_get(&machine.pool, block), FRAME_OK);
    atomic_store(&descriptor->tag, frame_tag(FRAME_ALLOCATED, 0, 1));
    assert_true(frame_put(&machine.pool, block));
}

/* ---- Ledger ---- */

static void the_ledger_closes_and_reclaiming_moves_bytes(void **state)
{
    (void)state;
    struct frame_ledger before;
    struct frame_ledger after;
    frame_pool_ledger(&machine.pool, &before);
    assert_int_equal(before.difference, 0);
    assert_int_equal(before.owner_bytes[OWNER_KERNEL], MIB(7));
    assert_int_equal(before.owner_bytes[OWNER_KEPT], FRAME_BYTES);
    assert_int_equal(before.owner_bytes[OWNER_POOL], machine.pool.state_bytes);
    assert_int_equal(frame_pool_reclaim(&machine.pool, MEMORY_BOOT_RECLAIMABLE), FRAME_OK);
    frame_pool_ledger(&machine.pool, &after);
    assert_int_equal(after.difference, 0);
    assert_int_equal(after.free_bytes, before.free_bytes + MIB(20));
    assert_int_equal(after.owner_bytes[OWNER_BOOT_RECLAIMABLE], 0);
    assert_int_equal(frame_pool_reclaim(&machine.pool, MEMORY_BOOT_RECLAIMABLE), FRAME_RESERVED);
    assert_int_equal(frame_pool_reclaim(&machine.pool, MEMORY_MMIO), FRAME_RESERVED);
    assert_int_equal(frame_pool_reclaim(&machine.pool, MEMORY_TYPE_COUNT), FRAME_BAD_CONFIG);
}

static void every_byte_handed_out_is_booked(void **state)
{
    (void)state;
    struct frame_ledger ledger;
    phys_addr_t block = frame_alloc(&machine.pool, 4, OWNER_HEAP);
    host_cpu = 1;
    phys_addr_t frame = frame_alloc(&machine.pool, 0, OWNER_STACKS);
    frame_pool_ledger(&machine.pool, &ledger);
    assert_int_equal(ledger.owner_bytes[OWNER_HEAP], KIB(64));
    assert_int_equal(ledger.owner_bytes[OWNER_STACKS], KIB(4));
    assert_int_equal(ledger.magazine_bytes, 3 * KIB(64) + 63 * FRAME_BYTES); /* the rest of two refills */
    assert_int_equal(ledger.difference, 0);
    frame_free(&machine.pool, block, 4); /* freed on another CPU than it came from */
    host_cpu = 0;
    frame_free(&machine.pool, frame, 0);
    frame_pool_ledger(&machine.pool, &ledger);
    assert_int_equal(ledger.owner_bytes[OWNER_HEAP] + ledger.owner_bytes[OWNER_STACKS], 0);
    assert_int_equal(ledger.difference, 0);
}

/* ---- Running out ---- */

static void allocate_until_nothing_is_left(void **state)
{
    (void)state;
    uint64_t frames = 0;
    for (unsigned order = FRAME_ORDERS; order-- > 0;) {
        while (frame_alloc(&machine.pool, order, OWNER_TEST).raw != 0) {
            frames += 1ULL << order;
        }
    }
    struct frame_statistics statistics;
    struct frame_problem problem;
    frame_pool_statistics(&machine.pool, &statistics);
    assert_true(frame_pool_check(&machine.pool, &problem));
    assert_int_equal(frames + statistics.descriptor_bytes / FRAME_BYTES + frame_pool_free(&machine.pool),
                     statistics.managed_frames);
    assert_int_equal(frame_pool_free(&machine.pool), 0);
    assert_int_equal(frame_alloc_at(&machine.pool, phys_addr(GIB(4)), 0, OWNER_TEST), FRAME_BUSY);
}

static void other_cpus_give_back_when_asked(void **state)
{
    (void)state;
    phys_addr_t blocks[5];
    host_cpu = 1;
    for (unsigned i = 0; i < ARRAY_LENGTH(blocks); i++) {
        blocks[i] = frame_alloc(&machine.pool, 0, OWNER_TEST);
    }
    host_cpu = 0;
    frame_pool_drain(&machine.pool);
    struct frame_statistics statistics;
    frame_pool_statistics(&machine.pool, &statistics);
    assert_int_equal(statistics.magazine_frames, FRAME_BATCH - ARRAY_LENGTH(blocks));
    host_cpu = 1; /* the next free there empties its magazines */
    frame_free(&machine.pool, blocks[0], 0);
    frame_pool_statistics(&machine.pool, &statistics);
    assert_int_equal(statistics.magazine_frames, 1);
}

/* A machine of `frames` frames at 16 MiB and two at 32 MiB, far from each other's descriptors. */
static void tiny_machine(struct machine *tiny, uint64_t frames)
{
    memset(tiny, 0, sizeof *tiny);
    machine_make(tiny, MIB(64));
    machine_range(tiny, MIB(16), frames * FRAME_BYTES, MEMORY_USABLE);
    machine_range(tiny, MIB(32), FRAME_BYTES * 2, MEMORY_USABLE);
    assert_int_equal(machine_start(tiny, 1, NULL), FRAME_OK);
}

static void descriptors_may_lie_beside_what_they_describe(void **state)
{
    (void)state;
    static struct machine tiny;
    struct frame_problem problem;
    tiny_machine(&tiny, 128);
    phys_addr_t block = frame_alloc(&tiny.pool, 0, OWNER_TEST);
    assert_true(block.raw != 0 && block.raw < MIB(17));
    assert_int_equal(tiny.pages_mapped, 1);
    assert_true(frame_pool_check(&tiny.pool, &problem));
    machine_destroy(&tiny);
}

static void without_memory_for_descriptors_nothing_changes(void **state)
{
    (void)state;
    static struct machine tiny;
    struct frame_problem problem;
    struct frame_ledger before;
    struct frame_ledger after;
    tiny_machine(&tiny, 128);
    struct frame_request request = {.frames = 1, .owner = OWNER_TEST};
    phys_addr_t address;
    while (frame_pool_free(&tiny.pool) > 2) {
        assert_int_equal(frame_alloc_request(&tiny.pool, &request, &address), FRAME_OK);
        assert_true(address.raw < MIB(17));
    }
    memset(tiny.pool.reserve, 0, sizeof tiny.pool.reserve); /* used up */
    frame_pool_ledger(&tiny.pool, &before);
    address = FRAME_NONE;
    request.frames = 2;
    assert_int_equal(frame_alloc(&tiny.pool, 0, OWNER_TEST).raw, 0);
    assert_int_equal(frame_alloc(&tiny.pool, 1, OWNER_TEST).raw, 0);
    assert_int_equal(frame_alloc_request(&tiny.pool, &request, &address), FRAME_NO_MEMORY);
    assert_int_equal(frame_alloc_at(&tiny.pool, phys_addr(MIB(32)), 0, OWNER_TEST), FRAME_NO_MEMORY);
    assert_int_equal(frame_alloc_batch(&tiny.pool, 1, &address, OWNER_TEST), 0);
    assert_false(frame_pool_idle(&tiny.pool));
    assert_int_equal(frame_pool_back(&tiny.pool, phys_addr(MIB(32)), FRAME_BYTES), FRAME_NO_MEMORY);
    assert_int_equal(address.raw, 0);
    frame_pool_ledger(&tiny.pool, &after);
    assert_memory_equal(&before, &after, sizeof before);
    assert_true(frame_pool_check(&tiny.pool, &problem));
    machine_destroy(&tiny);
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

/* ---- The validator sees what is broken ---- */

static void expect_problem(const char *what)
{
    struct frame_problem problem;
    assert_false(frame_pool_check(&machine.pool, &problem));
    if (!strstr(problem.what, what)) {
        fail_msg("\"%s\" is not \"%s\"", problem.what, what);
    }
}

static void the_validator_sees_each_corruption(void **state)
{
    (void)state;
    struct frame_pool *pool = &machine.pool;
    phys_addr_t block = frame_alloc(pool, 2, OWNER_TEST);
    phys_addr_t cached = frame_alloc(pool, 0, OWNER_TEST);
    frame_free(pool, cached, 0);
    struct frame_descriptor *descriptor = frame_descriptor(pool, block);
    uint32_t tag = atomic_load(&descriptor->tag);

    atomic_store(&descriptor->tag, frame_tag(FRAME_FREED, 2, 0));
    expect_problem("neither free nor allocated");
    atomic_store(&descriptor->tag, frame_tag(FRAME_ALLOCATED, 3, 1));
    expect_problem("allocated"); /* it reaches over what is not its own */
    atomic_store(&descriptor->tag, frame_tag(FRAME_ALLOCATED, 2, 0));
    expect_problem("impossible descriptor");
    atomic_store(&descriptor->tag, tag);

    atomic_store(&descriptor->owner, OWNER_HEAP);
    expect_problem("account");
    atomic_store(&descriptor->owner, OWNER_TEST);

    atomic_store(&descriptor[1].tag, frame_tag(FRAME_ALLOCATED, 0, 1));
    expect_problem("descriptor says allocated");
    atomic_store(&descriptor[1].tag, 0);

    descriptor = frame_descriptor(pool, cached);
    tag = atomic_load(&descriptor->tag);
    atomic_store(&descriptor->tag, frame_tag(FRAME_ALLOCATED, 0, 1));
    expect_problem("not marked so");
    atomic_store(&descriptor->tag, tag);

    uint64_t *slots = &pool->cpu[0]->slots[pool->cpu[0]->magazine[0].bottom];
    uint64_t saved = slots[0];
    slots[0] = slots[1];
    expect_problem("twice");
    slots[0] = saved + 1;
    expect_problem("no block can have this address");
    slots[0] = MIB(122); /* the kernel's */
    expect_problem("no block can have this address");
    slots[0] = saved;

    pool->free_frames++;
    expect_problem("count of free frames");
    pool->free_frames--;
    pool->managed_frames++;
    expect_problem("count of managed frames");
    pool->managed_frames--;
    pool->fixed_bytes[OWNER_MMIO]++;
    expect_problem("ledger");
    pool->fixed_bytes[OWNER_MMIO]--;

    pool->config.policy->give(pool->policy_state, block.raw >> FRAME_SHIFT, 0);
    expect_problem("free");
    assert_true(pool->config.policy->take_at(pool->policy_state, block.raw >> FRAME_SHIFT, 0));
}

#define FRAME_TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRAME_TEST(a_map_that_is_not_normalised_is_refused),
        FRAME_TEST(an_impossible_configuration_is_refused),
        FRAME_TEST(state_that_fits_nowhere_is_refused),
        FRAME_TEST(a_huge_machine_costs_no_more_than_it_must),
        FRAME_TEST(low_memory_is_given_out_last),
        FRAME_TEST(limits_are_kept),
        FRAME_TEST(neighbours_come_from_one_2m_block),
        FRAME_TEST(must_panics_with_the_owner),
        FRAME_TEST(every_mistaken_free_has_its_name),
        FRAME_TEST(a_second_pool_refuses_the_first_ones_frames),
        FRAME_TEST(references_have_an_end),
        FRAME_TEST(the_ledger_closes_and_reclaiming_moves_bytes),
        FRAME_TEST(every_byte_handed_out_is_booked),
        FRAME_TEST(allocate_until_nothing_is_left),
        FRAME_TEST(other_cpus_give_back_when_asked),
        FRAME_TEST(descriptors_may_lie_beside_what_they_describe),
        FRAME_TEST(without_memory_for_descriptors_nothing_changes),
        FRAME_TEST(a_limit_inside_an_untouched_arena_is_kept),
        FRAME_TEST(the_validator_sees_each_corruption),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
