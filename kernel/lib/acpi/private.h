/* Shared by the files of the ACPI parser: one checked table in memory, and complaining. */
#pragma once

#include <ashlar/acpi.h>
#include <ashlar/string.h>

#define ACPI_HEADER_BYTES 36 /* of every table but the root pointer and the FACS (5.2.6) */

/* A table that is mapped, has its stated length and a right checksum. */
struct acpi_view {
    struct acpi_info *info;           /* what is being filled in */
    const struct acpi_source *source; /* for complaints */
    const char *name;                 /* what the complaint calls it: "MADT" */
    const uint8_t *bytes;             /* first byte of the header */
    uint64_t length;                  /* with the header */
    phys_addr_t address;
    uint8_t revision;
};

/* Complains: "NAME at 0xADDRESS: " and the formatted text. */
void acpi_complain(const struct acpi_view *view, const char *text, ...) __attribute__((format(printf, 2, 3)));

/* Reads a little-endian number at any alignment; the caller has checked that it is inside. */
static inline uint16_t acpi_read16(const uint8_t *bytes)
{
    uint16_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint32_t acpi_read32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint64_t acpi_read64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

/*
 * Each reads one table into its part of view->info. For a malformed table it complains and leaves that part
 * as it was.
 */
void acpi_parse_madt(const struct acpi_view *view);
void acpi_parse_fadt(const struct acpi_view *view);
void acpi_parse_hpet(const struct acpi_view *view);
void acpi_parse_mcfg(const struct acpi_view *view);
void acpi_parse_srat(const struct acpi_view *view);
void acpi_parse_aml(const struct acpi_view *view); /* DSDT and SSDTs */

/*
 * Walking the entries of a MADT or SRAT: a type byte, a length byte, and the rest. *at starts at 0. Returns
 * the next entry, or NULL when there is no other.
 */
const uint8_t *acpi_next_entry(const struct acpi_entries *entries, uint32_t *at);

/*
 * Whether the table from offset `at` on is made of entries, each at least minimum(type) bytes long; complains
 * of the first that is not. A few bytes at the end that are no entry are complained of, too, and left out.
 * *entries becomes where the entries are.
 */
bool acpi_entries_are_sound(const struct acpi_view *view, uint64_t at, uint8_t (*minimum)(uint8_t type),
                            struct acpi_entries *entries);
