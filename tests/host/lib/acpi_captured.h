/* The ACPI tables of a machine as they were captured (tests/host/data/acpi/), for tests that break them. */
#pragma once

#include "acpi_image.h"

extern struct acpi_image captured;
extern struct acpi_info captured_info; /* for what the parser finds */

/* Makes `captured` the tables of a file, such as "q35.acpi". */
void captured_load(const char *name);

/* The table of this signature; the test fails without. */
struct image_piece *captured_table(const char *signature);

void captured_set32(uint8_t *at, uint32_t value);

/* Makes the byte at `at` such that all add up to 0. */
void captured_mend_sum(uint8_t *bytes, size_t count, size_t at);

/* Makes a changed table's checksum right again, over the length its header states. */
void captured_mend(struct image_piece *piece);

/* Makes a table so long, with zeros at its end, and its header say so. */
void captured_resize(struct image_piece *piece, uint32_t bytes);

/* The processor that a walk over captured_info.madt gives at this place, from 0 on; the test fails without.
 */
struct acpi_cpu captured_cpu(uint32_t index);
