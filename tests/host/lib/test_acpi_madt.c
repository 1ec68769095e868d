/* The list of processors and interrupt controllers, broken and odd in every way that firmware has been. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "acpi_captured.h"
#include "acpi_report.h"

static void madt_entries_must_fill_the_table(void **state)
{
    (void)state;
    static const uint8_t wrong[] = {0, 1, 7, 255};
    for (size_t i = 0; i < 4; i++) {
        captured_load("q35.acpi");
        struct image_piece *madt = captured_table("APIC");
        madt->content[45] = wrong[i];
        captured_mend(madt);
        assert_true(image_parse(&captured, &captured_info));
        expect_report(&captured, "MADT at 0x");
        expect_report(&captured, "entry at 44: type 0, length ");
        assert_false(captured_info.madt.present);
        assert_int_equal(captured_info.madt.cpu_count, 0);
    }
}

static void stray_bytes_at_the_end_are_left_out(void **state)
{
    (void)state;
    static const char *const tables[] = {"APIC", "SRAT"};
    for (uint32_t i = 0; i < 2; i++) {
        for (uint32_t stray = 1; stray <= 9; stray++) {
            for (uint32_t filling = 0; filling < 256; filling += 255) {
                captured_load("q35.acpi");
                struct image_piece *piece = captured_table(tables[i]);
                uint32_t end = (uint32_t)piece->bytes;
                captured_resize(piece, end + stray);
                memset(piece->content + end, (int)filling, stray);
                captured_mend(piece);
                assert_true(image_parse(&captured, &captured_info));
                bool beside = stray < 8;
                assert_int_equal(captured_info.madt.cpu_count, i == 1 || beside ? 4 : 0);
                assert_int_equal(captured_info.srat.present, i == 0 || beside);
                assert_int_equal(captured_info.refused, 1);
                expect_report(&captured, beside ? "stray bytes at its end, ignored" : "entry at ");
            }
        }
    }
}

static void madt_oddities_are_survived(void **state)
{
    (void)state;
    captured_load("q35.acpi");
    struct image_piece *madt = captured_table("APIC");
    uint32_t end = (uint32_t)madt->bytes;
    captured_resize(madt, end + 12 + 16 + 16 + 10);
    uint8_t *at = madt->content + end;
    memcpy(at, "\x05\x0c\0\0\0\0\0\0\x02\0\0\0", 12);                  /* registers above 4 GiB */
    memcpy(at + 12, "\x09\x10\0\0\0\x01\0\0\x01\0\0\0\x09\0\0\0", 16); /* x2APIC 256 */
    memcpy(at + 28, "\x09\x10\0\0\x03\0\0\0\x01\0\0\0\x03\0\0\0", 16); /* again processor 3 */
    memcpy(at + 44, "\x02\x0a\0\x63\x05\0\0\0\0\0", 10);               /* legacy interrupt 99 */
    captured_mend(madt);
    assert_true(image_parse(&captured, &captured_info));
    assert_int_equal(captured_info.madt.cpu_count, 5);
    assert_int_equal(captured_cpu(4).apic_id, 256);
    assert_int_equal(captured_info.madt.local_apic.raw, 0x200000000);
    expect_report(&captured, "override of bus 0, interrupt 99, ignored");
}

/* Adds x2APIC entries, enabled, with these numbers, to the MADT. */
static void add_x2apics(const uint32_t *numbers, uint32_t count)
{
    struct image_piece *madt = captured_table("APIC");
    uint32_t end = (uint32_t)madt->bytes;
    captured_resize(madt, end + count * 16);
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *at = madt->content + end + 16 * i;
        memcpy(at, "\x09\x10", 2);
        captured_set32(at + 4, numbers[i]);
        captured_set32(at + 8, 1);
    }
    captured_mend(madt);
}

/* Firmware lists processors twice, under numbers that are none, and such as the machine has no socket for. */
static void bogus_processors_are_not_counted(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {0xffffffff, 2, 77, 0xffffffff, 300, 300, 301};
    captured_load("q35.acpi");
    add_x2apics(numbers, 7);
    assert_true(image_parse(&captured, &captured_info));
    assert_int_equal(captured_info.madt.cpu_count, 6);
    assert_int_equal(captured_cpu(4).apic_id, 300);
    assert_int_equal(captured_cpu(5).apic_id, 301);
    expect_report(&captured, "2 processors with the number that addresses all, ignored");
    expect_report(&captured, "3 processors that other entries describe, ignored");

    captured_load("q35.acpi");
    captured_table("APIC")->content[44 + 3] = 0xff; /* the first local APIC's number */
    captured_mend(captured_table("APIC"));
    assert_true(image_parse(&captured, &captured_info));
    assert_int_equal(captured_info.madt.cpu_count, 3);
    expect_report(&captured, "1 processors with the number that addresses all, ignored");
}

/* Without entries of the older kind x2APIC entries may have any number. */
static void processors_may_all_be_x2apics(void **state)
{
    (void)state;
    static const uint32_t numbers[] = {0, 2, 254, 255, 1000};
    captured_load("q35.acpi");
    struct image_piece *madt = captured_table("APIC");
    for (uint32_t i = 0; i < 4; i++) {
        captured_set32(madt->content + 44 + 8 * i + 4, 0); /* not usable */
    }
    add_x2apics(numbers, 5);
    assert_true(image_parse(&captured, &captured_info));
    assert_int_equal(captured_info.madt.cpu_count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(captured_cpu(i).apic_id, numbers[i]);
    }
    assert_string_equal(captured.reports, "");
}

static void processors_are_as_many_as_the_table_has(void **state)
{
    (void)state;
    captured_load("q35.acpi");
    struct image_piece *madt = captured_table("APIC");
    uint32_t end = (uint32_t)madt->bytes;
    captured_resize(madt, end + 3000 * 16);
    for (uint32_t i = 0; i < 3000; i++) {
        uint8_t *at = madt->content + end + 16 * i;
        memcpy(at, "\x09\x10", 2);
        captured_set32(at + 4, 1000 + i * (i == 2998 ? 12 : 1)); /* one number is too large */
        captured_set32(at + 8, i < 2999);                        /* the last one is not usable */
    }
    captured_mend(madt);
    assert_true(image_parse(&captured, &captured_info));
    assert_int_equal(captured_info.madt.cpu_count, 4 + 2998);
    assert_int_equal(captured_cpu(4).apic_id, 1000);
    assert_int_equal(captured_cpu(3001).apic_id, 3997);
    expect_report(&captured, "1 processors with APIC numbers of 32768 or more, left out");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(madt_entries_must_fill_the_table),
        cmocka_unit_test(stray_bytes_at_the_end_are_left_out),
        cmocka_unit_test(madt_oddities_are_survived),
        cmocka_unit_test(bogus_processors_are_not_counted),
        cmocka_unit_test(processors_may_all_be_x2apics),
        cmocka_unit_test(processors_are_as_many_as_the_table_has),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    image_free(&captured);
    return failed;
}
