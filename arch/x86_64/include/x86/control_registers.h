/* Control registers: SDM volume 3, 2.5. */
#pragma once

#include <ashlar/types.h>

#define CR0_PROTECTED         ((uint64_t)1 << 0)
#define CR0_MONITOR_FPU       ((uint64_t)1 << 1)
#define CR0_EMULATE_FPU       ((uint64_t)1 << 2)
#define CR0_TASK_SWITCHED     ((uint64_t)1 << 3)
#define CR0_EXTENSION_TYPE    ((uint64_t)1 << 4)
#define CR0_NUMERIC_ERROR     ((uint64_t)1 << 5)
#define CR0_WRITE_PROTECT     ((uint64_t)1 << 16)
#define CR0_ALIGNMENT_MASK    ((uint64_t)1 << 18)
#define CR0_NOT_WRITE_THROUGH ((uint64_t)1 << 29)
#define CR0_CACHE_DISABLE     ((uint64_t)1 << 30)
#define CR0_PAGING            ((uint64_t)1 << 31)

#define CR4_DEBUGGING       ((uint64_t)1 << 3)
#define CR4_PAGE_SIZE       ((uint64_t)1 << 4)
#define CR4_PAE             ((uint64_t)1 << 5)
#define CR4_MACHINE_CHECK   ((uint64_t)1 << 6)
#define CR4_GLOBAL_PAGES    ((uint64_t)1 << 7)
#define CR4_FXSR            ((uint64_t)1 << 9)
#define CR4_SIMD_EXCEPTIONS ((uint64_t)1 << 10)
#define CR4_UMIP            ((uint64_t)1 << 11)
#define CR4_LA57            ((uint64_t)1 << 12)
#define CR4_FSGSBASE        ((uint64_t)1 << 16)
#define CR4_PCID            ((uint64_t)1 << 17)
#define CR4_XSAVE           ((uint64_t)1 << 18)
#define CR4_SMEP            ((uint64_t)1 << 20)
#define CR4_SMAP            ((uint64_t)1 << 21)
#define CR4_PROTECTION_KEYS ((uint64_t)1 << 22)
#define CR4_CET             ((uint64_t)1 << 23)

/* DR6, of a debug exception: it was a single step (SDM volume 3, 17.2.3). The CPU never clears it. */
#define DR6_STEP ((uint64_t)1 << 14)

/* CR3: the root table's address; with CR4_PCID the low 12 bits are the number of the address space, else
 * cache flags. */
#define CR3_ADDRESS_MASK 0x000ffffffffff000ULL
#define CR3_PCID_MASK    0xfffULL

#define CONTROL_REGISTER(name)                                                                               \
    static inline uint64_t name##_read(void)                                                                 \
    {                                                                                                        \
        uint64_t value;                                                                                      \
        __asm__ volatile("movq %%" #name ", %0" : "=r"(value) : : "memory");                                 \
        return value;                                                                                        \
    }                                                                                                        \
    static inline void name##_write(uint64_t value)                                                          \
    {                                                                                                        \
        __asm__ volatile("movq %0, %%" #name : : "r"(value) : "memory");                                     \
    }

CONTROL_REGISTER(cr0)
CONTROL_REGISTER(cr2)
CONTROL_REGISTER(cr3)
CONTROL_REGISTER(cr4)
CONTROL_REGISTER(dr6)
#undef CONTROL_REGISTER

/* Drops this CPU's translation of one page, global or not (SDM volume 3, 4.10.4.1). */
static inline void tlb_drop_page(virt_addr_t address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address.raw) : "memory");
}
