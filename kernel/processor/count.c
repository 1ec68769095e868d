/* How many processors there are, asked before there is memory; see <ashlar/processor.h>. */
#include <ashlar/acpi.h>
#include <ashlar/boot.h>
#include <ashlar/command_line.h>
#include <ashlar/number.h>
#include <ashlar/platform.h>
#include <ashlar/start.h>

#include "internal.h"

/* Processors that are switched on, by the firmware's table; and the largest of their APIC numbers. */
static unsigned count_enabled(uint32_t *largest)
{
    struct acpi_cpus cpus;
    struct acpi_cpu cpu;
    unsigned count = 0;
    *largest = 0;
    acpi_cpus_start(&cpus, &acpi_info()->madt);
    while (acpi_cpus_next(&cpus, &cpu)) {
        if (cpu.enabled) {
            count++;
            *largest = cpu.apic_id > *largest ? cpu.apic_id : *largest;
        }
    }
    return count;
}

/* What `cpus=N` of the command line asks for; without it, all. */
static uint64_t wanted(void)
{
    char text[16];
    uint64_t number;
    bool given = command_line_get(boot_command_line(), "cpus", text, sizeof text) &&
                 number_parse(text, &number) == NUMBER_OK && number != 0;
    return given ? number : UINT64_MAX;
}

unsigned processors_count(void)
{
    uint32_t largest;
    START_REQUIRE(START_FIRMWARE);
    unsigned enabled = count_enabled(&largest);
    return (unsigned)min_u64(enabled > 1 ? enabled : 1, wanted());
}

uint32_t processors_largest_apic_id(void)
{
    uint32_t largest;
    count_enabled(&largest);
    return largest;
}

unsigned processors_enabled(void)
{
    uint32_t largest;
    return count_enabled(&largest);
}
