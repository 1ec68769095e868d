/*
 * The way to end QEMU with a status (<ashlar/power.h>). It asks the CPU itself where it runs, since a panic
 * may come before anything is known.
 */
#include <ashlar/power.h>
#include <x86/cpuid.h>
#include <x86/port.h>

#define CPUID_1_ECX_HYPERVISOR (1u << 31)

void power_debug_exit(enum power_exit value)
{
    if (cpuid(1, 0).ecx & CPUID_1_ECX_HYPERVISOR) {
        port_write8(POWER_EXIT_PORT, (uint8_t)value);
    }
}

void power_debug_line(const char *line)
{
    if (cpuid(1, 0).ecx & CPUID_1_ECX_HYPERVISOR) {
        for (; *line; line++) {
            port_write8(POWER_DEBUG_PORT, (uint8_t)*line);
        }
    }
}
