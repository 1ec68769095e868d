/*
 * Reads the ACPI tables of this machine; the parser is in kernel/lib/acpi/. See <ashlar/acpi.h>. Tables that
 * lie outside RAM, or in RAM that the kernel takes over, are read in the copies that the loader has made.
 */
#define LOG_SUBSYSTEM "acpi"
#include <ashlar/acpi.h>
#include <ashlar/boot.h>
#include <ashlar/log.h>
#include <ashlar/memory_type.h>
#include <ashlar/start.h>

static struct acpi_info machine; /* written once, by acpi_initialise() */

/* The loader's copy of a range, or NULL. */
static const void *find_copy(phys_addr_t address, uint64_t bytes)
{
    const struct boot_table *table = &boot_info()->firmware_copies;
    const struct boot_copy *copies = physmap_pointer(table->base);
    for (uint32_t i = 0; i < table->count; i++) {
        uint64_t offset = address.raw - copies[i].original.raw;
        if (offset < copies[i].bytes && bytes <= copies[i].bytes - offset) {
            return physmap_pointer(phys_add(copies[i].copy, offset));
        }
    }
    return NULL;
}

/* Maps nothing, since it is called before anything can be mapped. */
static const void *read_table(void *context, phys_addr_t address, uint64_t bytes)
{
    (void)context;
    size_t count;
    const struct memory_range *map = boot_memory_map(&count);
    const void *copy = find_copy(address, bytes);
    return copy || !memory_ranges_are_ram(map, count, address, bytes) ? copy : physmap_pointer(address);
}

static void report(void *context, const char *text)
{
    (void)context;
    log_warning("%s", text);
}

void acpi_initialise(const struct boot_info *info)
{
    const struct acpi_source source = {.map = read_table, .report = report};
    if (!acpi_parse(&machine, &source, info->firmware.acpi_rsdp)) {
        log_warning("no ACPI tables: one processor, no interrupt routing, no ACPI power-off");
        return;
    }
    log_info("%s at %#" PRIx64 " by %s: %u tables", machine.extended ? "XSDT" : "RSDT", machine.root.raw,
             machine.oem, machine.table_count);
    if (machine.madt.present) {
        log_info("%u processors, %u IO-APICs", machine.madt.cpu_count, machine.madt.io_apic_count);
    } else {
        log_warning("no table of processors and interrupt controllers: one processor, no interrupt routing");
    }
}

const struct acpi_info *acpi_info(void)
{
    START_REQUIRE(START_FIRMWARE);
    return &machine;
}
