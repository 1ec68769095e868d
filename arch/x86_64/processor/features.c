/*
 * Which features the CPU has, and control registers set to known values, whatever the firmware left.
 *
 * What is on: write protection in supervisor mode, no-execute, SMEP, SMAP and UMIP where the CPU has them,
 * global pages, PCID, machine checks, FXSR and XSAVE (firmware and user mode use vectors), SYSCALL.
 * Everything else is off until a subsystem needs it, such as CET, VMX, protection keys, SYSENTER, and above
 * all FSGSBASE: with it, user code could set the GS base, by whose sign arch/x86_64/trap/entry.S recognises
 * the kernel's. Only LA57 stays as it is: it cannot change in long mode.
 */
#include <ashlar/arch/page_table_entry.h>
#include <ashlar/string.h>
#include <x86/control_registers.h>
#include <x86/cpu.h>
#include <x86/msr.h>

#include "internal.h"

#define MSR_MICROCODE 0x8b

enum cpuid_register { EAX, EBX, ECX, EDX };

/* Where each feature is announced: SDM volume 2, CPUID; AMD volume 3, appendix E. */
static const struct {
    uint32_t leaf;
    uint8_t output; /* enum cpuid_register */
    uint8_t bit;
    const char *name;
} features[] = {
    [CPU_FEATURE_NX] = {0x80000001, EDX, 20, "nx"},
    [CPU_FEATURE_SMEP] = {7, EBX, 7, "smep"},
    [CPU_FEATURE_SMAP] = {7, EBX, 20, "smap"},
    [CPU_FEATURE_UMIP] = {7, ECX, 2, "umip"},
    [CPU_FEATURE_PGE] = {1, EDX, 13, "pge"},
    [CPU_FEATURE_PCID] = {1, ECX, 17, "pcid"},
    [CPU_FEATURE_INVPCID] = {7, EBX, 10, "invpcid"},
    [CPU_FEATURE_PAT] = {1, EDX, 16, "pat"},
    [CPU_FEATURE_PAGE_1GIB] = {0x80000001, EDX, 26, "pdpe1gb"},
    [CPU_FEATURE_LA57] = {7, ECX, 16, "la57"},
    [CPU_FEATURE_PKU] = {7, ECX, 3, "pku"},
    [CPU_FEATURE_FSGSBASE] = {7, EBX, 0, "fsgsbase"},
    [CPU_FEATURE_X2APIC] = {1, ECX, 21, "x2apic"},
    [CPU_FEATURE_TSC_DEADLINE] = {1, ECX, 24, "tsc_deadline"},
    [CPU_FEATURE_INVARIANT_TSC] = {0x80000007, EDX, 8, "invariant_tsc"},
    [CPU_FEATURE_RDTSCP] = {0x80000001, EDX, 27, "rdtscp"},
    [CPU_FEATURE_RDRAND] = {1, ECX, 30, "rdrand"},
    [CPU_FEATURE_RDSEED] = {7, EBX, 18, "rdseed"},
    [CPU_FEATURE_ERMS] = {7, EBX, 9, "erms"},
    [CPU_FEATURE_FSRM] = {7, EDX, 4, "fsrm"},
    [CPU_FEATURE_XSAVE] = {1, ECX, 26, "xsave"},
    [CPU_FEATURE_POPCNT] = {1, ECX, 23, "popcnt"},
    [CPU_FEATURE_BMI1] = {7, EBX, 3, "bmi1"},
    [CPU_FEATURE_BMI2] = {7, EBX, 8, "bmi2"},
    [CPU_FEATURE_MCE] = {1, EDX, 7, "mce"},
    [CPU_FEATURE_HYPERVISOR] = {1, ECX, 31, "hypervisor"},
};

_Static_assert(ARRAY_LENGTH(features) == CPU_FEATURE_COUNT, "every feature has a row");

static bool present[CPU_FEATURE_COUNT];

/* CPUID's `leaf`, subleaf 0, or zeros when the CPU has no such leaf. */
static struct cpuid cpuid_checked(uint32_t leaf)
{
    uint32_t highest = cpuid(leaf & 0x80000000U, 0).eax;
    return leaf <= highest ? cpuid(leaf, 0) : (struct cpuid){0, 0, 0, 0};
}

static bool this_cpu_has(size_t feature)
{
    struct cpuid result = cpuid_checked(features[feature].leaf);
    const uint32_t outputs[] = {result.eax, result.ebx, result.ecx, result.edx};
    return outputs[features[feature].output] >> features[feature].bit & 1;
}

void cpu_features_find(void)
{
    for (size_t i = 0; i < CPU_FEATURE_COUNT; i++) {
        present[i] = this_cpu_has(i);
    }
}

uint64_t cpu_features_lacking(void)
{
    uint64_t lacking = 0;
    for (size_t i = 0; i < CPU_FEATURE_COUNT; i++) {
        lacking |= (uint64_t)(present[i] && !this_cpu_has(i)) << i;
    }
    return lacking;
}

uint64_t cpu_features_needed(void)
{
    static const enum cpu_feature needed[] = {
        CPU_FEATURE_NX,        CPU_FEATURE_SMEP, CPU_FEATURE_SMAP,        CPU_FEATURE_UMIP,
        CPU_FEATURE_PGE,       CPU_FEATURE_PCID, CPU_FEATURE_PAT,         CPU_FEATURE_INVPCID,
        CPU_FEATURE_PAGE_1GIB, CPU_FEATURE_MCE,  CPU_FEATURE_TSC_DEADLINE};
    uint64_t mask = 0;
    for (size_t i = 0; i < ARRAY_LENGTH(needed); i++) {
        mask |= 1ULL << needed[i];
    }
    return mask;
}

static void copy_words(char *to, const uint32_t *words, size_t count)
{
    memcpy(to, words, count * sizeof *words);
}

/* Intel's is read after a CPUID, and after 0 was written (SDM volume 3, 9.11.7.1); AMD's only read. */
uint64_t cpu_microcode(void)
{
    char vendor[13] = "";
    struct cpuid leaf = cpuid(0, 0);
    copy_words(vendor, (const uint32_t[]){leaf.ebx, leaf.edx, leaf.ecx}, 3);
    if (strcmp(vendor, "GenuineIntel") == 0) {
        msr_write(MSR_MICROCODE, 0);
        cpuid(1, 0);
        return msr_read(MSR_MICROCODE) >> 32;
    }
    return strcmp(vendor, "AuthenticAMD") == 0 ? msr_read(MSR_MICROCODE) & UINT32_MAX : 0;
}

bool cpu_has(enum cpu_feature feature)
{
    return present[feature];
}

const char *cpu_feature_name(enum cpu_feature feature)
{
    return features[feature].name;
}

void cpu_name(char name[CPU_NAME_BYTES])
{
    memset(name, 0, CPU_NAME_BYTES);
    if (cpuid(0x80000000U, 0).eax >= 0x80000004U) {
        for (uint32_t part = 0; part < 3; part++) {
            struct cpuid text = cpuid(0x80000002U + part, 0);
            copy_words(name + (size_t)part * 16, (const uint32_t[]){text.eax, text.ebx, text.ecx, text.edx},
                       4);
        }
    } else {
        struct cpuid vendor = cpuid(0, 0);
        copy_words(name, (const uint32_t[]){vendor.ebx, vendor.edx, vendor.ecx}, 3);
    }
    size_t blanks = 0;
    while (name[blanks] == ' ') {
        blanks++;
    }
    memmove(name, name + blanks, CPU_NAME_BYTES - blanks);
}

unsigned cpu_physical_address_bits(void)
{
    unsigned bits = cpuid_checked(0x80000008U).eax & 0xff;
    return bits ? bits : 36;
}

unsigned cpu_virtual_address_bits(void)
{
    unsigned bits = cpuid_checked(0x80000008U).eax >> 8 & 0xff;
    return bits ? bits : 48;
}

static uint64_t if_present(enum cpu_feature feature, uint64_t bits)
{
    return cpu_has(feature) ? bits : 0;
}

struct cpu_control cpu_control_wanted(void)
{
    return (struct cpu_control){
        .cr0 = CR0_PROTECTED | CR0_MONITOR_FPU | CR0_EXTENSION_TYPE | CR0_NUMERIC_ERROR | CR0_WRITE_PROTECT |
               CR0_ALIGNMENT_MASK | CR0_PAGING,
        .cr4 = CR4_DEBUGGING | CR4_PAE | CR4_FXSR | CR4_SIMD_EXCEPTIONS | (cr4_read() & CR4_LA57) |
               if_present(CPU_FEATURE_MCE, CR4_MACHINE_CHECK) |
               if_present(CPU_FEATURE_PGE, CR4_GLOBAL_PAGES) | if_present(CPU_FEATURE_UMIP, CR4_UMIP) |
               if_present(CPU_FEATURE_PCID, CR4_PCID) | if_present(CPU_FEATURE_SMEP, CR4_SMEP) |
               if_present(CPU_FEATURE_SMAP, CR4_SMAP) | if_present(CPU_FEATURE_XSAVE, CR4_XSAVE),
        .efer =
            EFER_SYSCALL | EFER_LONG_MODE | EFER_LONG_ACTIVE | if_present(CPU_FEATURE_NX, EFER_NO_EXECUTE),
        .pat = if_present(CPU_FEATURE_PAT, PAGE_ATTRIBUTE_TABLE),
    };
}

struct cpu_control cpu_control_actual(void)
{
    return (struct cpu_control){
        .cr0 = cr0_read(),
        .cr4 = cr4_read(),
        .efer = msr_read(MSR_EFER),
        .pat = cpu_has(CPU_FEATURE_PAT) ? msr_read(MSR_PAT) : 0,
    };
}

/*
 * EFER before CR4 before CR0: NX must be on while page tables use it, and CET must be off before CR0.WP may
 * be touched (SDM volume 3, 2.5). PCID can only be switched on while CR3 has PCID 0 (4.10.1), which loading
 * the masked CR3 ensures; that load and the toggling of global pages also drop all translations made with
 * another PAT.
 */
void cpu_control_set(void)
{
    struct cpu_control wanted = cpu_control_wanted();
    msr_write(MSR_EFER, wanted.efer);
    if (wanted.pat) {
        msr_write(MSR_PAT, wanted.pat);
    }
    cr4_write(wanted.cr4 & ~(CR4_PCID | CR4_GLOBAL_PAGES));
    cr3_write(cr3_read() & CR3_ADDRESS_MASK);
    cr4_write(wanted.cr4);
    cr0_write(wanted.cr0);
    __asm__ volatile("pushq $2; popfq" : : : "memory", "cc");
}
