/* The ACPI parser on tables that real firmware made, and on each of them broken in every way it checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "acpi_image.h"

static struct acpi_image image;
static struct acpi_info info;

static void load(const char *name)
{
    static uint8_t file[65536];
    char path[512];
    image_free(&image);
    snprintf(path, sizeof path, "%s/acpi/%s", TEST_DATA, name);
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    size_t bytes = fread(file, 1, sizeof file, stream);
    fclose(stream);
    image_read(&image, file, bytes);
    assert_true(image.count > 3);
}

static struct image_piece *piece_named(const char *signature)
{
    for (size_t i = 0; i < image.count; i++) {
        if (memcmp(image.pieces[i].content, signature, 4) == 0) {
            return &image.pieces[i];
        }
    }
    fail_msg("no table %s in the image", signature);
    return NULL;
}

static void set32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}

static void mend_sum(uint8_t *bytes, size_t count, size_t at)
{
    bytes[at] = 0;
    uint8_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    bytes[at] = (uint8_t)-sum;
}

/* Makes a changed table's checksum right again, over the length its header states. */
static void mend_table(struct image_piece *piece)
{
    uint32_t length;
    memcpy(&length, piece->content + 4, sizeof length);
    mend_sum(piece->content, length < piece->bytes ? length : piece->bytes, 9);
}

static void resize(struct image_piece *piece, uint32_t bytes)
{
    piece->content = realloc(piece->content, bytes);
    if (bytes > piece->bytes) {
        memset(piece->content + piece->bytes, 0, bytes - piece->bytes);
    }
    piece->bytes = bytes;
    set32(piece->content + 4, bytes);
    mend_table(piece);
}

static void expect_report(const char *text)
{
    if (strstr(image.reports, text) == NULL) {
        fail_msg("no report \"%s\" in: %s", text, image.reports);
    }
}

static void q35_is_read_completely(void **state)
{
    (void)state;
    load("q35.acpi");
    assert_true(image_parse(&image, &info));
    assert_string_equal(image.reports, "");
    assert_int_equal(info.refused, 0);
    assert_int_equal(info.revision, 2);
    assert_true(info.extended);
    assert_int_equal(info.table_count, image.count - 2);
    assert_string_equal(info.tables[0].signature, "FACP");
    assert_string_equal(info.tables[0].oem, "BOCHS");
    assert_int_equal(info.madt.local_apic.raw, 0xfee00000);
    assert_true(info.madt.legacy_pics);
    assert_int_equal(info.madt.cpu_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(info.madt.cpus[i].apic_id, i);
        assert_true(info.madt.cpus[i].enabled);
    }
    assert_int_equal(info.madt.io_apic_count, 1);
    assert_int_equal(info.madt.io_apics[0].address.raw, 0xfec00000);
    assert_int_equal(info.madt.io_apics[0].interrupt_base, 0);
    assert_int_equal(info.hpet.address.raw, 0xfed00000);
    assert_int_equal(info.mcfg.count, 1);
    assert_int_equal(info.mcfg.segments[0].last_bus, 255);
}

static void legacy_interrupts_follow_the_overrides(void **state)
{
    (void)state;
    load("q35.acpi");
    assert_true(image_parse(&image, &info));
    struct acpi_override timer = acpi_legacy_interrupt(&info.madt, 0);
    assert_int_equal(timer.interrupt, 2); /* the PIT arrives at input 2 */
    assert_false(timer.level_triggered);
    struct acpi_override sci = acpi_legacy_interrupt(&info.madt, 9);
    assert_int_equal(sci.interrupt, 9);
    assert_true(sci.level_triggered);
    assert_false(sci.active_low);
    struct acpi_override serial = acpi_legacy_interrupt(&info.madt, 4);
    assert_int_equal(serial.interrupt, 4);
    assert_false(serial.level_triggered || serial.active_low);
}

static void nodes_are_read(void **state)
{
    (void)state;
    load("q35.acpi");
    assert_true(image_parse(&image, &info));
    assert_int_equal(info.srat.cpu_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(info.srat.cpus[i].apic_id, i);
        assert_int_equal(info.srat.cpus[i].node, i / 2);
    }
    uint64_t bytes[2] = {0};
    for (uint32_t i = 0; i < info.srat.count; i++) {
        assert_true(info.srat.ranges[i].node < 2);
        bytes[info.srat.ranges[i].node] += info.srat.ranges[i].bytes;
    }
    assert_int_equal(bytes[0], MIB(64) - KIB(384)); /* without 640 KiB to 1 MiB */
    assert_int_equal(bytes[1], MIB(64));
}

static void first_revision_has_nodes_of_8_bits(void **state)
{
    (void)state;
    load("q35.acpi");
    struct image_piece *srat = piece_named("SRAT");
    memset(srat->content + 48 + 9, 0x55, 3); /* of the first processor: reserved in that revision */
    srat->content[8] = 1;
    mend_table(srat);
    assert_true(image_parse(&image, &info));
    assert_int_equal(info.srat.cpus[0].node, 0);
    srat->content[8] = 2;
    mend_table(srat);
    assert_true(image_parse(&image, &info));
    assert_int_equal(info.srat.cpus[0].node, 0x55555500);
}

static void power_registers_are_read(void **state)
{
    (void)state;
    load("q35.acpi");
    assert_true(image_parse(&image, &info));
    assert_true(info.fadt.present);
    assert_int_equal(info.fadt.pm1a_control.space, ACPI_SPACE_PORT);
    assert_int_equal(info.fadt.pm1a_control.address, 0x604);
    assert_int_equal(info.fadt.pm_timer.address, 0x608);
    assert_true(info.fadt.reset_supported);
    assert_int_equal(info.fadt.reset.address, 0xcf9);
    assert_int_equal(info.fadt.reset_value, 0x0f);
    assert_false(info.fadt.hardware_reduced);
    assert_true(info.soft_off.known);
    assert_int_equal(info.soft_off.type_a, 0);
    assert_int_equal(info.soft_off.type_b, 0);
}

static void acpi_1_root_pointer_is_read(void **state)
{
    (void)state;
    load("bios.acpi");
    assert_true(image_parse(&image, &info));
    assert_string_equal(image.reports, "");
    assert_int_equal(info.revision, 0);
    assert_false(info.extended);
    assert_int_equal(info.madt.cpu_count, 1);
    assert_int_equal(info.fadt.pm_timer.address, 0xb008 - 0xb000 + 0x600);
    assert_true(info.soft_off.known);
}

static void pc_is_read(void **state)
{
    (void)state;
    load("pc.acpi");
    assert_true(image_parse(&image, &info));
    assert_string_equal(image.reports, "");
    assert_int_equal(info.madt.cpu_count, 2);
    assert_false(info.mcfg.present);
    assert_false(info.srat.present);
}

static void no_root_pointer_is_no_acpi(void **state)
{
    (void)state;
    image_free(&image);
    assert_false(image_parse(&image, &info));
    assert_false(info.present);
    assert_string_equal(image.reports, "");
}

static void every_wrong_checksum_is_named(void **state)
{
    (void)state;
    static const char *const names[][2] = {{"APIC", "APIC at 0x"}, {"FACP", "FACP at 0x"},
                                           {"HPET", "HPET at 0x"}, {"MCFG", "MCFG at 0x"},
                                           {"SRAT", "SRAT at 0x"}, {"DSDT", "DSDT at 0x"}};
    for (size_t i = 0; i < 6; i++) {
        load("q35.acpi");
        piece_named(names[i][0])->content[20] ^= 0x17;
        assert_true(image_parse(&image, &info));
        expect_report(names[i][1]);
        expect_report(": checksum 0x");
        expect_report(", expected 0");
        assert_int_equal(info.refused, 1);
        assert_int_equal(info.madt.present, i != 0);
        assert_int_equal(info.fadt.present, i != 1);
        assert_int_equal(info.hpet.present, i != 2);
        assert_int_equal(info.mcfg.present, i != 3);
        assert_int_equal(info.srat.present, i != 4);
        assert_int_equal(info.soft_off.known, i != 1 && i != 5);
    }
}

static void broken_root_pointer_is_refused(void **state)
{
    (void)state;
    load("q35.acpi");
    image.pieces[0].content[0] = 'X';
    assert_false(image_parse(&image, &info));
    expect_report("RSDP at 0x");
    expect_report("signature");

    load("q35.acpi");
    image.pieces[0].content[9] ^= 1;
    assert_false(image_parse(&image, &info));
    expect_report("checksum 0x");
}

/* What is wrong beside the part that is used is told, and does no harm: the tables have checksums of their
 * own. */
static void broken_extension_of_the_root_pointer_is_survived(void **state)
{
    (void)state;
    load("q35.acpi");
    image.pieces[0].content[33] ^= 1;
    assert_true(image_parse(&image, &info));
    expect_report("extended checksum 0x");
    assert_int_equal(info.madt.cpu_count, 4);

    load("q35.acpi");
    set32(image.pieces[0].content + 20, 35);
    assert_true(image_parse(&image, &info));
    expect_report("length 35, expected 36 to 4096");
    assert_int_equal(info.madt.cpu_count, 4);

    load("q35.acpi");
    image.pieces[0].content[24] ^= 0x40; /* the XSDT's address */
    assert_true(image_parse(&image, &info) == (info.root.raw != 0));
    expect_report("extended checksum 0x");
}

static void broken_xsdt_falls_back_to_the_rsdt(void **state)
{
    (void)state;
    load("q35.acpi");
    struct image_piece *xsdt = piece_named("XSDT");
    uint8_t rsdt[36 + 4 * 16];
    size_t entries = (xsdt->bytes - 36) / 8;
    memcpy(rsdt, xsdt->content, 36);
    memcpy(rsdt, "RSDT", 4);
    set32(rsdt + 4, (uint32_t)(36 + 4 * entries));
    for (size_t i = 0; i < entries; i++) {
        memcpy(rsdt + 36 + 4 * i, xsdt->content + 36 + 8 * i, 4);
    }
    mend_sum(rsdt, 36 + 4 * entries, 9);
    uint32_t rsdt_at;
    memcpy(&rsdt_at, image.pieces[0].content + 16, 4);
    image_add(&image, rsdt_at, rsdt, 36 + 4 * entries);
    xsdt->content[10] ^= 1;
    assert_true(image_parse(&image, &info));
    expect_report("XSDT at 0x");
    assert_false(info.extended);
    assert_int_equal(info.madt.cpu_count, 4);
}

static void lengths_are_bounded(void **state)
{
    (void)state;
    static const uint32_t lengths[] = {0, 35, (uint32_t)MIB(8) + 1, 0xffffffff};
    for (size_t i = 0; i < 4; i++) {
        load("q35.acpi");
        set32(piece_named("APIC")->content + 4, lengths[i]);
        assert_true(image_parse(&image, &info));
        expect_report("APIC at 0x");
        expect_report("expected 36 to 8388608");
        assert_false(info.madt.present);
        assert_true(info.fadt.present);
    }
    load("q35.acpi");
    set32(piece_named("APIC")->content + 4, 4096); /* sane, but beyond what is there */
    assert_true(image_parse(&image, &info));
    expect_report("4096 bytes cannot be read");
}

static void madt_entries_must_fill_the_table(void **state)
{
    (void)state;
    static const uint8_t wrong[] = {0, 1, 7, 255};
    for (size_t i = 0; i < 4; i++) {
        load("q35.acpi");
        struct image_piece *madt = piece_named("APIC");
        madt->content[45] = wrong[i];
        mend_table(madt);
        assert_true(image_parse(&image, &info));
        expect_report("MADT at 0x");
        expect_report("entry at 44: type 0, length ");
        assert_false(info.madt.present);
        assert_int_equal(info.madt.cpu_count, 0);
    }
}

static void stray_bytes_at_the_end_are_left_out(void **state)
{
    (void)state;
    static const char *const tables[] = {"APIC", "SRAT"};
    for (uint32_t i = 0; i < 2; i++) {
        for (uint32_t stray = 1; stray <= 9; stray++) {
            for (uint32_t filling = 0; filling < 256; filling += 255) {
                load("q35.acpi");
                struct image_piece *piece = piece_named(tables[i]);
                uint32_t end = (uint32_t)piece->bytes;
                resize(piece, end + stray);
                memset(piece->content + end, (int)filling, stray);
                mend_table(piece);
                assert_true(image_parse(&image, &info));
                bool beside = stray < 8;
                assert_int_equal(info.madt.cpu_count, i == 1 || beside ? 4 : 0);
                assert_int_equal(info.srat.cpu_count, i == 0 || beside ? 4 : 0);
                assert_int_equal(info.refused, 1);
                expect_report(beside ? "stray bytes at its end, ignored" : "entry at ");
            }
        }
    }
}

static void madt_oddities_are_survived(void **state)
{
    (void)state;
    load("q35.acpi");
    struct image_piece *madt = piece_named("APIC");
    uint32_t end = (uint32_t)madt->bytes;
    resize(madt, end + 12 + 16 + 16 + 10);
    uint8_t *at = madt->content + end;
    memcpy(at, "\x05\x0c\0\0\0\0\0\0\x02\0\0\0", 12);                  /* registers above 4 GiB */
    memcpy(at + 12, "\x09\x10\0\0\0\x01\0\0\x01\0\0\0\x09\0\0\0", 16); /* x2APIC 256 */
    memcpy(at + 28, "\x09\x10\0\0\x03\0\0\0\x01\0\0\0\x03\0\0\0", 16); /* again processor 3 */
    memcpy(at + 44, "\x02\x0a\0\x63\x05\0\0\0\0\0", 10);               /* legacy interrupt 99 */
    mend_table(madt);
    assert_true(image_parse(&image, &info));
    assert_int_equal(info.madt.cpu_count, 5);
    assert_int_equal(info.madt.cpus[4].apic_id, 256);
    assert_int_equal(info.madt.local_apic.raw, 0x200000000);
    expect_report("override of bus 0, interrupt 99, ignored");
}

/* Adds x2APIC entries, enabled, with these numbers, to the MADT. */
static void add_x2apics(const uint32_t *numbers, uint32_t count)
{
    struct image_piece *madt = piece_named("APIC");
    uint32_t end = (uint32_t)madt->bytes;
    resize(madt, end + count * 16);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *at = madt->content + end + 16 * i;
        memcpy(at, "\x09\x10", 2);
        set32(at + 4, numbers[i]);
        set32(at + 8, 1);
    }
    mend_table(madt);
}

/* Firmware lists processors twice, under numbers that are none, and such as the machine has no socket for. */
static void bogus_processors_are_not_counted(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {0xffffffff, 2, 77, 0xffffffff, 300, 300, 301};
    load("q35.acpi");
    add_x2apics(numbers, 7);
    assert_true(image_parse(&image, &info));
    assert_int_equal(info.madt.cpu_count, 6);
    assert_int_equal(info.madt.cpus[4].apic_id, 300);
    assert_int_equal(info.madt.cpus[5].apic_id, 301);
    expect_report("2 processors with the number that addresses all, ignored");
    expect_report("3 processors that other entries describe, ignored");

    load("q35.acpi");
    piece_named("APIC")->content[44 + 3] = 0xff; /* the first local APIC's number */
    mend_table(piece_named("APIC"));
    assert_true(image_parse(&image, &info));
    assert_int_equal(info.madt.cpu_count, 3);
    expect_report("1 processors with the number that addresses all, ignored");
}

/* Without entries of the older kind x2APIC entries may have any number. */
static void processors_may_all_be_x2apics(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {0, 2, 254, 255, 1000};
    load("q35.acpi");
    struct image_piece *madt = piece_named("APIC");
    for (uint32_t i = 0; i < 4; i++) {
        set32(madt->content + 44 + 8 * i + 4, 0); /* not usable */
    }
    add_x2apics(numbers, 5);
    assert_true(image_parse(&image, &info));
    assert_int_equal(info.madt.cpu_count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(info.madt.cpus[i].apic_id, numbers[i]);
    }
    assert_string_equal(image.reports, "");
}

static void too_many_processors_are_counted(void **state)
{
    (void)state;
    load("q35.acpi");
    struct image_piece *madt = piece_named("APIC");
    uint32_t end = (uint32_t)madt->bytes;
    resize(madt, end + 300 * 16);
    for (uint32_t i = 0; i < 300; i++) {
        uint8_t *at = madt->content + end + 16 * i;
        memcpy(at, "\x09\x10", 2);
        set32(at + 4, 1000 + i);
        set32(at + 8, i < 299); /* the last one is not usable */
    }
    mend_table(madt);
    assert_true(image_parse(&image, &info));
    assert_int_equal(info.madt.cpu_count, ACPI_CPUS_MAX);
    expect_report("47 entries left out, more than 256 processors");
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
        load("q35.acpi");
        resize(piece_named(cases[i].signature), cases[i].bytes);
        assert_true(image_parse(&image, &info));
        expect_report(cases[i].report);
        assert_int_equal(info.refused, 1);
    }
}

static void impossible_values_are_refused(void **state)
{
    (void)state;
    load("q35.acpi");
    piece_named("HPET")->content[40] = ACPI_SPACE_PORT;
    mend_table(piece_named("HPET"));
    piece_named("MCFG")->content[44 + 10] = 9; /* first bus after the last */
    piece_named("MCFG")->content[44 + 11] = 8;
    mend_table(piece_named("MCFG"));
    set32(piece_named("FACP")->content + 120, 0x10000); /* reset port */
    mend_table(piece_named("FACP"));
    assert_true(image_parse(&image, &info));
    expect_report("HPET at 0x");
    expect_report("registers in space 1");
    expect_report("segment 0, buses 9 to 8");
    expect_report("reset register: space 1, 8 bits at 0x10000, ignored");
    assert_false(info.hpet.present);
    assert_int_equal(info.mcfg.count, 0);
    assert_false(info.fadt.reset_supported);
}

static void wrapping_memory_is_refused(void **state)
{
    (void)state;
    load("q35.acpi");
    struct image_piece *srat = piece_named("SRAT");
    for (size_t at = 48; at < srat->bytes; at += srat->content[at + 1]) {
        if (srat->content[at] == 1) {
            memset(srat->content + at + 12, 0xff, 4);
            memset(srat->content + at + 20, 0xff, 4);
        }
    }
    mend_table(srat);
    assert_true(image_parse(&image, &info));
    expect_report("wraps, ignored");
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
        cmocka_unit_test(lengths_are_bounded),
        cmocka_unit_test(madt_entries_must_fill_the_table),
        cmocka_unit_test(madt_oddities_are_survived),
        cmocka_unit_test(stray_bytes_at_the_end_are_left_out),
        cmocka_unit_test(bogus_processors_are_not_counted),
        cmocka_unit_test(processors_may_all_be_x2apics),
        cmocka_unit_test(broken_extension_of_the_root_pointer_is_survived),
        cmocka_unit_test(too_many_processors_are_counted),
        cmocka_unit_test(short_fixed_tables_are_refused),
        cmocka_unit_test(impossible_values_are_refused),
        cmocka_unit_test(wrapping_memory_is_refused),
        cmocka_unit_test(soft_off_is_found_only_when_certain),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    image_free(&image);
    return failed;
}
