/*
 * The SMBIOS entry point (DMTF DSP0134 3.6, section 5.2): just enough to know which memory the tables fill.
 */
#pragma once

#include <ashlar/types.h>

#define SMBIOS_ENTRY_BYTES_MAX 32      /* an entry point of version 2.1 has 31 bytes, one of 3.0 has 24 */
#define SMBIOS_TABLE_BYTES_MAX MIB(16) /* a table that claims to be longer is taken for damaged */

struct smbios_extent {
    uint32_t entry_bytes; /* length of the entry point itself */
    phys_addr_t table;    /* first byte of the structure table */
    uint32_t table_bytes; /* the most it may take (version 3.0 gives only that) */
};

/*
 * Reads an entry point of either kind, of which `bytes` bytes can be read. Returns false, and stores nothing,
 * when its anchor, length or checksum is wrong or its table impossible.
 */
bool smbios_read_entry(const uint8_t *entry, size_t bytes, struct smbios_extent *extent);
