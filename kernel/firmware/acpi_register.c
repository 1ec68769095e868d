/* See <ashlar/acpi_register.h>. */
#include <ashlar/acpi_register.h>
#include <ashlar/mmio.h>
#include <x86/port.h>

static const struct kva_purpose purpose = KVA_PURPOSE("ACPI registers");

static volatile void *in_memory(const struct acpi_register *where)
{
    return device_map(phys_addr(where->address), where->bits / 8, PAGE_WRITE, CACHE_UNCACHED, &purpose);
}

bool acpi_register_usable(const struct acpi_register *where)
{
    bool width = where->bits == 8 || where->bits == 16 || where->bits == 32;
    if (where->space == ACPI_SPACE_PORT) {
        return width && where->address + where->bits / 8 <= 0x10000;
    }
    return where->space == ACPI_SPACE_MEMORY && (width || where->bits == 64) &&
           is_aligned(where->address, where->bits / 8) && in_memory(where) != NULL;
}

uint64_t acpi_register_read(const struct acpi_register *where)
{
    bool port = where->space == ACPI_SPACE_PORT;
    uint16_t number = (uint16_t)where->address;
    switch (where->bits) {
    case 8:
        return port ? port_read8(number) : *(volatile uint8_t *)in_memory(where);
    case 16:
        return port ? port_read16(number) : *(volatile uint16_t *)in_memory(where);
    case 32:
        return port ? port_read32(number) : *(volatile uint32_t *)in_memory(where);
    default:
        return *(volatile uint64_t *)in_memory(where);
    }
}

static void write_port(const struct acpi_register *where, uint64_t value)
{
    uint16_t number = (uint16_t)where->address;
    if (where->bits == 8) {
        port_write8(number, (uint8_t)value);
    } else if (where->bits == 16) {
        port_write16(number, (uint16_t)value);
    } else {
        port_write32(number, (uint32_t)value);
    }
}

static void write_memory(const struct acpi_register *where, uint64_t value)
{
    volatile void *at = in_memory(where);
    if (where->bits == 8) {
        *(volatile uint8_t *)at = (uint8_t)value;
    } else if (where->bits == 16) {
        *(volatile uint16_t *)at = (uint16_t)value;
    } else if (where->bits == 32) {
        *(volatile uint32_t *)at = (uint32_t)value;
    } else {
        *(volatile uint64_t *)at = value;
    }
}

void acpi_register_write(const struct acpi_register *where, uint64_t value)
{
    if (where->space == ACPI_SPACE_PORT) {
        write_port(where, value);
    } else {
        write_memory(where, value);
    }
}
