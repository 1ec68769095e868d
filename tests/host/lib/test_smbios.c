/* The SMBIOS entry point: both kinds, and every way to be damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <ashlar/smbios.h>

/* Makes the bytes from 0 to `length` add up to 0 through the byte at `at`. */
static void seal(uint8_t *entry, unsigned length, unsigned at)
{
    uint8_t sum = 0;
    entry[at] = 0;
    for (unsigned i = 0; i < length; i++) {
        sum = (uint8_t)(sum + entry[i]);
    }
    entry[at] = (uint8_t)(0 - sum);
}

static void make_new(uint8_t entry[SMBIOS_ENTRY_BYTES_MAX], uint64_t address, uint32_t size)
{
    memset(entry, 0, SMBIOS_ENTRY_BYTES_MAX);
    memcpy(entry, "_SM3_", 5);
    entry[6] = 24;
    entry[7] = 3;
    memcpy(entry + 12, &size, 4);
    memcpy(entry + 16, &address, 8);
    seal(entry, 24, 5);
}

static void make_old(uint8_t entry[SMBIOS_ENTRY_BYTES_MAX], uint32_t address, uint16_t size)
{
    memset(entry, 0, SMBIOS_ENTRY_BYTES_MAX);
    memcpy(entry, "_SM_", 4);
    entry[5] = 31;
    memcpy(entry + 16, "_DMI_", 5);
    memcpy(entry + 22, &size, 2);
    memcpy(entry + 24, &address, 4);
    seal(entry, 31, 4);
}

static void both_kinds_are_read(void **state)
{
    (void)state;
    uint8_t entry[SMBIOS_ENTRY_BYTES_MAX];
    struct smbios_extent extent;
    make_new(entry, 0x123456789000, 0x4321);
    assert_true(smbios_read_entry(entry, sizeof entry, &extent));
    assert_int_equal(extent.entry_bytes, 24);
    assert_int_equal(extent.table.raw, 0x123456789000);
    assert_int_equal(extent.table_bytes, 0x4321);
    make_old(entry, 0xfedc0010, 0xabc);
    assert_true(smbios_read_entry(entry, sizeof entry, &extent));
    assert_int_equal(extent.entry_bytes, 31);
    assert_int_equal(extent.table.raw, 0xfedc0010);
    assert_int_equal(extent.table_bytes, 0xabc);
}

static void every_flipped_bit_is_seen(void **state)
{
    (void)state;
    uint8_t entry[SMBIOS_ENTRY_BYTES_MAX];
    struct smbios_extent extent = {0, {7}, 0};
    for (unsigned bit = 0; bit < 24 * 8; bit++) {
        make_new(entry, MIB(20), 4096);
        entry[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(smbios_read_entry(entry, sizeof entry, &extent));
    }
    for (unsigned bit = 0; bit < 31 * 8; bit++) {
        make_old(entry, MIB(20), 4096);
        entry[bit / 8] ^= (uint8_t)(1U << bit % 8);
        assert_false(smbios_read_entry(entry, sizeof entry, &extent));
    }
    assert_int_equal(extent.table.raw, 7);
}

static void impossible_values_are_refused(void **state)
{
    (void)state;
    uint8_t entry[SMBIOS_ENTRY_BYTES_MAX];
    struct smbios_extent extent;
    make_new(entry, MIB(20), 0);
    assert_false(smbios_read_entry(entry, sizeof entry, &extent));
    make_new(entry, MIB(20), SMBIOS_TABLE_BYTES_MAX + 1);
    assert_false(smbios_read_entry(entry, sizeof entry, &extent));
    make_new(entry, 0, 100);
    assert_false(smbios_read_entry(entry, sizeof entry, &extent));
    make_new(entry, 1ULL << 52, 100);
    assert_false(smbios_read_entry(entry, sizeof entry, &extent));
    make_new(entry, MIB(20), 100);
    entry[6] = 200; /* longer than what can be read */
    seal(entry, SMBIOS_ENTRY_BYTES_MAX, 5);
    assert_false(smbios_read_entry(entry, sizeof entry, &extent));
    make_new(entry, MIB(20), 100);
    for (size_t bytes = 0; bytes < 24; bytes++) {
        assert_false(smbios_read_entry(entry, bytes, &extent));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_kinds_are_read),
        cmocka_unit_test(every_flipped_bit_is_seen),
        cmocka_unit_test(impossible_values_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
