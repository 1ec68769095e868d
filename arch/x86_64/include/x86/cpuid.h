/*
 * What the CPU can do. Features are found once at start (cpu_early_init) and asked by name.
 */
#pragma once

#include <ashlar/types.h>

struct cpuid {
    uint32_t eax;
    uint32_t ebx;
    uint32_t ecx;
    uint32_t edx;
};

/* Executes CPUID; the result for a leaf beyond the CPU's highest is meaningless (SDM volume 2, CPUID). */
static inline struct cpuid cpuid(uint32_t leaf, uint32_t subleaf)
{
    struct cpuid result;
    __asm__ volatile("cpuid"
                     : "=a"(result.eax), "=b"(result.ebx), "=c"(result.ecx), "=d"(result.edx)
                     : "a"(leaf), "c"(subleaf));
    return result;
}

enum cpu_feature {
    CPU_FEATURE_NX,            /* no-execute pages */
    CPU_FEATURE_SMEP,          /* the kernel cannot execute user pages */
    CPU_FEATURE_SMAP,          /* the kernel touches user pages only on purpose */
    CPU_FEATURE_UMIP,          /* user code cannot read descriptor-table addresses */
    CPU_FEATURE_PGE,           /* global pages */
    CPU_FEATURE_PCID,          /* tagged address spaces */
    CPU_FEATURE_INVPCID,       /* INVPCID instruction */
    CPU_FEATURE_PAT,           /* page attribute table */
    CPU_FEATURE_PAGE_1GIB,     /* 1 GiB pages */
    CPU_FEATURE_LA57,          /* 5-level paging */
    CPU_FEATURE_PKU,           /* protection keys for user pages */
    CPU_FEATURE_FSGSBASE,      /* FS and GS base instructions */
    CPU_FEATURE_X2APIC,        /* x2APIC mode */
    CPU_FEATURE_TSC_DEADLINE,  /* the APIC timer takes a time-stamp deadline */
    CPU_FEATURE_INVARIANT_TSC, /* the time-stamp counter runs at one rate in every power state */
    CPU_FEATURE_RDTSCP,        /* RDTSCP instruction */
    CPU_FEATURE_RDRAND,        /* random generator */
    CPU_FEATURE_RDSEED,        /* entropy source */
    CPU_FEATURE_ERMS,          /* fast REP MOVSB and STOSB */
    CPU_FEATURE_FSRM,          /* fast short REP MOVSB */
    CPU_FEATURE_XSAVE,         /* extended state */
    CPU_FEATURE_POPCNT,        /* POPCNT instruction */
    CPU_FEATURE_BMI1,          /* TZCNT, ANDN, ... */
    CPU_FEATURE_BMI2,          /* PDEP, SHLX, ... */
    CPU_FEATURE_MCE,           /* machine-check exception */
    CPU_FEATURE_HYPERVISOR,    /* we run in a virtual machine */
    CPU_FEATURE_COUNT
};

/* Whether the boot CPU has `feature`. False for every feature before cpu_early_init(). */
bool cpu_has(enum cpu_feature feature);

/* The feature's usual name, in lower case: "smep". */
const char *cpu_feature_name(enum cpu_feature feature);

#define CPU_NAME_BYTES 49

/*
 * Writes the processor's brand string, or vendor where it has none, without leading blanks. NUL-terminated.
 */
void cpu_name(char name[CPU_NAME_BYTES]);

/*
 * Width of physical and of virtual addresses in bits (CPUID leaf 0x80000008; 36 and 48 where it is missing).
 */
unsigned cpu_physical_address_bits(void);
unsigned cpu_virtual_address_bits(void);
