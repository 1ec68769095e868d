/*
 * ACPI tables where firmware is allowed to keep them, and with faults that firmware has shipped with.
 *
 * What the case names is copied into the quarry, whose entries in the memory map say what lies there:
 * reserved memory, device memory, or nothing at all; or into ROM. What leads to it is changed where it is,
 * with a new checksum.
 */
#include "hostile.h"
#include <ashlar/string.h>

#define RSDP_BYTES  36
#define RSDP_XSDT   24
#define HEADER      36
#define TABLE_SUM   9
#define FADT_DSDT   40
#define FADT_X_DSDT 140

static uint8_t *room; /* the next free byte of the quarry or the ROM */

static uint64_t read64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint32_t read32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static void write64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, sizeof value);
}

static void write32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}

/* Makes the byte at `where` such that all bytes add up to 0. */
static void mend(uint8_t *bytes, uint32_t count, uint32_t where)
{
    uint8_t sum = 0;
    bytes[where] = 0;
    for (uint32_t i = 0; i < count; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    bytes[where] = (uint8_t)-sum;
}

static void mend_table(uint8_t *table)
{
    mend(table, read32(table + 4), TABLE_SUM);
}

/* Copies bytes to where they are wanted; the copy may grow by 64. */
static uint8_t *move(const uint8_t *bytes, uint32_t count)
{
    uint8_t *copy = room;
    memcpy(copy, bytes, count);
    room += align_up(count + 64, 64);
    return copy;
}

static bool is_named(const uint8_t *table, const char *signature)
{
    return memcmp(table, signature, 4) == 0;
}

static uint8_t *move_table(const uint8_t *table)
{
    return move(table, read32(table + 4));
}

static void add_bytes(uint8_t *madt, const void *bytes, uint32_t count)
{
    uint32_t end = read32(madt + 4);
    memcpy(madt + end, bytes, count);
    write32(madt + 4, end + count);
}

static void add_x2apic(uint8_t *madt, uint32_t number)
{
    uint8_t entry[16] = {9, 16};
    write32(entry + 4, number);
    write32(entry + 8, 1);
    add_bytes(madt, entry, sizeof entry);
}

/* Numbers that address all, that a local APIC entry has, and that nobody has. */
static void add_bogus_processors(uint8_t *madt)
{
    add_x2apic(madt, 0xffffffff);
    add_x2apic(madt, 0);
    add_x2apic(madt, 77);
}

/* Two that are said to be switched on and are not there; messages reach the number of one only as an x2APIC.
 */
static void add_absent_processors(uint8_t *madt)
{
    static const uint8_t local[8] = {0, 8, 7, 7, 1};
    add_bytes(madt, local, sizeof local);
    add_x2apic(madt, 300);
}

static uint8_t *distort_madt(uint8_t *madt)
{
    uint8_t *copy = move_table(madt);
    if (current->acpi == ACPI_STRAY_BYTES) {
        add_bytes(copy, "\xff\xff\xff", 3);
    } else if (current->acpi == ACPI_BOGUS_PROCESSORS) {
        add_bogus_processors(copy);
    } else if (current->acpi == ACPI_ABSENT_PROCESSORS) {
        add_absent_processors(copy);
    } else if (current->acpi == ACPI_BROKEN_MADT) {
        copy[HEADER + 8 + 1] = 1; /* the length of the first entry */
    }
    mend_table(copy);
    return copy;
}

static void move_dsdt(uint8_t *fadt)
{
    uint8_t *dsdt = (uint8_t *)(uintptr_t)read32(fadt + FADT_DSDT);
    uint64_t copy = (uintptr_t)move_table(dsdt);
    write32(fadt + FADT_DSDT, copy <= UINT32_MAX ? (uint32_t)copy : 0);
    if (read32(fadt + 4) >= FADT_X_DSDT + 8) {
        write64(fadt + FADT_X_DSDT, copy);
    }
    mend_table(fadt);
}

/* Whether the case moves or distorts a table of the XSDT. */
static bool is_wanted(const uint8_t *table)
{
    switch ((enum acpi)current->acpi) {
    case ACPI_MADT:
    case ACPI_STRAY_BYTES:
    case ACPI_BOGUS_PROCESSORS:
    case ACPI_ABSENT_PROCESSORS:
    case ACPI_BROKEN_MADT:
        return is_named(table, "APIC");
    case ACPI_WAET:
        return is_named(table, "WAET");
    case ACPI_EVERYTHING:
        return true;
    case ACPI_AS_IT_IS:
    case ACPI_RSDP:
    case ACPI_XSDT:
    case ACPI_DSDT:
    case ACPI_EXTENDED_CHECKSUM:
        return false;
    }
    return false;
}

static void distort_entries(uint8_t *xsdt)
{
    bool dsdt = current->acpi == ACPI_DSDT || current->acpi == ACPI_EVERYTHING;
    for (uint32_t at = HEADER; at < read32(xsdt + 4); at += 8) {
        uint8_t *table = (uint8_t *)(uintptr_t)read64(xsdt + at);
        if (dsdt && is_named(table, "FACP")) {
            move_dsdt(table);
        }
        if (is_wanted(table)) {
            write64(xsdt + at,
                    (uintptr_t)(is_named(table, "APIC") ? distort_madt(table) : move_table(table)));
        }
    }
    mend_table(xsdt);
}

static void distort_rsdp(EFI_CONFIGURATION_TABLE *table)
{
    uint8_t *rsdp = table->VendorTable;
    uint8_t *xsdt = (uint8_t *)(uintptr_t)read64(rsdp + RSDP_XSDT);
    distort_entries(xsdt);
    if (current->acpi == ACPI_XSDT || current->acpi == ACPI_EVERYTHING) {
        write64(rsdp + RSDP_XSDT, (uintptr_t)move_table(xsdt));
        mend(rsdp, RSDP_BYTES, 32);
    }
    if (current->acpi == ACPI_RSDP || current->acpi == ACPI_EVERYTHING) {
        table->VendorTable = move(rsdp, RSDP_BYTES);
    }
    if (current->acpi == ACPI_EXTENDED_CHECKSUM) {
        rsdp[32] ^= 1;
    }
}

void acpi_distort(EFI_CONFIGURATION_TABLE *tables, UINTN count)
{
    static const EFI_GUID guid = ACPI_20_TABLE_GUID;
    UINTN i = 0;
    while (i < count && !guid_equal(&tables[i].VendorGuid, &guid)) {
        i++;
    }
    if (i == count) {
        say("error: the firmware has no ACPI 2.0 tables");
        return;
    }
    uint8_t *memory = current->place == PLACE_ROM ? rom_open() : quarry_memory();
    room = memory;
    distort_rsdp(&tables[i]);
    if (current->place == PLACE_ROM) {
        rom_close();
    }
    say("acpi %s at=%" PRIx64 " bytes=%u", current->name, (uint64_t)(uintptr_t)memory,
        (unsigned)(room - memory));
}
