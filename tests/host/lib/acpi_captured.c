/* Captured ACPI tables, loaded and changed; see acpi_captured.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "acpi_captured.h"

struct acpi_image captured;
struct acpi_info captured_info;

void captured_load(const char *name)
{
    static uint8_t file[65536];
    char path[512];
    image_free(&captured);
    snprintf(path, sizeof path, "%s/acpi/%s", TEST_DATA, name);
    FILE *stream = fopen(path, "rb");
    assert_non_null(stream);
    size_t bytes = fread(file, 1, sizeof file, stream);
    fclose(stream);
    image_read(&captured, file, bytes);
    assert_true(captured.count > 3);
}

struct image_piece *captured_table(const char *signature)
{
    for (size_t i = 0; i < captured.count; i++) {
        if (memcmp(captured.pieces[i].content, signature, 4) == 0) {
            return &captured.pieces[i];
        }
    }
    fail_msg("no table %s in the image", signature);
    return NULL;
}

void captured_set32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}

void captured_mend_sum(uint8_t *bytes, size_t count, size_t at)
{
    bytes[at] = 0;
    uint8_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    bytes[at] = (uint8_t)-sum;
}

/* Makes a changed table's checksum right again, over the length its header states. */
void captured_mend(struct image_piece *piece)
{
    uint32_t length;
    memcpy(&length, piece->content + 4, sizeof length);
    captured_mend_sum(piece->content, length < piece->bytes ? length : piece->bytes, 9);
}

void captured_resize(struct image_piece *piece, uint32_t bytes)
{
    piece->content = realloc(piece->content, bytes);
    if (bytes > piece->bytes) {
        memset(piece->content + piece->bytes, 0, bytes - piece->bytes);
    }
    piece->bytes = bytes;
    captured_set32(piece->content + 4, bytes);
    captured_mend(piece);
}

struct acpi_cpu captured_cpu(uint32_t index)
{
    struct acpi_cpus cpus;
    struct acpi_cpu cpu;
    acpi_cpus_start(&cpus, &captured_info.madt);
    do {
        assert_true(acpi_cpus_next(&cpus, &cpu));
    } while (index-- > 0);
    return cpu;
}
