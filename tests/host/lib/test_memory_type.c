/* Reading a normalised map: names, the validator (each fault made on purpose), sums and look-up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include <ashlar/memory_type.h>

static const struct memory_range sound[] = {
    {{0x0}, 0x1000, MEMORY_RESERVED, 0},
    {{0x1000}, 0x4000, MEMORY_USABLE, 0},
    {{0x8000}, 0x1000, MEMORY_USABLE, 0},
    {{PHYSICAL_END - 0x1000}, 0x1000, MEMORY_MMIO, 0},
};

static void every_type_has_its_own_name(void **state)
{
    (void)state;
    for (int a = 0; a < MEMORY_TYPE_COUNT; a++) {
        assert_string_not_equal(memory_type_name(a), "unknown");
        for (int b = 0; b < a; b++) {
            assert_string_not_equal(memory_type_name(a), memory_type_name(b));
        }
    }
    assert_string_equal(memory_type_name(MEMORY_TYPE_COUNT), "unknown");
    assert_string_equal(memory_type_name(MEMORY_BOOT_RECLAIMABLE), "boot-reclaimable");
}

/* Checks the sound map with one range replaced. */
static void expect_fault(size_t index, struct memory_range range, const char *fault)
{
    struct memory_range ranges[ARRAY_LENGTH(sound)];
    size_t at = 99;
    memcpy(ranges, sound, sizeof sound);
    ranges[index] = range;
    const char *found = memory_ranges_check(ranges, ARRAY_LENGTH(ranges), &at);
    assert_non_null(found);
    assert_string_equal(found, fault);
    assert_int_equal(at, index);
}

static void the_validator_names_each_fault(void **state)
{
    (void)state;
    assert_null(memory_ranges_check(sound, ARRAY_LENGTH(sound), NULL));
    assert_null(memory_ranges_check(NULL, 0, NULL));
    expect_fault(1, (struct memory_range){{0x1000}, 0x4000, MEMORY_TYPE_COUNT, 0}, "has an unknown type");
    expect_fault(1, (struct memory_range){{0x1000}, 0, MEMORY_USABLE, 0}, "is empty");
    expect_fault(1, (struct memory_range){{0x1800}, 0x1000, MEMORY_USABLE, 0}, "is not page-aligned");
    expect_fault(1, (struct memory_range){{0x1000}, 0x1001, MEMORY_USABLE, 0}, "is not page-aligned");
    expect_fault(3, (struct memory_range){{PHYSICAL_END - 0x1000}, 0x2000, MEMORY_MMIO, 0},
                 "ends beyond the physical address space");
    expect_fault(3, (struct memory_range){{PHYSICAL_END + 0x1000}, 0x1000, MEMORY_MMIO, 0},
                 "ends beyond the physical address space");
    expect_fault(2, (struct memory_range){{0x0}, 0x1000, MEMORY_USABLE, 0}, "is out of order");
    expect_fault(2, (struct memory_range){{0x4000}, 0x2000, MEMORY_MMIO, 0}, "overlaps the one before");
    expect_fault(2, (struct memory_range){{0x5000}, 0x1000, MEMORY_USABLE, 0},
                 "should be merged with the one before");
}

static void totals_are_exact(void **state)
{
    (void)state;
    uint64_t totals[MEMORY_TYPE_COUNT];
    memset(totals, 0xff, sizeof totals);
    assert_int_equal(memory_ranges_totals(sound, ARRAY_LENGTH(sound), totals), 0x7000);
    assert_int_equal(totals[MEMORY_USABLE], 0x5000);
    assert_int_equal(totals[MEMORY_RESERVED], 0x1000);
    assert_int_equal(totals[MEMORY_MMIO], 0x1000);
    assert_int_equal(totals[MEMORY_KERNEL], 0);
}

static void look_up_finds_the_range(void **state)
{
    (void)state;
    size_t count = ARRAY_LENGTH(sound);
    for (size_t i = 0; i < count; i++) {
        uint64_t base = sound[i].base.raw;
        assert_ptr_equal(memory_ranges_find(sound, count, phys_addr(base)), &sound[i]);
        assert_ptr_equal(memory_ranges_find(sound, count, phys_addr(base + sound[i].bytes - 1)), &sound[i]);
    }
    assert_null(memory_ranges_find(sound, count, phys_addr(0x5000)));
    assert_null(memory_ranges_find(sound, count, phys_addr(0x7fff)));
    assert_null(memory_ranges_find(sound, count, phys_addr(PHYSICAL_END)));
    assert_null(memory_ranges_find(sound + 1, count - 1, phys_addr(0xfff)));
    assert_null(memory_ranges_find(sound, 0, phys_addr(0)));
}

static bool are_ram(uint64_t base, uint64_t bytes)
{
    static const struct memory_range map[] = {{{0x0}, 0x1000, MEMORY_RESERVED, 0},
                                              {{0x1000}, 0x4000, MEMORY_USABLE, 0},
                                              {{0x5000}, 0x1000, MEMORY_ACPI_NVS, 0},
                                              {{0x8000}, 0x1000, MEMORY_RUNTIME, 0},
                                              {{0x9000}, 0x1000, MEMORY_UNUSABLE, 0}};
    return memory_ranges_are_ram(map, ARRAY_LENGTH(map), phys_addr(base), bytes);
}

static void ram_is_what_the_physmap_shows(void **state)
{
    (void)state;
    assert_true(are_ram(0x1000, 1) && are_ram(0x4fff, 2) && are_ram(0x1000, 0x5000)); /* over two types */
    assert_false(are_ram(0x1000, 0x5001) || are_ram(0x5fff, 2));                      /* into a hole */
    assert_false(are_ram(0x6000, 1) || are_ram(0x7fff, 2));                           /* out of one */
    assert_true(are_ram(0x8000, 0x1000));
    assert_false(are_ram(0x8000, 0x1001) || are_ram(0xfff, 1) || are_ram(0xa000, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_has_its_own_name),
        cmocka_unit_test(the_validator_names_each_fault),
        cmocka_unit_test(totals_are_exact),
        cmocka_unit_test(look_up_finds_the_range),
        cmocka_unit_test(ram_is_what_the_physmap_shows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
