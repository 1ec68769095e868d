/*
 * The ACPI parser on captured tables that the fuzzer mutates. The input is a physical memory image as in
 * tests/host/data/acpi/; its first byte's lowest bit asks to mend all checksums first, so that the mutations
 * get past that door. Whatever the tables say, the parse must end, stay inside what it mapped, and keep its
 * counts.
 */
#include "tests/host/lib/acpi_image.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes);

static void mend(uint8_t *table, uint64_t bytes, size_t at)
{
    uint8_t sum = 0;
    for (uint64_t i = 0; i < bytes; i++) {
        sum = (uint8_t)(sum + table[i]);
    }
    table[at] = (uint8_t)(table[at] - sum);
}

static void mend_all(struct acpi_image *image)
{
    for (size_t i = 0; i < image->count; i++) {
        struct image_piece *piece = &image->pieces[i];
        uint32_t length = 0;
        if (i == 0 && piece->bytes >= 20) {
            mend(piece->content, 20, 8);
            if (piece->bytes >= 36) {
                mend(piece->content, piece->bytes, 32);
            }
        } else if (piece->bytes >= 36) {
            memcpy(&length, piece->content + 4, sizeof length);
            mend(piece->content, length < piece->bytes ? length : piece->bytes, 9);
        }
    }
}

/* Walks the processors; each has a number of its own, in bounds. */
static uint32_t count_cpus(const struct acpi_madt *madt)
{
    static bool met[ACPI_APIC_IDS];
    struct acpi_cpus cpus;
    struct acpi_cpu cpu;
    uint32_t count = 0;
    memset(met, 0, sizeof met);
    acpi_cpus_start(&cpus, madt);
    for (; acpi_cpus_next(&cpus, &cpu); count++) {
        if (cpu.apic_id >= ACPI_APIC_IDS || met[cpu.apic_id]) {
            abort();
        }
        met[cpu.apic_id] = true;
    }
    return count;
}

static void check(const struct acpi_info *info)
{
    bool sound = info->table_count <= ACPI_TABLES_MAX && info->madt.cpu_count == count_cpus(&info->madt) &&
                 info->madt.io_apic_count <= ACPI_IO_APICS_MAX && info->mcfg.count <= ACPI_PCI_SEGMENTS_MAX &&
                 info->madt.override_count <= ACPI_OVERRIDES_MAX &&
                 info->srat.count <= ACPI_MEMORY_RANGES_MAX && info->soft_off.type_a <= 7 &&
                 info->soft_off.type_b <= 7;
    for (uint32_t i = 0; i < info->madt.override_count; i++) {
        sound = sound && info->madt.overrides[i].irq < 16;
    }
    for (uint32_t i = 0; i < info->srat.count; i++) {
        const struct acpi_memory *range = &info->srat.ranges[i];
        sound = sound && range->bytes != 0 && range->base.raw + (range->bytes - 1) >= range->base.raw;
    }
    acpi_node_of_cpu(&info->srat, ACPI_APIC_IDS); /* has every entry read */
    if (!sound) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t bytes)
{
    static struct acpi_image image;
    static struct acpi_info info;
    if (bytes == 0) {
        return 0;
    }
    image_read(&image, input + 1, bytes - 1);
    if (input[0] & 1) {
        mend_all(&image);
    }
    image_parse(&image, &info);
    check(&info);
    image_free(&image);
    return 0;
}
