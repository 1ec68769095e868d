/*
 * The SMBIOS entry point (DMTF DSP0134 3.6, section 5.2): just enough to know which memory the tables fill.
 */
#pragma once

#include <ashlar/types.h>

#define SMBIOS_ENTRY_BYTES_MAX 32      /* the longer entry point has 31, the newer one 24 */
#define SMBIOS_TABLE_BYTES_MAX MIB(16) /* more is no table but damage */

struct smbios_extent {
    uint32_t entry_bytes; /* length of the entry point itself */
    phys_addr_t table;    /* first byte of the structure table */
    uint32_t table_bytes; /* its greatest length */
};

/*
 * Reads an entry point of either kind, of which `bytes` bytes can be read. Returns false, and stores nothing,
 * when its anchor, length or checksum is wrong or its table impossible.
 */
bool smbios_read_entry(const uint8_t *entry, size_t bytes, struct smbios_extent *extent);
