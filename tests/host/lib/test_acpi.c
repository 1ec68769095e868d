/* The ACPI parser on tables that real firmware made, and on each of them broken in every way it checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "acpi_captured.h"
#include "acpi_report.h"

static void q35_is_read_completely(void **state)
{
    (void)state;
    captured_load("q35.acpi");
    assert_true(image_parse(&captured, &captured_info));
    assert_string_equal(captured.reports, "");
    assert_int_equal(captured_info.refused, 0);
    assert_int_equal(captured_info.revision, 2);
    assert_true(captured_info.extended);
    assert_int_equal(captured_info.table_count, captured.count - 2);
    assert_string_equal(captured_info.tables[0].signature, "FACP");
    assert_string_equal(captured_info.tables[0].oem, "BOCHS");
    assert_int_equal(captured_info.madt.local_apic.raw, 0xfee00000);
    assert_true(captured_info.madt.legacy_pics);
    assert_int_equal(captured_info.madt.cpu_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(captured_cpu(i).apic_id, i);
        assert_true(captured_cpu(i).enabled);
    }
    assert_int_equal(captured_info.madt.io_apic_count, 1);
    assert_int_equal(captured_info.madt.io_apics[0].address.raw, 0xfec00000);
    assert_int_equal(captured_info.madt.io_apics[0].interrupt_base, 0);
    assert_int_equal(captured_info.hpet.address.raw, 0xfed00000);
    assert_int_equal(captured_info.mcfg.count, 1);
    assert_int_equal(captured_info.mcfg.segments[0].last_bus, 255);
}

static void legacy_interrupts_follow_the_overrides(void **state)
{
    (void)state;
    captured_load("q35.acpi");
    assert_true(image_parse(&captured, &captured_info));
    struct acpi_override timer = acpi_legacy_interrupt(&captured_info.madt, 0);
    assert_int_equal(timer.interrupt, 2); /* the PIT arrives at input 2 */
    assert_false(timer.level_triggered);
    struct acpi_override sci = acpi_legacy_interrupt(&captured_info.madt, 9);
    assert_int_equal(sci.interrupt, 9);
    assert_true(sci.level_triggered);
    assert_false(sci.active_low);
    struct acpi_override serial = acpi_legacy_interrupt(&captured_info.madt, 4);
    assert_int_equal(serial.interrupt, 4);
    assert_false(serial.level_triggered || serial.active_low);
}

static void nodes_are_read(void **state)
{
    (void)state;
    captured_load("q35.acpi");
    assert_true(image_parse(&captured, &captured_info));
    assert_true(captured_info.srat.present);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(acpi_node_of_cpu(&captured_info.srat, i), i / 2);
    }
    assert_int_equal(acpi_node_of_cpu(&captured_info.srat, 4), 0); /* of which the table says nothing */
    uint64_t bytes[2] = {0};
    for (uint32_t i = 0; i < captured_info.srat.count; i++) {
        assert_true(captured_info.srat.ranges[i].node < 2);
        bytes[captured_info.srat.ranges[i].node] += captured_info.srat.ranges[i].bytes;
    }
    assert_int_equal(bytes[0], MIB(64) - KIB(384)); /* without 640 KiB to 1 MiB */
    assert_int_equal(bytes[1], MIB(64));
}

static void first_revision_has_nodes_of_8_bits(void **state)
{
    (void)state;
    captured_load("q35.acpi");
    struct image_piece *srat = captured_table("SRAT");
    memset(srat->content + 48 + 9, 0x55, 3); /* of the first processor: reserved in that revision */
    srat->content[8] = 1;
    captured_mend(srat);
    assert_true(image_parse(&captured, &captured_info));
    assert_int_equal(acpi_node_of_cpu(&captured_info.srat, 0), 0);
    srat->content[8] = 2;
    captured_mend(srat);
    assert_true(image_parse(&captured, &captured_info));
    assert_int_equal(acpi_node_of_cpu(&captured_info.srat, 0), 0x55555500);
}

static void power_registers_are_read(void **state)
{
    (void)state;
    captured_load("q35.acpi");
    assert_true(image_parse(&captured, &captured_info));
    assert_true(captured_info.fadt.present);
    assert_int_equal(captured_info.fadt.pm1a_control.space, ACPI_SPACE_PORT);
    assert_int_equal(captured_info.fadt.pm1a_control.address, 0x604);
    assert_int_equal(captured_info.fadt.pm_timer.address, 0x608);
    assert_true(captured_info.fadt.reset_supported);
    assert_int_equal(captured_info.fadt.reset.address, 0xcf9);
    assert_int_equal(captured_info.fadt.reset_value, 0x0f);
    assert_false(captured_info.fadt.hardware_reduced);
    assert_true(captured_info.soft_off.known);
    assert_int_equal(captured_info.soft_off.type_a, 0);
    assert_int_equal(captured_info.soft_off.type_b, 0);
}

static void acpi_1_root_pointer_is_read(void **state)
{
    (void)state;
    captured_load("bios.acpi");
    assert_true(image_parse(&captured, &captured_info));
    assert_string_equal(captured.reports, "");
    assert_int_equal(captured_info.revision, 0);
    assert_false(captured_info.extended);
    assert_int_equal(captured_info.madt.cpu_count, 1);
    assert_int_equal(captured_info.fadt.pm_timer.address, 0xb008 - 0xb000 + 0x600);
    assert_true(captured_info.soft_off.known);
}

static void pc_is_read(void **state)
{
    (void)state;
    captured_load("pc.acpi");
    assert_true(image_parse(&captured, &captured_info));
    assert_string_equal(captured.reports, "");
    assert_int_equal(captured_info.madt.cpu_count, 2);
    assert_false(captured_info.mcfg.present);
    assert_false(captured_info.srat.present);
}

static void no_root_pointer_is_no_acpi(void **state)
{
    (void)state;
    image_free(&captured);
    assert_false(image_parse(&captured, &captured_info));
    assert_false(captured_info.present);
    assert_string_equal(captured.reports, "");
}

static void every_wrong_checksum_is_named(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"APIC", "APIC at 0x"}, {"FACP", "FACP at 0x"},
                                           {"HPET", "HPET at 0x"}, {"MCFG", "MCFG at 0x"},
                                           {"SRAT", "SRAT at 0x"}, {"DSDT", "DSDT at 0x"}};
    for (size_t i = 0; i < 6; i++) {
        captured_load("q35.acpi");
        captured_table(names[i][0])->content[20] ^= 0x17;
        assert_true(image_parse(&captured, &captured_info));
        expect_report(&captured, names[i][1]);
        expect_report(&captured, ": checksum 0x");
        expect_report(&captured, ", expected 0");
        assert_int_equal(captured_info.refused, 1);
        assert_int_equal(captured_info.madt.present, i != 0);
        assert_int_equal(captured_info.fadt.present, i != 1);
        assert_int_equal(captured_info.hpet.present, i != 2);
        assert_int_equal(captured_info.mcfg.present, i != 3);
        assert_int_equal(captured_info.srat.present, i != 4);
        assert_int_equal(captured_info.soft_off.known, i != 1 && i != 5);
    }
}

static void broken_root_pointer_is_refused(void **state)
{
    (void)state;
    captured_load("q35.acpi");
    captured.pieces[0].content[0] = 'X';
    assert_false(image_parse(&captured, &captured_info));
    expect_report(&captured, "RSDP at 0x");
    expect_report(&captured, "signature");

    captured_load("q35.acpi");
    captured.pieces[0].content[9] ^= 1;
    assert_false(image_parse(&captured, &captured_info));
    expect_report(&captured, "checksum 0x");
}

/* What is wrong beside the part that is used is told, and does no harm: the tables have checksums of their
 * own. */
static void broken_extension_of_the_root_pointer_is_survived(void **state)
{
    (void)state;
    captured_load("q35.acpi");
    captured.pieces[0].content[33] ^= 1;
    assert_true(image_parse(&captured, &captured_info));
    expect_report(&captured, "extended checksum 0x");
    assert_int_equal(captured_info.madt.cpu_count, 4);

    captured_load("q35.acpi");
    captured_set32(captured.pieces[0].content + 20, 35);
    assert_true(image_parse(&captured, &captured_info));
    expect_report(&captured, "length 35, expected 36 to 4096");
    assert_int_equal(captured_info.madt.cpu_count, 4);

    captured_load("q35.acpi");
    captured.pieces[0].content[24] ^= 0x40; /* the XSDT's address */
    assert_true(image_parse(&captured, &captured_info) == (captured_info.root.raw != 0));
    expect_report(&captured, "extended checksum 0x");
}

/* Adds the RSDT that the root pointer names: the XSDT's tables, by addresses of 32 bits. */
static void add_rsdt(void)
{
    struct image_piece *xsdt = captured_table("XSDT");
    uint8_t rsdt[36 + 4 * 16];
    size_t entries = (xsdt->bytes - 36) / 8;
    memcpy(rsdt, xsdt->content, 36);
    memcpy(rsdt, "RSDT", 4);
    captured_set32(rsdt + 4, (uint32_t)(36 + 4 * entries));
    for (size_t i = 0; i < entries; i++) {
        memcpy(rsdt + 36 + 4 * i, xsdt->content + 36 + 8 * i, 4);
    }
    captured_mend_sum(rsdt, 36 + 4 * entries, 9);
    uint32_t rsdt_at;
    memcpy(&rsdt_at, captured.pieces[0].content + 16, 4);
    image_add(&captured, rsdt_at, rsdt, 36 + 4 * entries);
}

static void broken_xsdt_falls_back_to_the_rsdt(void **state)
{
    (void)state;
    captured_load("q35.acpi");
    add_rsdt();
    captured_table("XSDT")->content[10] ^= 1;
    assert_true(image_parse(&captured, &captured_info));
    expect_report(&captured, "XSDT at 0x");
    assert_false(captured_info.extended);
    assert_int_equal(captured_info.madt.cpu_count, 4);
}

/* What the sound part of the root pointer names comes before what the doubtful part does. */
static void broken_extension_leads_to_the_rsdt(void **state)
{
    (void)state;
    captured_load("q35.acpi");
    add_rsdt();
    captured.pieces[0].content[33] ^= 1;
    assert_true(image_parse(&captured, &captured_info));
    expect_report(&captured, "extended checksum 0x");
    assert_false(captured_info.extended);
    assert_int_equal(captured_info.madt.cpu_count, 4);
}

static void lengths_are_bounded(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0, 35, (uint32_t)MIB(8) + 1, 0xffffffff};
    for (size_t i = 0; i < 4; i++) {
        captured_load("q35.acpi");
        captured_set32(captured_table("APIC")->content + 4, lengths[i]);
        assert_true(image_parse(&captured, &captured_info));
        expect_report(&captured, "APIC at 0x");
        expect_report(&captured, "expected 36 to 8388608");
        assert_false(captured_info.madt.present);
        assert_true(captured_info.fadt.present);
    }
    captured_load("q35.acpi");
    captured_set32(captured_table("APIC")->content + 4, 4096); /* sane, but beyond what is there */
    assert_true(image_parse(&captured, &captured_info));
    expect_report(&captured, "4096 bytes cannot be read");
}

static void short_fixed_tables_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *signature;
        uint32_t bytes;
        const char *report;
    } cases[] = {{"FACP", 115, "FADT at 0x"}, {"HPET", 55, "HPET at 0x"}, {"MCFG", 43, "MCFG at 0x"},
                 {"MCFG", 61, "MCFG at 0x"},  {"SRAT", 47, "SRAT at 0x"}, {"APIC", 43, "MADT at 0x"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        captured_load("q35.acpi");
        captured_resize(captured_table(cases[i].signature), cases[i].bytes);
        assert_true(image_parse(&captured, &captured_info));
        expect_report(&captured, cases[i].report);
        assert_int_equal(captured_info.refused, 1);
    }
}

static void impossible_values_are_refused(void **state)
{
    (void)state;
    captured_load("q35.acpi");
    captured_table("HPET")->content[40] = ACPI_SPACE_PORT;
    captured_mend(captured_table("HPET"));
    captured_table("MCFG")->content[44 + 10] = 9; /* first bus after the last */
    captured_table("MCFG")->content[44 + 11] = 8;
    captured_mend(captured_table("MCFG"));
    captured_set32(captured_table("FACP")->content + 120, 0x10000); /* reset port */
    captured_mend(captured_table("FACP"));
    assert_true(image_parse(&captured, &captured_info));
    expect_report(&captured, "HPET at 0x");
    expect_report(&captured, "registers in space 1");
    expect_report(&captured, "segment 0, buses 9 to 8");
    expect_report(&captured, "reset register: space 1, 8 bits at 0x10000, ignored");
    assert_false(captured_info.hpet.present);
    assert_int_equal(captured_info.mcfg.count, 0);
    assert_false(captured_info.fadt.reset_supported);
}

static void wrapping_memory_is_refused(void **state)
{
    (void)state;
    captured_load("q35.acpi");
    struct image_piece *srat = captured_table("SRAT");
    for (size_t at = 48; at < srat->bytes; at += srat->content[at + 1]) {
        if (srat->content[at] == 1) {
            memset(srat->content + at + 12, 0xff, 4);
            memset(srat->content + at + 20, 0xff, 4);
        }
    }
    captured_mend(srat);
    assert_true(image_parse(&captured, &captured_info));
    expect_report(&captured, "wraps, ignored");
}

/* AML by hand: Name (_S5_, Package (4) {5, 6, 0, 0}) and what resembles it. */
static void soft_off_is_found_only_when_certain(void **state)
{
    (void)state;
    static const struct {
        const char *aml;
        size_t bytes;
        bool found;
        uint8_t a;
        uint8_t b;
    } cases[] = {
        {"\x08_S5_\x12\x08\x04\x0a\x05\x0a\x06\x00\x00", 14, true, 5, 6},
        {"\x08\\_S5_\x12\x06\x04\x01\x00\x00\x00", 13, true, 1, 0},
        {"\x08_S5_\x12\x40\x00", 8, false, 0, 0}, /* the package is empty */
        {"\x08_S5_\x12\x49\x00\x04\x0a\x05\x0a\x06\x00\x00", 15, true, 5, 6},
        {"\x08_S5_\x12\x0a\x04\x0b\x05\x00\x0b\x07\x00\x00\x00", 16, true, 5, 7},
        {"\x08_S5_\x12\x06\x04\x0a\x08\x00\x00\x00", 12, false, 0, 0},     /* no such sleep type */
        {"\x08_S5_\x12\x06\x01\x0a\x05\x0a\x05\x00", 12, false, 0, 0},     /* one element */
        {"\x08_S5_\x12\x3f\x04\x0a\x05\x0a\x06\x00\x00", 14, false, 0, 0}, /* package longer than the table */
        {"\x08_S5_\x12\x03\x04\x0a\x05\x0a\x06\x00\x00", 14, false, 0, 0}, /* elements outside the package */
        {"\x08_S5_\x12", 6, false, 0, 0},
        {"_S5_\x12\x08\x04\x0a\x05\x0a\x06\x00\x00", 13, false, 0, 0}, /* mentioned, not defined */
        {"\x08_S5_\x12\x06\x04\x01\x01\x00\x00\x08_S5_\x12\x06\x04\x01\x00\x00\x00", 24, false, 0, 0},
        {"\x08_S5_\x12\x06\x04\x01\x01\x00\x00\x08_S5_\x12\x06\x04\x01\x01\x00\x00", 24, true, 1, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct acpi_soft_off soft_off = {0};
        uint8_t *copy = malloc(cases[i].bytes);
        memcpy(copy, cases[i].aml, cases[i].bytes);
        bool found = acpi_find_soft_off(copy, cases[i].bytes, &soft_off);
        free(copy);
        if (found != cases[i].found || soft_off.type_a != cases[i].a || soft_off.type_b != cases[i].b) {
            fail_msg("case %zu: found %d, %u, %u", i, found, soft_off.type_a, soft_off.type_b);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(q35_is_read_completely),
        cmocka_unit_test(legacy_interrupts_follow_the_overrides),
        cmocka_unit_test(nodes_are_read),
        cmocka_unit_test(first_revision_has_nodes_of_8_bits),
        cmocka_unit_test(power_registers_are_read),
        cmocka_unit_test(acpi_1_root_pointer_is_read),
        cmocka_unit_test(pc_is_read),
        cmocka_unit_test(no_root_pointer_is_no_acpi),
        cmocka_unit_test(every_wrong_checksum_is_named),
        cmocka_unit_test(broken_root_pointer_is_refused),
        cmocka_unit_test(broken_xsdt_falls_back_to_the_rsdt),
        cmocka_unit_test(broken_extension_leads_to_the_rsdt),
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(broken_extension_of_the_root_pointer_is_survived),
        cmocka_unit_test(short_fixed_tables_are_refused),
        cmocka_unit_test(impossible_values_are_refused),
        cmocka_unit_test(wrapping_memory_is_refused),
        cmocka_unit_test(soft_off_is_found_only_when_certain),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    image_free(&captured);
    return failed;
}
