/*
 * The instructions that arch/x86_64/paging/tlb.c uses. Host tests compile that file too, with another header
 * of this name that drives a model of the MMU (tests/host/include).
 */
#pragma once

#include <x86/control_registers.h>

#define INVPCID_EVERYTHING 2 /* of all PCIDs, global translations too (SDM volume 2, INVPCID) */

static inline uint64_t read_cr3(void)
{
    return cr3_read();
}

static inline void write_cr3(uint64_t value)
{
    cr3_write(value);
}

static inline uint64_t read_cr4(void)
{
    return cr4_read();
}

static inline void write_cr4(uint64_t value)
{
    cr4_write(value);
}

static inline void invlpg(uint64_t address)
{
    tlb_drop_page(virt_addr(address));
}

static inline void invpcid_everything(void)
{
    const struct {
        uint64_t pcid;
        uint64_t address;
    } descriptor = {0, 0};
    __asm__ volatile("invpcid %0, %1" : : "m"(descriptor), "r"((uint64_t)INVPCID_EVERYTHING) : "memory");
}
