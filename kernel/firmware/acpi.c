/* Reads the ACPI tables of this machine; the parser is in kernel/lib/acpi. See <ashlar/acpi.h>. */
#define LOG_SUBSYSTEM "acpi"
#include <ashlar/acpi.h>
#include <ashlar/boot.h>
#include <ashlar/log.h>
#include <ashlar/mmio.h>

static const struct kva_purpose purpose = KVA_PURPOSE("ACPI tables");
static struct acpi_info machine; /* written once, by acpi_initialise() */

/* Whether the physmap shows the whole range: it shows what the normalised map calls RAM of any kind. */
static bool in_physmap(phys_addr_t address, uint64_t bytes)
{
    size_t count;
    const struct memory_range *map = boot_memory_map(&count);
    uint64_t at = address.raw;
    uint64_t end = at + bytes;
    for (size_t i = 0; i < count && at < end; i++) {
        bool inside = at >= map[i].base.raw && at - map[i].base.raw < map[i].bytes;
        if (inside && map[i].type < MEMORY_MMIO) {
            at = map[i].base.raw + map[i].bytes;
        }
    }
    return at >= end;
}

static const void *map_table(void *context, phys_addr_t address, uint64_t bytes)
{
    (void)context;
    if (in_physmap(address, bytes)) {
        return physmap_pointer(address);
    }
    return device_map(address, bytes, PAGE_READ, CACHE_WRITE_BACK, &purpose);
}

static void report(void *context, const char *text)
{
    (void)context;
    log_warning("%s", text);
}

void acpi_initialise(const struct boot_info *info)
{
    const struct acpi_source source = {.map = map_table, .report = report};
    if (!acpi_parse(&machine, &source, info->firmware.acpi_rsdp)) {
        log_warning("no ACPI tables: one processor, no interrupt routing, no ACPI power-off");
        return;
    }
    log_info("%s at %#" PRIx64 " by %s: %u tables, %u processors, %u IO-APICs",
             machine.extended ? "XSDT" : "RSDT", machine.root.raw, machine.oem, machine.table_count,
             machine.madt.cpu_count, machine.madt.io_apic_count);
}

const struct acpi_info *acpi_info(void)
{
    return &machine;
}
