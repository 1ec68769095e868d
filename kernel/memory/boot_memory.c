/*
 * Taking over the memory of the firmware's boot services, except tables that are needed afterwards. ACPI and
 * SMBIOS tables should lie in memory that stays reserved (UEFI specification 2.10, 2.3.4 and 4.6.1). Of a
 * table that does not, all frames are kept out of the pool.
 */
#include <ashlar/acpi.h>
#include <ashlar/boot.h>
#include <ashlar/memory.h>
#include <ashlar/memory_type.h>
#include <ashlar/smbios.h>
#include <ashlar/string.h>

#define LOG_SUBSYSTEM "memory"
#include <ashlar/log.h>

#include "frames.h"

/* Root pointer of ACPI 1.0, and of later versions (ACPI specification 6.5, 5.2.5.3). */
#define RSDP_BYTES_1 20
#define RSDP_BYTES_2 36

static const struct memory_range *range_of(phys_addr_t address)
{
    size_t count;
    const struct memory_range *map = boot_memory_map(&count);
    return memory_ranges_find(map, count, address);
}

/* Whether boot services' memory, which the physmap shows, holds this address. */
static bool is_in_boot_memory(phys_addr_t address)
{
    const struct memory_range *range = address.raw != 0 ? range_of(address) : NULL;
    return range && range->type == MEMORY_BOOT_RECLAIMABLE;
}

/*
 * Keeps the frames of a table that starts in boot services' memory; a frame it shares with another is kept.
 */
static void keep(phys_addr_t table, uint64_t bytes, const char *what)
{
    uint64_t frames = 0;
    uint64_t end = table.raw + bytes;
    if (!is_in_boot_memory(table)) {
        return;
    }
    for (uint64_t at = align_down(table.raw, FRAME_BYTES); at < end; at += FRAME_BYTES) {
        frames += frame_alloc_at(kernel_frames(), phys_addr(at), 0, OWNER_RESERVED) == FRAME_OK;
    }
    log_info("kept %" PRIu64 " frames of boot services' memory: the firmware's %s is at %#" PRIx64, frames,
             what, table.raw);
}

static void keep_acpi(const struct boot_info *info)
{
    const struct acpi_info *acpi = acpi_info();
    keep(info->firmware.acpi_rsdp, acpi->revision < 2 ? RSDP_BYTES_1 : RSDP_BYTES_2, "ACPI root pointer");
    if (is_in_boot_memory(acpi->root)) {
        uint32_t bytes; /* second field of every table's header; acpi_parse() has checked it */
        memcpy(&bytes, physmap_pointer(phys_add(acpi->root, 4)), sizeof bytes);
        keep(acpi->root, bytes, "ACPI root table");
    }
    for (uint32_t i = 0; i < acpi->table_count; i++) {
        keep(acpi->tables[i].address, acpi->tables[i].bytes, acpi->tables[i].signature);
    }
}

static void keep_smbios(const struct boot_info *info)
{
    phys_addr_t entry = info->firmware.smbios;
    const struct memory_range *range = entry.raw != 0 ? range_of(entry) : NULL;
    struct smbios_extent extent;
    if (!range ||
        !memory_type_is_ram(range->type)) { /* not in the physmap, so not in memory that is taken over */
        return;
    }
    uint64_t readable = min_u64(range->base.raw + range->bytes - entry.raw, SMBIOS_ENTRY_BYTES_MAX);
    if (!smbios_read_entry(physmap_pointer(entry), readable, &extent)) {
        log_warning("the SMBIOS entry point at %#" PRIx64 " is damaged", entry.raw);
        keep(entry, readable, "SMBIOS entry point");
        return;
    }
    keep(entry, extent.entry_bytes, "SMBIOS entry point");
    keep(extent.table, extent.table_bytes, "SMBIOS table");
}

void memory_reclaim_boot(const struct boot_info *info)
{
    enum frame_error error = frame_pool_reclaim(kernel_frames(), MEMORY_BOOT_RECLAIMABLE);
    if (error != FRAME_OK) {
        panic("memory: reclaiming boot memory: %s", frame_error_name(error));
    }
    memory_keep_low();
    keep_acpi(info);
    keep_smbios(info);
    log_info("%" PRIu64 " MiB free", (frame_pool_free(kernel_frames()) << FRAME_SHIFT >> 20));
}
