/*
 * A machine's ACPI tables as captured (tests/host/data/acpi/): pieces of physical memory, each in a heap
 * block of exactly its size, so that the address sanitizer sees a parser that reads beyond a table.
 */
#pragma once

#include <ashlar/acpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static inline const void *image_map(void *context, phys_addr_t address, uint64_t bytes)
{
    struct acpi_image *image = context;
    for (size_t i = 0; i < image->count; i++) {
        const struct image_piece *piece = &image->pieces[i];
        if (address.raw >= piece->base && bytes <= piece->bytes &&
            address.raw - piece->base <= piece->bytes - bytes &&
            image->mappings < sizeof image->mapped / sizeof image->mapped[0]) {
            void *copy = malloc(bytes);
            memcpy(copy, piece->content + (address.raw - piece->base), bytes);
            image->mapped[image->mappings++] = copy;
            return copy;
        }
    }
    return NULL;
}

static inline void image_report(void *context, const char *text)
{
    struct acpi_image *image = context;
    size_t used = strlen(image->reports);
    snprintf(image->reports + used, sizeof image->reports - used, "%s\n", text);
}

static inline void image_add(struct acpi_image *image, uint64_t base, const void *content, uint64_t bytes)
{
    struct image_piece *piece = &image->pieces[image->count++];
    *piece = (struct image_piece){base, bytes, malloc(bytes)};
    memcpy(piece->content, content, bytes);
}

static inline void image_free(struct acpi_image *image)
{
    for (size_t i = 0; i < image->mappings; i++) {
        free(image->mapped[i]);
    }
    for (size_t i = 0; i < image->count; i++) {
        free(image->pieces[i].content);
    }
    memset(image, 0, sizeof *image);
}

/* Reads records of u64 address, u64 length, bytes, as far as they are whole. */
static inline void image_read(struct acpi_image *image, const uint8_t *file, size_t bytes)
{
    while (bytes >= 16 && image->count < IMAGE_PIECES_MAX) {
        uint64_t head[2];
        memcpy(head, file, sizeof head);
        file += 16;
        bytes -= 16;
        if (head[1] == 0 || head[1] > bytes) {
            return;
        }
        image_add(image, head[0], file, head[1]);
        file += head[1];
        bytes -= head[1];
    }
}

static inline bool image_parse(struct acpi_image *image, struct acpi_info *info)
{
    const struct acpi_source source = {image_map, image_report, image};
    return acpi_parse(info, &source, phys_addr(image->count != 0 ? image->pieces[0].base : 0));
}
