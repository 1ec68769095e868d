/* The rate of the time-stamp counter as CPUID states it; measure.c measures it against a device. */
#include <x86/clock_reference.h>
#include <x86/cpuid.h>

#define CPUID_TSC       0x15
#define CPUID_FREQUENCY 0x16

uint64_t tsc_stated_frequency(void)
{
    uint32_t highest = cpuid(0, 0).eax;
    if (highest >= CPUID_TSC) {
        struct cpuid ratio = cpuid(CPUID_TSC, 0); /* ebx / eax times the crystal's ecx (SDM 18.7.3) */
        if (ratio.eax != 0 && ratio.ebx != 0 && ratio.ecx != 0) {
            return (uint64_t)ratio.ecx * ratio.ebx / ratio.eax;
        }
    }
    if (highest >= CPUID_FREQUENCY) {
        return (uint64_t)(cpuid(CPUID_FREQUENCY, 0).eax & 0xffff) * 1000000;
    }
    return 0;
}
