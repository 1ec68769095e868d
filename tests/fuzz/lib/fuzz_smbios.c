/*
 * Any bytes as an SMBIOS entry point, the first byte's lowest bit asking for a right checksum: taken exactly
 * when DSP0134 allows it, with the numbers that stand there, and nothing is read beyond the bytes that may
 * be.
 */
#include <ashlar/smbios.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t number(const uint8_t *entry, unsigned at, unsigned bytes)
{
    return bytes == 0 ? 0 : entry[at] | number(entry, at + 1, bytes - 1) << 8;
}

static uint8_t sum(const uint8_t *entry, size_t bytes)
{
    return bytes == 0 ? 0 : (uint8_t)(entry[0] + sum(entry + 1, bytes - 1));
}

/* The entry point by its specification: whether it is sound, and what it says. */
static bool expected(const uint8_t *entry, size_t size, struct smbios_extent *extent)
{
    bool modern = size >= 5 && memcmp(entry, "_SM3_", 5) == 0;
    if (size < (modern ? 0x18 : 0x1e) || (!modern && memcmp(entry, "_SM_", 4) != 0)) {
        return false;
    }
    extent->entry_bytes = entry[modern ? 6 : 5];
    uint64_t table_bytes = modern ? number(entry, 0x0c, 4) : number(entry, 0x16, 2);
    extent->table = phys_addr(modern ? number(entry, 0x10, 8) : number(entry, 0x18, 4));
    extent->table_bytes = (uint32_t)table_bytes;
    return extent->entry_bytes >= (modern ? 0x18 : 0x1e) && extent->entry_bytes <= size &&
           sum(entry, extent->entry_bytes) == 0 && table_bytes != 0 &&
           table_bytes <= SMBIOS_TABLE_BYTES_MAX && extent->table.raw != 0 && extent->table.raw < 1ULL << 52;
}

/* Puts the checksum right, where the entry point has one. */
static void mend(uint8_t *entry, size_t size)
{
    bool modern = size >= 5 && entry[3] == '3';
    if (size > 6) {
        uint8_t length = entry[modern ? 6 : 5];
        entry[modern ? 5 : 4] -= sum(entry, length < size ? length : size);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    size_t bytes = size - 1;
    uint8_t *entry = malloc(bytes + !bytes); /* of its own, so that the sanitizer sees its end */
    memcpy(entry, data + 1, bytes);
    if (data[0] & 1) {
        mend(entry, bytes);
    }
    struct smbios_extent wanted;
    struct smbios_extent found = {1, phys_addr(2), 3};
    bool good = expected(entry, bytes, &wanted);
    require(smbios_read_entry(entry, bytes, &found) == good);
    if (!good) {
        wanted = (struct smbios_extent){1, phys_addr(2), 3}; /* nothing was stored */
    }
    require(found.entry_bytes == wanted.entry_bytes && found.table.raw == wanted.table.raw &&
            found.table_bytes == wanted.table_bytes);
    free(entry);
    return 0;
}
