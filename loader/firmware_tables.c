/* What the firmware says of itself: configuration tables, vendor, Secure Boot. */
#include <ashlar/memory_type.h>
#include <ashlar/smbios.h>
#include <ashlar/string.h>

#include "loader.h"

static bool guid_equal(const EFI_GUID *a, const EFI_GUID *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

void *firmware_table(const struct loader *loader, const EFI_GUID *guid)
{
    for (UINTN i = 0; i < loader->system->NumberOfTableEntries; i++) {
        if (guid_equal(&loader->system->ConfigurationTable[i].VendorGuid, guid)) {
            return loader->system->ConfigurationTable[i].VendorTable;
        }
    }
    return NULL;
}

static phys_addr_t table_address(const struct loader *loader, EFI_GUID guid)
{
    return phys_addr((uintptr_t)firmware_table(loader, &guid));
}

/* Secure Boot is enforced when the variable SecureBoot is 1 and SetupMode is not (UEFI 2.10, 3.3). */
static bool secure_boot_variable(const struct loader *loader, const CHAR16 *name)
{
    EFI_GUID global = GLOBAL_VARIABLE_GUID;
    UINT8 value = 0;
    UINTN bytes = sizeof value;
    EFI_STATUS status =
        loader->system->RuntimeServices->GetVariable((CHAR16 *)name, &global, NULL, &bytes, &value);
    return !EFI_ERROR(status) && value == 1;
}

static void copy_vendor(char *out, const CHAR16 *vendor)
{
    size_t length = 0;
    for (; vendor && vendor[length] != 0 && length < BOOT_VENDOR_BYTES - 1; length++) {
        bool printable = vendor[length] >= ' ' && vendor[length] < 0x7f;
        out[length] = (char)(printable ? vendor[length] : '?');
    }
    out[length] = 0;
}

/* The pointer of ACPI 2.0 is preferred; very old machines have only that of ACPI 1.0. */
static phys_addr_t find_acpi(const struct loader *loader)
{
    phys_addr_t current = table_address(loader, (EFI_GUID)ACPI_20_TABLE_GUID);
    return current.raw ? current : table_address(loader, (EFI_GUID)ACPI_TABLE_GUID);
}

static void find_smbios(const struct loader *loader, struct boot_firmware *out)
{
    out->smbios = table_address(loader, (EFI_GUID)SMBIOS3_TABLE_GUID);
    out->smbios_major = 3;
    if (out->smbios.raw == 0) {
        out->smbios = table_address(loader, (EFI_GUID)SMBIOS_TABLE_GUID);
        out->smbios_major = out->smbios.raw ? 2 : 0;
    }
}

void firmware_describe(struct loader *loader)
{
    struct boot_firmware *out = &loader->info->firmware;
    out->system_table = phys_addr((uintptr_t)loader->system);
    out->acpi_rsdp = find_acpi(loader);
    find_smbios(loader, out);
    out->uefi_revision = loader->system->Hdr.Revision;
    out->firmware_revision = loader->system->FirmwareRevision;
    out->secure_boot =
        secure_boot_variable(loader, L"SecureBoot") && !secure_boot_variable(loader, L"SetupMode");
    copy_vendor(out->vendor, loader->system->FirmwareVendor);
}

/*
 * Claims what lies in boot services' memory of [base, base + bytes), in whole frames, up to the end of that
 * range. If the list of claims is full, the kernel takes the frames over.
 */
static void keep(struct loader *loader, phys_addr_t base, uint64_t bytes)
{
    const struct memory_range *range = memory_ranges_find(loader->ranges, loader->range_count, base);
    if (range && range->type == MEMORY_BOOT_RECLAIMABLE) {
        uint64_t first = align_down(base.raw, FRAME_BYTES);
        uint64_t end = min_u64(align_up(base.raw + bytes, FRAME_BYTES), range->base.raw + range->bytes);
        loader_claim(loader, phys_addr(first), end - first, MEMORY_ACPI_RECLAIMABLE);
    }
}

void smbios_keep(struct loader *loader)
{
    phys_addr_t entry = loader->info->firmware.smbios;
    const struct memory_range *range = memory_ranges_find(loader->ranges, loader->range_count, entry);
    struct smbios_extent extent;
    if (entry.raw == 0 || !range || !memory_type_is_ram(range->type)) {
        return;
    }
    uint64_t readable = min_u64(range->base.raw + range->bytes - entry.raw, SMBIOS_ENTRY_BYTES_MAX);
    if (smbios_read_entry((const uint8_t *)(uintptr_t)entry.raw, readable, &extent)) {
        keep(loader, entry, extent.entry_bytes);
        keep(loader, extent.table, extent.table_bytes);
    }
}
