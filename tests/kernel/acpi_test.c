/* What the kernel read from this machine's tables, against what the hardware says. */
#include <ashlar/acpi.h>
#include <ashlar/boot.h>
#include <ashlar/device_map.h>
#include <ashlar/test.h>
#include <x86/apic.h>

KERNEL_TEST(acpi_tables_are_sound)
{
    const struct acpi_info *acpi = acpi_info();
    if (boot_info()->firmware.acpi_rsdp.raw == 0) {
        EXPECT(!acpi->present);
        kernel_test_skip("the firmware has no ACPI tables");
        return;
    }
    EXPECT(acpi->present);
    EXPECT_EQUAL(acpi->refused, 0);
    EXPECT(acpi->fadt.present);
    EXPECT(acpi->soft_off.known);
}

KERNEL_TEST(acpi_lists_this_processor)
{
    const struct acpi_madt *madt = &acpi_info()->madt;
    if (!madt->present || !apic_available()) {
        kernel_test_skip("no MADT or no local APIC");
        return;
    }
    bool found = false;
    for (uint32_t i = 0; i < madt->cpu_count; i++) {
        found = found || (madt->cpus[i].apic_id == apic_id() && madt->cpus[i].enabled);
    }
    EXPECT(found);
}

KERNEL_TEST(device_map_finds_a_mapping_again)
{
    const struct acpi_madt *madt = &acpi_info()->madt;
    if (!madt->present || madt->io_apic_count == 0) {
        kernel_test_skip("no IO-APIC to map");
        return;
    }
    phys_addr_t address = madt->io_apics[0].address;
    void *first = device_map(address, 32, PAGE_WRITE, CACHE_UNCACHED);
    EXPECT(first != NULL);
    EXPECT(device_map(address, 16, PAGE_WRITE, CACHE_UNCACHED) == first);
    EXPECT(device_map(phys_add(address, 16), 16, PAGE_WRITE, CACHE_UNCACHED) == (uint8_t *)first + 16);
    EXPECT(device_map(address, 32, PAGE_READ, CACHE_UNCACHED) != first);
}

KERNEL_TEST(device_map_refuses_what_cannot_be)
{
    EXPECT(device_map(phys_addr(0xfee00000), 0, PAGE_WRITE, CACHE_UNCACHED) == NULL);
    EXPECT(device_map(phys_addr(0xfee00000), UINT64_MAX, PAGE_WRITE, CACHE_UNCACHED) == NULL);
    EXPECT(device_map(phys_addr(UINT64_MAX - 1), 16, PAGE_WRITE, CACHE_UNCACHED) == NULL);
    EXPECT(device_map(phys_addr(0xfee00000), 16, PAGE_EXECUTE, CACHE_UNCACHED) == NULL);
    EXPECT(device_map(phys_addr(0xfee00000), GIB(1), PAGE_WRITE, CACHE_UNCACHED) == NULL);
}
