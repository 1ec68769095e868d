/* Model-specific registers: SDM volume 4. */
#pragma once

#include <ashlar/types.h>

#define MSR_APIC_BASE      0x1b
#define MSR_SYSENTER_CS    0x174
#define MSR_MISC_ENABLE    0x1a0 /* Intel only */
#define MSR_PAT            0x277
#define MSR_EFER           0xc0000080
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_SYSCALL_MASK   0xc0000084
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102 /* exchanged with GS_BASE by swapgs */
#define MSR_TSC_AUX        0xc0000103 /* what RDTSCP tells beside the time: the CPU's number */

#define EFER_SYSCALL     ((uint64_t)1 << 0)
#define EFER_LONG_MODE   ((uint64_t)1 << 8)
#define EFER_LONG_ACTIVE ((uint64_t)1 << 10)
#define EFER_NO_EXECUTE  ((uint64_t)1 << 11)

/* Reads a register that exists; one that does not raises #GP. */
static inline uint64_t msr_read(uint32_t index)
{
    uint32_t low;
    uint32_t high;
    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(index) : "memory");
    return (uint64_t)high << 32 | low;
}

static inline void msr_write(uint32_t index, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(index) : "memory");
}
