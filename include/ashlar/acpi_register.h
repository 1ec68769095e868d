/* Access to the registers that ACPI tables name: ports or memory. */
#pragma once

#include <ashlar/acpi.h>

/* Whether the register exists, is of a kind that can be used, and (for memory) is mapped. */
bool acpi_register_usable(const struct acpi_register *where);

/* Reads or writes a usable register of 8, 16, 32 or 64 bits (64 in memory only). */
uint64_t acpi_register_read(const struct acpi_register *where);
void acpi_register_write(const struct acpi_register *where, uint64_t value);
