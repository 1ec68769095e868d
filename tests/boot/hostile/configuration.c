/*
 * The configuration tables of the system table (ACPI, SMBIOS and others), without those the case takes away
 * and with what it puts in their place.
 */
#include "hostile.h"

/*
 * EFI_MEMORY_ATTRIBUTES_TABLE (UEFI 2.10, 4.6.4) that claims more descriptors than there is memory: version,
 * entries, descriptor size, reserved, and one descriptor that says nothing.
 */
static UINT32 endless_attributes[4 + sizeof(EFI_MEMORY_DESCRIPTOR) / 4] = {1, UINT32_MAX,
                                                                           sizeof(EFI_MEMORY_DESCRIPTOR), 0};

static void replace(EFI_CONFIGURATION_TABLE *table)
{
    static const EFI_GUID attributes = {
        0xdcfa911d, 0x26eb, 0x469f, {0xa2, 0x20, 0x38, 0xb7, 0xdc, 0x46, 0x12, 0x20}};
    if (current->tables == TABLES_ENDLESS_ATTRIBUTES && guid_equal(&table->VendorGuid, &attributes)) {
        table->VendorTable = endless_attributes;
    }
}

static bool taken_away(const EFI_GUID *guid)
{
    static const EFI_GUID acpi[] = {ACPI_TABLE_GUID, ACPI_20_TABLE_GUID};
    static const EFI_GUID smbios[] = {SMBIOS_TABLE_GUID, SMBIOS3_TABLE_GUID};
    for (unsigned i = 0; i < ARRAY_LENGTH(acpi); i++) {
        if ((current->tables == TABLES_NO_ACPI && guid_equal(guid, &acpi[i])) ||
            (current->tables == TABLES_NO_SMBIOS && guid_equal(guid, &smbios[i]))) {
            return true;
        }
    }
    return current->tables == TABLES_NONE;
}

UINTN configuration_copy(EFI_CONFIGURATION_TABLE *into, UINTN room)
{
    UINTN count = 0;
    for (UINTN i = 0; i < firmware_table->NumberOfTableEntries && count < room; i++) {
        if (!taken_away(&firmware_table->ConfigurationTable[i].VendorGuid)) {
            into[count] = firmware_table->ConfigurationTable[i];
            replace(&into[count++]);
        }
    }
    return count;
}
