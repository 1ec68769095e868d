/* ACPI tables that no captured firmware has: made here, entry by entry, odd in one way each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "acpi_report.h"

#define ROOT_POINTER 0x1000
#define ROOT_TABLE   0x2000
#define TABLES       0x100000 /* one in each MiB from here on */
#define HEADER       36

static struct acpi_image image;
static struct acpi_info info;
static uint64_t addresses[ACPI_TABLES_MAX + 4]; /* what the root table names */
static size_t address_count;

#define AML(text) (text), sizeof(text) - 1

/* ---- Building ---- */

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
    memcpy(at, &value, bytes);
}

/* The byte that makes all of them add up to 0. */
static void seal(uint8_t *bytes, size_t count, size_t at)
{
    bytes[at] = 0;
    for (size_t i = 0; i < count; i++) {
        bytes[at] = (uint8_t)(bytes[at] - (i == at ? 0 : bytes[i]));
    }
}

static void add_at(uint64_t address, const char *signature, uint8_t revision, const void *body, size_t bytes)
{
    uint8_t *table = calloc(1, HEADER + bytes);
    memcpy(table, signature, 4);
    put(table + 4, HEADER + bytes, 4);
    table[8] = revision;
    memcpy(table + HEADER, body, bytes);
    seal(table, HEADER + bytes, 9);
    image_add(&image, address, table, HEADER + bytes);
    free(table);
}

/* A table that the root table names. */
static void add(const char *signature, uint8_t revision, const void *body, size_t bytes)
{
    addresses[address_count] = TABLES + MIB(1) * address_count;
    add_at(addresses[address_count++], signature, revision, body, bytes);
}

static void begin(void)
{
    static const uint8_t room[36];
    image_free(&image);
    address_count = 0;
    image_add(&image, ROOT_POINTER, room, sizeof room);
}

/* Makes the root pointer and the root table, and reads all. */
static bool parse(void)
{
    uint8_t *pointer = image.pieces[0].content;
    memcpy(pointer, "RSD PTR ", 8);
    pointer[15] = 2;
    put(pointer + 20, 36, 4);
    put(pointer + 24, ROOT_TABLE, 8);
    seal(pointer, 20, 8);
    seal(pointer, 36, 32);
    add_at(ROOT_TABLE, "XSDT", 1, addresses, address_count * sizeof addresses[0]);
    return image_parse(&image, &info);
}

/* ---- Entries ---- */

static uint8_t body[65536];
static size_t used;

static void start_body(size_t bytes)
{
    memset(body, 0, sizeof body);
    used = bytes;
}

/* An entry of so many bytes, its type and length in place. */
static uint8_t *entry(uint8_t type, uint8_t bytes)
{
    uint8_t *at = body + used;
    at[0] = type;
    at[1] = bytes;
    used += bytes;
    assert_true(used <= sizeof body);
    return at;
}

static void io_apics_and_overrides_are_bounded(void **state)
{
    (void)state;
    begin();
    start_body(8);
    put(entry(1, 12) + 4, 0, 4);          /* at no address */
    put(entry(1, 12) + 4, 0xfec00001, 4); /* at one that is not aligned */
    for (uint32_t i = 0; i <= ACPI_IO_APICS_MAX; i++) {
        put(entry(1, 12) + 4, 0xfec00000 + 0x1000 * i, 4);
    }
    entry(2, 10)[2] = 1;  /* a bus that is not ISA */
    entry(2, 10)[3] = 16; /* an interrupt that ISA does not have */
    for (uint32_t i = 0; i <= ACPI_OVERRIDES_MAX; i++) {
        entry(2, 10)[3] = (uint8_t)(i % 16);
    }
    entry(200, 2);
    add("APIC", 5, body, used);
    assert_true(parse());
    expect_report(&image, "IO-APIC 0 at 0, ignored");
    expect_report(&image, "IO-APIC 0 at 0xfec00001, ignored");
    expect_report(&image, "override of bus 1, interrupt 0, ignored");
    expect_report(&image, "override of bus 0, interrupt 16, ignored");
    expect_report(&image, "2 entries left out");
    assert_int_equal(info.madt.io_apic_count, ACPI_IO_APICS_MAX);
    assert_int_equal(info.madt.override_count, ACPI_OVERRIDES_MAX);
    assert_int_equal(info.madt.io_apics[0].address.raw, 0xfec00000);
}

static void ranges_of_memory_are_bounded(void **state)
{
    (void)state;
    begin();
    start_body(12);
    put(entry(2, 24) + 8, 77, 4); /* an x2APIC that is not enabled */
    for (uint32_t i = 0; i < 300; i++) {
        uint8_t *cpu = entry(2, 24);
        put(cpu + 4, i % 3, 4);
        put(cpu + 8, 1000 + i, 4);
        cpu[12] = 1;
    }
    entry(1, 40); /* memory that is not enabled */
    for (uint32_t i = 0; i <= ACPI_MEMORY_RANGES_MAX; i++) {
        uint8_t *memory = entry(1, 40);
        put(memory + 8, GIB(1) * i, 8);
        put(memory + 16, GIB(1), 8);
        memory[28] = 1;
    }
    entry(200, 2);
    add("SRAT", 3, body, used);
    assert_true(parse());
    expect_report(&image, "1 entries left out, more than 128 memory ranges");
    assert_int_equal(acpi_node_of_cpu(&info.srat, 1004), 1);
    assert_int_equal(acpi_node_of_cpu(&info.srat, 1299), 2);
    assert_int_equal(acpi_node_of_cpu(&info.srat, 0), 0); /* the one that is not enabled has number 0 */
    assert_int_equal(info.srat.count, ACPI_MEMORY_RANGES_MAX);
    assert_int_equal(info.srat.ranges[1].base.raw, GIB(1));
}

static void entries_of_the_srat_must_fill_it(void **state)
{
    (void)state;
    begin();
    start_body(12);
    entry(0, 16);
    entry(0, 15); /* shorter than a local APIC's */
    add("SRAT", 3, body, used);
    assert_true(parse());
    assert_false(info.srat.present);
    assert_true(strlen(image.reports) > 0);
}

static void segments_are_bounded(void **state)
{
    (void)state;
    begin();
    start_body(8);
    for (uint32_t i = 0; i <= ACPI_PCI_SEGMENTS_MAX; i++) {
        put(body + used, 0x10000000 + MIB(256) * i, 8);
        put(body + used + 8, i, 2);
        used += 16;
    }
    add("MCFG", 1, body, used);
    assert_true(parse());
    expect_report(&image, "left out, more than");
    assert_int_equal(info.mcfg.count, ACPI_PCI_SEGMENTS_MAX);
}

/* ---- Tables ---- */

static void tables_of_one_kind_may_repeat_or_not(void **state)
{
    (void)state;
    begin();
    start_body(8);
    add("APIC", 5, body, used);
    entry(1, 12)[4] = 0x10;
    add("APIC", 5, body, used);
    add("SSDT", 2, AML("\x08_S5_\x12\x06\x04\x0a\x05\x0a\x05"));
    add("SSDT", 2, AML("\x08_S5_\x12\x06\x04\x0a\x05\x0a\x05"));
    add("SSDT", 2, AML("\x08_S5_\x12\x06\x04\x0a\x01\x0a\x05"));
    assert_true(parse());
    expect_report(&image, "a second one, ignored");
    expect_report(&image, "\\_S5 is 1, 5 here, elsewhere 5, 5: ignored");
    assert_int_equal(info.madt.io_apic_count, 0);
    assert_true(info.soft_off.known);
    assert_int_equal(info.soft_off.type_a, 5);
    assert_int_equal(info.table_count, 5);
}

static void more_tables_than_are_listed(void **state)
{
    (void)state;
    begin();
    add("ODD!", 1, "", 0);
    for (address_count = 1; address_count < ACPI_TABLES_MAX + 2; address_count++) {
        addresses[address_count] = addresses[0];
    }
    assert_true(parse());
    assert_int_equal(info.table_count, ACPI_TABLES_MAX);
    expect_report(&image, "not listed, more than");
}

static void tables_at_impossible_addresses(void **state)
{
    (void)state;
    begin();
    addresses[address_count++] = UINT64_MAX - 8;
    addresses[address_count++] = GIB(7);
    assert_true(parse());
    expect_report(&image, "no such address");
    expect_report(&image, "36 bytes cannot be read");
    assert_int_equal(info.table_count, 0);
}

static void a_dsdt_must_be_one(void **state)
{
    (void)state;
    begin();
    start_body(244 - HEADER);
    put(body + 40 - HEADER, 0x3000, 4);
    add("FACP", 3, body, used);
    add_at(0x3000, "SSDT", 2, "", 0);
    assert_true(parse());
    assert_true(info.fadt.present);
    expect_report(&image, "named by the FADT as its DSDT");
}

static void root_pointers_and_tables_that_are_none(void **state)
{
    (void)state;
    begin();
    assert_true(parse());
    memcpy(image.pieces[1].content, "RSDT", 4);
    seal(image.pieces[1].content, image.pieces[1].bytes, 9);
    assert_false(image_parse(&image, &info));
    expect_report(&image, "signature \"RSDT\", expected \"XSDT\"");

    begin();
    assert_true(parse());
    image.pieces[1].content[4] = HEADER - 1;
    assert_false(image_parse(&image, &info));

    begin();
    assert_true(parse());
    image.pieces[0].bytes = 20; /* what ACPI 2.0 added cannot be read */
    assert_false(image_parse(&image, &info));
    expect_report(&image, "36 bytes cannot be read");
    image.pieces[0].bytes = 19;
    assert_false(image_parse(&image, &info));
    expect_report(&image, "20 bytes cannot be read");
}

/* A root table whose length is no whole number of entries. */
static void half_an_entry_is_none(void **state)
{
    (void)state;
    static const uint8_t pointer[36];
    image_free(&image);
    image_add(&image, ROOT_POINTER, pointer, sizeof pointer);
    address_count = 0;
    add_at(ROOT_TABLE, "XSDT", 1, "\0\0\0\0", 4);
    assert_false(parse()); /* the first piece at the address counts */
    expect_report(&image, "is not a whole number of entries");
}

/* ---- AML ---- */

static void sleep_types_that_are_cut_short(void **state)
{
    (void)state;
    static const struct {
        const char *aml;
        size_t bytes;
        bool known;
    } cases[] = {
        {AML("\x08_S5_\x12"), false},                             /* no length */
        {AML("\x08_S5_\x12\x40"), false},                         /* a byte of the length is missing */
        {AML("\x08_S5_\x12\x02\x04"), false},                     /* no elements */
        {AML("\x08_S5_\x12\x04\x04\x0a\x05"), false},             /* one element only */
        {AML("\x08_S5_\x12\x04\x04\x0b\x05"), false},             /* half a word */
        {AML("\x08_S5_\x12\x07\x04\x0b\x05\x00\x0a\x05"), true},  /* a word */
        {AML("\x08_S5_\x12\x07\x04\x0b\x05\x01\x0a\x05"), false}, /* one that is too large */
        {AML("\x08_S5_\x12\x04\x04\x00\x01"), true},              /* ZeroOp and OneOp */
        {AML("\x08_S5_\x12\x47\x00\x04\x0a\x05\x0a\x05"), true},  /* a length of two bytes */
        {AML("\x08_S5_\x12\x00\x04\x0a\x05\x0a\x05"), false},     /* one that ends before it begins */
    };
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        struct acpi_soft_off found = {.type_a = 9};
        uint8_t *aml = malloc(cases[i].bytes);
        memcpy(aml, cases[i].aml, cases[i].bytes);
        if (acpi_find_soft_off(aml, cases[i].bytes, &found) != cases[i].known) {
            fail_msg("case %zu", i);
        }
        assert_int_equal(found.type_a == 9, !cases[i].known);
        free(aml);
    }
}

static int end(void **state)
{
    (void)state;
    image_free(&image);
    return 0;
}

static void of_two_tables_of_processors_the_first_is_used(void **state)
{
    (void)state;
    begin();
    for (uint32_t table = 0; table < 2; table++) {
        start_body(8);
        for (uint32_t i = 0; i <= table; i++) {
            uint8_t *cpu = entry(0, 8);
            cpu[3] = (uint8_t)(10 * table + i);
            cpu[4] = 1;
        }
        add("APIC", 3, body, used);
    }
    assert_true(parse());
    assert_int_equal(info.table_count, 2);
    assert_int_equal(info.madt.cpu_count, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(io_apics_and_overrides_are_bounded),
        cmocka_unit_test(ranges_of_memory_are_bounded),
        cmocka_unit_test(of_two_tables_of_processors_the_first_is_used),
        cmocka_unit_test(entries_of_the_srat_must_fill_it),
        cmocka_unit_test(segments_are_bounded),
        cmocka_unit_test(tables_of_one_kind_may_repeat_or_not),
        cmocka_unit_test(more_tables_than_are_listed),
        cmocka_unit_test(tables_at_impossible_addresses),
        cmocka_unit_test(a_dsdt_must_be_one),
        cmocka_unit_test(root_pointers_and_tables_that_are_none),
        cmocka_unit_test(half_an_entry_is_none),
        cmocka_unit_test(sleep_types_that_are_cut_short),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
