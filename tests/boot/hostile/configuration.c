/* The configuration tables of the system table (ACPI, SMBIOS and others), without those the case takes away.
 */
#include "hostile.h"

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
            into[count++] = firmware_table->ConfigurationTable[i];
        }
    }
    return count;
}
