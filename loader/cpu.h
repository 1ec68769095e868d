/* Instructions the loader needs that C does not have. */
#pragma once

#include <ashlar/types.h>

static inline uint8_t port_read(uint16_t port)
{
    uint8_t value;
    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void port_write(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint64_t cpu_ticks(void)
{
    return __builtin_ia32_rdtsc();
}

static inline uint64_t cr2_read(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr2, %0" : "=r"(value));
    return value;
}

static inline uint64_t cr3_read(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr3, %0" : "=r"(value));
    return value;
}

static inline uint64_t cr4_read(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

#define CR4_LA57 (1ULL << 12)

struct cpuid_result {
    uint32_t eax, ebx, ecx, edx;
};

static inline struct cpuid_result cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid_result result;
    __asm__ volatile("cpuid"
                     : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx)
                     : "a"(leaf), "c"(subleaf));
    return result;
}

/* CPUID's `leaf`, or zeros when the CPU has no such leaf. */
static inline struct cpuid_result cpuid_checked(uint32_t leaf)
{
    uint32_t highest = cpuid(leaf & 0x80000000u, 0).eax;
    return leaf <= highest ? cpuid(leaf, 0) : (struct cpuid_result){0, 0, 0, 0};
}

/* Whether a hypervisor says that it is there. */
static inline bool cpu_is_virtual(void)
{
    return cpuid(1, 0).ecx & (1u << 31);
}

static inline bool cpu_has_la57(void)
{
    return cpuid_checked(7).ecx & (1u << 16);
}

static inline bool cpu_has_gigabyte_pages(void)
{
    return cpuid_checked(0x80000001u).edx & (1u << 26);
}

/*
 * How many bits a physical address has: SDM volume 2, CPUID leaf 0x80000008; 36 where there is no such leaf.
 */
static inline unsigned cpu_physical_address_bits(void)
{
    unsigned bits = cpuid_checked(0x80000008u).eax & 0xff;
    return bits ? bits : 36;
}

static inline bool cpu_has_rdrand(void)
{
    return cpuid_checked(1).ecx & (1u << 30);
}

static inline bool cpu_has_rdseed(void)
{
    return cpuid_checked(7).ebx & (1u << 18);
}
