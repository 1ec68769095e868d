/* See pe_image.h. Layout: Microsoft PE format, "COFF file header", "section table". */
#include "pe_image.h"

#include <ashlar/string.h>

enum pe_offset {
    PE_HEADER_POINTER = 0x3c, /* in the DOS header */
    PE_SECTION_COUNT = 6,     /* from the PE signature on */
    PE_OPTIONAL_HEADER_BYTES = 20,
    PE_OPTIONAL_HEADER = 24,
    PE_HEADERS_BYTES = 24 + 60,
    PE_SECTION_BYTES = 40, /* one entry of the section table */
    PE_SECTION_VIRTUAL_BYTES = 8,
    PE_SECTION_ADDRESS = 12,
    PE_SECTION_CHARACTERISTICS = 36,
};

#define PE_EXECUTE 0x20000000u
#define PE_WRITE   0x80000000u

static uint32_t read32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static uint16_t read16(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof value);
    return value;
}

static const uint8_t *pe_header(const void *base)
{
    return (const uint8_t *)base + read32((const uint8_t *)base + PE_HEADER_POINTER);
}

unsigned pe_section_count(const void *base)
{
    return read16(pe_header(base) + PE_SECTION_COUNT);
}

struct pe_section pe_section_at(const void *base, unsigned index)
{
    const uint8_t *header = pe_header(base);
    const uint8_t *entry = header + PE_OPTIONAL_HEADER + read16(header + PE_OPTIONAL_HEADER_BYTES) +
                           (size_t)index * PE_SECTION_BYTES;
    uint32_t characteristics = read32(entry + PE_SECTION_CHARACTERISTICS);
    struct pe_section section = {
        .first = read32(entry + PE_SECTION_ADDRESS),
        .bytes = align_up(read32(entry + PE_SECTION_VIRTUAL_BYTES), FRAME_BYTES),
        .writable = characteristics & PE_WRITE,
        .executable = characteristics & PE_EXECUTE,
    };
    memcpy(section.name, entry, 8);
    section.name[8] = 0;
    return section;
}

uint64_t pe_header_bytes(const void *base)
{
    return align_up(read32(pe_header(base) + PE_HEADERS_BYTES), FRAME_BYTES);
}
