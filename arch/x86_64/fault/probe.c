/*
 * Memory probes, and page-table walks of the running machine; see <ashlar/trap.h>.
 *
 * Only memory may be probed: reading a device's register can have effects. A probe that fails costs a page
 * fault and a search of the fixup table, nothing else.
 */
#include <ashlar/boot.h>
#include <ashlar/trap.h>
#include <x86/control_registers.h>
#include <x86/cpuid.h>

#include "decode.h"
#include "probe.h"

uint64_t probe_copy(void *destination, const void *source, uint64_t bytes);

bool memory_try_read(void *destination, virt_addr_t source, size_t bytes)
{
    return probe_copy(destination, virt_pointer(source), bytes) == 0;
}

bool memory_try_write(virt_addr_t destination, const void *source, size_t bytes)
{
    return probe_copy(virt_pointer(destination), source, bytes) == 0;
}

/* Reads the entry in the physmap, by a probe, because damaged tables may lead anywhere. */
static bool read_entry(void *physmap, virt_addr_t address, struct page_walk_step *step)
{
    const virt_addr_t *base = physmap;
    (void)address;
    return memory_try_read(&step->entry, virt_add(*base, page_walk_entry_at(step).raw), sizeof step->entry);
}

struct page_walk page_walk_current(virt_addr_t address)
{
    virt_addr_t physmap = boot_info()->paging.physmap;
    unsigned levels = cr4_read() & CR4_LA57 ? PAGE_LEVEL_PML5 : PAGE_LEVEL_PML4;
    return page_walk(read_entry, &physmap, phys_addr(cr3_read() & CR3_ADDRESS_MASK), levels,
                     cpu_physical_address_bits(), address);
}

uint64_t *page_walk_leaf(const struct page_walk *walk)
{
    if (walk->end != WALK_MAPPED) {
        return NULL;
    }
    return physmap_pointer(page_walk_entry_at(&walk->steps[walk->step_count - 1]));
}
