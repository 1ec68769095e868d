/*
 * Firmware that runs with 5-level paging: its own 4-level tables below one entry of a table above them (SDM
 * volume 3, 4.5.2). The switch stays: a case with it boots.
 */
#include "hostile.h"
#include <ashlar/string.h>

#define CR4_LA57      (1ULL << 12)
#define CPUID_7_LA57  (1U << 16) /* leaf 7, ECX */
#define ENTRY_PRESENT 3          /* and writable */

/* levels_switch.S: copied to a page below 4 GiB and called there. */
extern const uint8_t levels_switch[];
extern const uint8_t levels_switch_end[];
typedef void EFIAPI switch_function(uint64_t base, uint64_t root);

static uint64_t cr3_read(void)
{
    uint64_t value;
    __asm__ volatile("movq %%cr3, %0" : "=r"(value));
    return value;
}

static uint64_t cr4_read(void)
{
    uint64_t value;
    __asm__ volatile("movq %%cr4, %0" : "=r"(value));
    return value;
}

static bool cpu_has_la57(void)
{
    uint32_t a = 7;
    uint32_t b;
    uint32_t c = 0;
    uint32_t d;
    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return c & CPUID_7_LA57;
}

EFI_STATUS levels_begin(void)
{
    EFI_PHYSICAL_ADDRESS pages = UINT32_MAX; /* one for the code, one for the table */
    if (current->levels != 5) {
        return EFI_SUCCESS;
    }
    if (!cpu_has_la57()) {
        return EFI_UNSUPPORTED;
    }
    EFI_STATUS status = firmware->AllocatePages(AllocateMaxAddress, EfiBootServicesCode, 2, &pages);
    if (EFI_ERROR(status)) {
        return status;
    }
    uint64_t *root = (uint64_t *)(uintptr_t)(pages + FRAME_BYTES);
    memset(root, 0, FRAME_BYTES);
    root[0] = cr3_read() | ENTRY_PRESENT;
    memcpy((void *)(uintptr_t)pages, levels_switch, (size_t)(levels_switch_end - levels_switch));
    switch_function *call = (switch_function *)(uintptr_t)pages;
    call(pages, (uintptr_t)root);
    say("levels %s la57=%u", current->name, (cr4_read() & CR4_LA57) != 0);
    return EFI_SUCCESS;
}
