/* The plan of the physmap, against a model that asks for every frame on its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include <ashlar/memory_type.h>
#include <ashlar/physmap.h>

#include "tests/host/support/random.h"

#define FRAMES 96 /* of the model machine */

enum frame_access { ABSENT, READ_ONLY, WRITABLE };

struct machine {
    struct memory_range ranges[FRAMES];
    size_t range_count;
    enum frame_access expected[FRAMES];
    struct physmap_plan plan;
};

static void add_range(struct machine *machine, uint64_t first, uint64_t end, enum memory_type type)
{
    machine->ranges[machine->range_count++] =
        (struct memory_range){{first * FRAME_BYTES}, (end - first) * FRAME_BYTES, type, 0};
    for (uint64_t frame = first; frame < end; frame++) {
        machine->expected[frame] = type >= MEMORY_MMIO      ? ABSENT
                                   : type == MEMORY_RUNTIME ? READ_ONLY
                                                            : WRITABLE;
    }
}

static void protect(struct machine *machine, uint64_t first, uint64_t end)
{
    assert_true(
        physmap_plan_protect(&machine->plan, phys_addr(first * FRAME_BYTES), (end - first) * FRAME_BYTES));
    for (uint64_t frame = first; frame < end; frame++) {
        machine->expected[frame] = machine->expected[frame] == ABSENT ? ABSENT : READ_ONLY;
    }
}

/* Runs the plan to its end: ascending, disjoint, and each frame as the model has it. */
static void expect_plan(struct machine *machine)
{
    enum frame_access found[FRAMES] = {ABSENT};
    struct physmap_piece piece;
    uint64_t done = 0;
    while (physmap_plan_next(&machine->plan, &piece)) {
        assert_true(piece.bytes != 0 && is_aligned(piece.base.raw | piece.bytes, FRAME_BYTES));
        assert_true(piece.base.raw >= done);
        done = piece.base.raw + piece.bytes;
        for (uint64_t at = piece.base.raw; at < done; at += FRAME_BYTES) {
            found[at / FRAME_BYTES] = piece.writable ? WRITABLE : READ_ONLY;
        }
    }
    assert_memory_equal(found, machine->expected, sizeof found);
    assert_false(physmap_plan_next(&machine->plan, &piece));
}

static void an_empty_map_has_no_pieces(void **state)
{
    (void)state;
    struct physmap_plan plan;
    struct physmap_piece piece;
    physmap_plan_start(&plan, NULL, 0, PHYSICAL_END);
    assert_false(physmap_plan_next(&plan, &piece));
}

/* One large page may cover all of it, so it must be one piece. */
static void ordinary_ram_that_touches_is_one_piece(void **state)
{
    (void)state;
    struct machine machine = {0};
    add_range(&machine, 1, 8, MEMORY_USABLE);
    add_range(&machine, 8, 12, MEMORY_KERNEL);
    add_range(&machine, 12, 20, MEMORY_BOOT_RECLAIMABLE);
    add_range(&machine, 20, 24, MEMORY_ACPI_NVS);
    physmap_plan_start(&machine.plan, machine.ranges, machine.range_count, PHYSICAL_END);
    struct physmap_piece piece;
    assert_true(physmap_plan_next(&machine.plan, &piece));
    assert_int_equal(piece.base.raw, 1 * FRAME_BYTES);
    assert_int_equal(piece.bytes, 19 * FRAME_BYTES);
    assert_true(physmap_plan_next(&machine.plan, &piece));
    assert_int_equal(piece.base.raw, 20 * FRAME_BYTES);
    assert_false(physmap_plan_next(&machine.plan, &piece));
}

static void too_many_stretches_are_refused(void **state)
{
    (void)state;
    struct physmap_plan plan;
    physmap_plan_start(&plan, NULL, 0, PHYSICAL_END);
    for (unsigned i = 0; i < PHYSMAP_READ_ONLY_MAX; i++) {
        assert_true(physmap_plan_protect(&plan, phys_addr(i * FRAME_BYTES), FRAME_BYTES));
    }
    assert_false(physmap_plan_protect(&plan, phys_addr(0), FRAME_BYTES));
    assert_int_equal(plan.read_only_count, PHYSMAP_READ_ONLY_MAX);
}

static void nothing_is_mapped_beyond_the_limit(void **state)
{
    (void)state;
    for (uint64_t limit = 0; limit <= 16; limit++) {
        struct machine machine = {0};
        add_range(&machine, 2, 6, MEMORY_USABLE);
        add_range(&machine, 8, 12, MEMORY_USABLE);
        physmap_plan_start(&machine.plan, machine.ranges, machine.range_count, limit * FRAME_BYTES);
        protect(&machine, 3, 9);
        for (uint64_t frame = limit; frame < FRAMES; frame++) {
            machine.expected[frame] = ABSENT;
        }
        expect_plan(&machine);
    }
}

static void random_map(struct machine *machine, uint64_t *random)
{
    for (uint64_t at = random_next(random) % 4; at < FRAMES;) {
        uint64_t end = min_u64(at + 1 + random_next(random) % 12, FRAMES);
        add_range(machine, at, end, (enum memory_type)(random_next(random) % MEMORY_TYPE_COUNT));
        at = end + (random_next(random) % 3 == 0 ? random_next(random) % 6 : 0);
    }
}

static void random_plans_agree_with_the_model(void **state)
{
    (void)state;
    uint64_t random = 20251;
    for (unsigned round = 0; round < 20000; round++) {
        struct machine machine = {0};
        random_map(&machine, &random);
        physmap_plan_start(&machine.plan, machine.ranges, machine.range_count, PHYSICAL_END);
        for (uint64_t stretches = random_next(&random) % 6; stretches > 0; stretches--) {
            uint64_t first = random_next(&random) % FRAMES;
            protect(&machine, first, min_u64(first + 1 + random_next(&random) % 10, FRAMES));
        }
        expect_plan(&machine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_has_no_pieces),
        cmocka_unit_test(ordinary_ram_that_touches_is_one_piece),
        cmocka_unit_test(too_many_stretches_are_refused),
        cmocka_unit_test(nothing_is_mapped_beyond_the_limit),
        cmocka_unit_test(random_plans_agree_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
