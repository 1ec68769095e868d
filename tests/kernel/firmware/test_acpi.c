/* What the kernel read from this machine's tables, against what the hardware says. */
#include <ashlar/acpi.h>
#include <ashlar/boot.h>
#include <ashlar/physmap.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <ashlar/trap.h>
#include <x86/apic.h>

/* Whether ACPI tables begin there, as far as can be seen: U-Boot announces some on a machine without any. */
static bool is_announced_rightly(phys_addr_t rsdp)
{
    char signature[8];
    return !memory_try_read(signature, virt_of(physmap_pointer(rsdp)), sizeof signature) ||
           memcmp(signature, "RSD PTR ", sizeof signature) == 0;
}

KERNEL_TEST(acpi_tables_are_sound)
{
    const struct acpi_info *acpi = acpi_info();
    if (boot_info()->firmware.acpi_rsdp.raw == 0) {
        EXPECT(!acpi->present);
        kernel_test_skip("the firmware has no ACPI tables");
        return;
    }
    if (!is_announced_rightly(boot_info()->firmware.acpi_rsdp)) {
        EXPECT(!acpi->present && !acpi->madt.present && !acpi->fadt.present);
        kernel_test_skip("what the firmware calls its ACPI tables is something else");
        return;
    }
    EXPECT(acpi->present);
    EXPECT_EQUAL(acpi->refused, 0);
    if (!acpi->fadt.present) {
        kernel_test_skip("the firmware's tables describe no fixed hardware");
        return;
    }
    EXPECT(acpi->soft_off.known);
}

KERNEL_TEST(acpi_lists_this_processor)
{
    const struct acpi_madt *madt = &acpi_info()->madt;
    if (!madt->present || !apic_available()) {
        kernel_test_skip("no MADT or no local APIC");
        return;
    }
    struct acpi_cpus cpus;
    struct acpi_cpu cpu;
    bool found = false;
    acpi_cpus_start(&cpus, madt);
    while (acpi_cpus_next(&cpus, &cpu)) {
        found = found || (cpu.apic_id == apic_id() && cpu.enabled);
    }
    EXPECT(found);
}
