/* The rate of the time-stamp counter as CPUID states it; measure.c measures it against a device. */
#include <x86/clock_reference.h>
#include <x86/cpuid.h>

#define CPUID_TSC       0x15
#define CPUID_FREQUENCY 0x16

struct clock_stated tsc_stated_frequency(void)
{
    uint32_t highest = cpuid(0, 0).eax;
    if (highest >= CPUID_TSC) {
        struct cpuid ratio = cpuid(CPUID_TSC, 0); /* ebx / eax times the crystal's ecx (SDM 18.7.3) */
        if (ratio.eax != 0 && ratio.ebx != 0 && ratio.ecx != 0) {
            return (struct clock_stated){.hertz = (uint64_t)ratio.ecx * ratio.ebx / ratio.eax};
        }
    }
    if (highest >= CPUID_FREQUENCY) {
        uint64_t megahertz = cpuid(CPUID_FREQUENCY, 0).eax & 0xffff;
        return (struct clock_stated){.hertz = megahertz * 1000000, .nominal = true};
    }
    return (struct clock_stated){.hertz = 0};
}
