/* Monitor command that shows what the ACPI tables say: acpi. */
#include <ashlar/acpi.h>
#include <ashlar/monitor.h>

static const char *space_name(uint8_t space)
{
    return space == ACPI_SPACE_PORT ? "port" : space == ACPI_SPACE_MEMORY ? "memory" : "unusable space";
}

static void print_register(const char *name, const struct acpi_register *where)
{
    if (where->bits != 0) {
        monitor_print("  %-16s %s %#" PRIx64 ", %u bits\n", name, space_name(where->space), where->address,
                      where->bits);
    }
}

static void print_tables(const struct acpi_info *acpi)
{
    monitor_print("%s at %#" PRIx64 ", root pointer revision %u by %s, %u refused\n",
                  acpi->extended ? "XSDT" : "RSDT", acpi->root.raw, acpi->revision, acpi->oem, acpi->refused);
    monitor_print("%-5s %3s %18s %9s  %-6s %s\n", "table", "rev", "address", "bytes", "maker", "name");
    for (uint32_t i = 0; i < acpi->table_count; i++) {
        const struct acpi_table *table = &acpi->tables[i];
        monitor_print("%-5s %3u %#18" PRIx64 " %'9u  %-6s %s\n", table->signature, table->revision,
                      table->address.raw, table->bytes, table->oem, table->oem_table);
    }
}

static void print_cpus(const struct acpi_info *acpi)
{
    struct acpi_cpus cpus;
    struct acpi_cpu cpu;
    acpi_cpus_start(&cpus, &acpi->madt);
    while (acpi_cpus_next(&cpus, &cpu) && !monitor_interrupted()) {
        monitor_print("  processor %-6u APIC %u, node %u%s\n", cpu.processor_id, cpu.apic_id,
                      acpi_node_of_cpu(&acpi->srat, cpu.apic_id), cpu.enabled ? "" : ", not switched on");
    }
}

static void print_interrupts(const struct acpi_info *acpi)
{
    const struct acpi_madt *madt = &acpi->madt;
    monitor_print("interrupts: local APICs at %#" PRIx64 ", %s 8259s\n", madt->local_apic.raw,
                  madt->legacy_pics ? "with" : "without");
    print_cpus(acpi);
    for (uint32_t i = 0; i < madt->io_apic_count; i++) {
        const struct acpi_io_apic *io_apic = &madt->io_apics[i];
        monitor_print("  IO-APIC %-8u at %#" PRIx64 ", from interrupt %u\n", io_apic->id,
                      io_apic->address.raw, io_apic->interrupt_base);
    }
    for (uint32_t i = 0; i < madt->override_count; i++) {
        const struct acpi_override *wired = &madt->overrides[i];
        monitor_print("  legacy %-9u at interrupt %u, active %s, %s-triggered\n", wired->irq,
                      wired->interrupt, wired->active_low ? "low" : "high",
                      wired->level_triggered ? "level" : "edge");
    }
}

static void print_power(const struct acpi_info *acpi)
{
    const struct acpi_fadt *fadt = &acpi->fadt;
    monitor_print("power: %s\n", fadt->hardware_reduced ? "hardware-reduced" : "fixed hardware");
    print_register("PM1a control", &fadt->pm1a_control);
    print_register("PM1b control", &fadt->pm1b_control);
    print_register("sleep control", &fadt->sleep_control);
    print_register("PM timer", &fadt->pm_timer);
    print_register("reset", &fadt->reset);
    if (acpi->soft_off.known) {
        monitor_print("  %-16s types %u and %u\n", "soft off (S5)", acpi->soft_off.type_a,
                      acpi->soft_off.type_b);
    }
}

static void print_rest(const struct acpi_info *acpi)
{
    if (acpi->hpet.present) {
        monitor_print("HPET %u at %#" PRIx64 "\n", acpi->hpet.number, acpi->hpet.address.raw);
    }
    for (uint32_t i = 0; i < acpi->mcfg.count; i++) {
        const struct acpi_pci_segment *segment = &acpi->mcfg.segments[i];
        monitor_print("PCI segment %u, buses %u to %u at %#" PRIx64 "\n", segment->segment,
                      segment->first_bus, segment->last_bus, segment->base.raw);
    }
    for (uint32_t i = 0; i < acpi->srat.count && !monitor_interrupted(); i++) {
        const struct acpi_memory *range = &acpi->srat.ranges[i];
        monitor_print("node %u has memory at %#" PRIx64 ", %'" PRIu64 " bytes%s%s\n", range->node,
                      range->base.raw, range->bytes, range->hot_pluggable ? ", hot-pluggable" : "",
                      range->non_volatile ? ", non-volatile" : "");
    }
}

static void tables_json(struct json *json, const struct acpi_info *acpi)
{
    json_array_begin(json, "tables");
    for (uint32_t i = 0; i < acpi->table_count; i++) {
        json_object_begin(json, NULL);
        json_string(json, "signature", acpi->tables[i].signature);
        json_number(json, "revision", acpi->tables[i].revision);
        json_hex(json, "address", acpi->tables[i].address.raw);
        json_number(json, "bytes", acpi->tables[i].bytes);
        json_string(json, "oem", acpi->tables[i].oem);
        json_object_end(json);
    }
    json_array_end(json);
}

static void cpus_json(struct json *json, const struct acpi_info *acpi)
{
    struct acpi_cpus cpus;
    struct acpi_cpu cpu;
    json_array_begin(json, "processors");
    acpi_cpus_start(&cpus, &acpi->madt);
    while (acpi_cpus_next(&cpus, &cpu)) {
        json_object_begin(json, NULL);
        json_number(json, "apic_id", cpu.apic_id);
        json_number(json, "node", acpi_node_of_cpu(&acpi->srat, cpu.apic_id));
        json_bool(json, "enabled", cpu.enabled);
        json_object_end(json);
    }
    json_array_end(json);
}

static void memory_json(struct json *json, const struct acpi_info *acpi)
{
    json_array_begin(json, "memory");
    for (uint32_t i = 0; i < acpi->srat.count; i++) {
        json_object_begin(json, NULL);
        json_hex(json, "base", acpi->srat.ranges[i].base.raw);
        json_number(json, "bytes", acpi->srat.ranges[i].bytes);
        json_number(json, "node", acpi->srat.ranges[i].node);
        json_object_end(json);
    }
    json_array_end(json);
}

static void acpi_json(const struct acpi_info *acpi)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_number(&json, "revision", acpi->revision);
    json_number(&json, "refused", acpi->refused);
    tables_json(&json, acpi);
    cpus_json(&json, acpi);
    json_number(&json, "io_apics", acpi->madt.io_apic_count);
    memory_json(&json, acpi);
    json_bool(&json, "hpet", acpi->hpet.present);
    json_number(&json, "pci_segments", acpi->mcfg.count);
    json_bool(&json, "soft_off", acpi->soft_off.known);
    json_object_end(&json);
    json_end(&json);
}

static void acpi_run(struct monitor_call *call)
{
    const struct acpi_info *acpi = acpi_info();
    if (!acpi->present) {
        monitor_error(call, "the firmware gave no usable ACPI tables; 'log' tells why");
    } else if (call->json) {
        acpi_json(acpi);
    } else {
        print_tables(acpi);
        print_interrupts(acpi);
        print_power(acpi);
        print_rest(acpi);
    }
}

MONITOR_COMMAND(
    acpi, acpi_run, "", "what the firmware's ACPI tables say about the machine",
    "Tables with address and maker; processors, IO-APICs and rewired legacy interrupts; registers for\n"
    "power and reset; timers, PCI windows and memory by node. Tables that are malformed are named in the\n"
    "log and counted as refused.\n"
    "Examples:\n"
    "  acpi\n"
    "  acpi -j\n",
    .flags = MONITOR_JSON);
