#include "acpi_image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const void *image_map(void *context, phys_addr_t address, uint64_t bytes)
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

static void image_report(void *context, const char *text)
{
    struct acpi_image *image = context;
    size_t used = strlen(image->reports);
    snprintf(image->reports + used, sizeof image->reports - used, "%s\n", text);
}

void image_add(struct acpi_image *image, uint64_t base, const void *content, uint64_t bytes)
{
    struct image_piece *piece = &image->pieces[image->count++];
    *piece = (struct image_piece){base, bytes, malloc(bytes)};
    memcpy(piece->content, content, bytes);
}

void image_free(struct acpi_image *image)
{
    for (size_t i = 0; i < image->mappings; i++) {
        free(image->mapped[i]);
    }
    for (size_t i = 0; i < image->count; i++) {
        free(image->pieces[i].content);
    }
    memset(image, 0, sizeof *image);
}

void image_read(struct acpi_image *image, const uint8_t *file, size_t bytes)
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

bool image_parse(struct acpi_image *image, struct acpi_info *info)
{
    const struct acpi_source source = {image_map, image_report, image};
    return acpi_parse(info, &source, phys_addr(image->count != 0 ? image->pieces[0].base : 0));
}
