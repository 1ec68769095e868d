/*
 * A machine's ACPI tables as captured (tests/host/data/acpi/): pieces of physical memory, each in a heap
 * block of exactly its size, so that the address sanitizer sees a parser that reads beyond a table.
 */
#pragma once

#include <ashlar/acpi.h>

#define IMAGE_PIECES_MAX   32
#define IMAGE_REPORT_BYTES 8192

struct image_piece {
    uint64_t base;
    uint64_t bytes;
    uint8_t *content;
};

struct acpi_image {
    size_t count;
    struct image_piece pieces[IMAGE_PIECES_MAX];
    char reports[IMAGE_REPORT_BYTES]; /* complaints, one per line */
    size_t mappings;
    void *mapped[1024]; /* copies handed out, of the size asked for */
};

void image_add(struct acpi_image *image, uint64_t base, const void *content, uint64_t bytes);
void image_free(struct acpi_image *image);

/* Reads records of u64 address, u64 length, bytes, as far as they are whole. */
void image_read(struct acpi_image *image, const uint8_t *file, size_t bytes);
bool image_parse(struct acpi_image *image, struct acpi_info *info);
