/* The power-management block of Intel's ICH9 chipset; see <x86/ich9.h>. */
#include <x86/ich9.h>
#include <x86/port.h>

/* PCI configuration by ports (PCI 3.0, 3.2.2.3.2), of bus 0, device 31, function 0: the LPC bridge. */
#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define LPC_BRIDGE     0x8000f800U

/* Its registers (ICH9 datasheet, 13.1). */
#define LPC_IDENTITY  0x00
#define LPC_PM_BASE   0x40
#define LPC_ACPI      0x44
#define ICH9_IDENTITY 0x29188086U
#define PM_BASE_MASK  0xff80U
#define ACPI_ENABLE   (1U << 7)

static uint32_t read_config(uint32_t at)
{
    port_write32(CONFIG_ADDRESS, LPC_BRIDGE | at);
    return port_read32(CONFIG_DATA);
}

static void write_config(uint32_t at, uint32_t value)
{
    port_write32(CONFIG_ADDRESS, LPC_BRIDGE | at);
    port_write32(CONFIG_DATA, value);
}

uint16_t ich9_power_block(void)
{
    if (read_config(LPC_IDENTITY) != ICH9_IDENTITY) {
        return 0;
    }
    uint16_t base = (uint16_t)(read_config(LPC_PM_BASE) & PM_BASE_MASK);
    if (base != 0) {
        write_config(LPC_ACPI, read_config(LPC_ACPI) | ACPI_ENABLE);
    }
    return base;
}
