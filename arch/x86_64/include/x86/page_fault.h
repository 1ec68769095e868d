/*
 * Page faults that an address space may resolve. The test comes first at every page fault and is a few
 * instructions, so that all others (probes, handlers, panics) pay next to nothing for it.
 */
#pragma once

#include <ashlar/layout.h>
#include <x86/per_cpu.h>

/* Whether some space may have a region at `address`: the kernel's lazily filled range, or the user half while
 * a user space is loaded. */
static inline bool page_fault_may_be_resolved(const struct per_cpu *cpu, virt_addr_t address)
{
    if ((int64_t)address.raw >= 0) {
        return cpu->space != NULL;
    }
    return address.raw - LAZY_BASE < LAZY_END - LAZY_BASE;
}
