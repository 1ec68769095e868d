/*
 * Firmware that runs with 5-level paging: its own 4-level tables below one entry of a table above them (SDM
 * volume 3, 4.5.2). The switch stays: a case with it boots.
 *
 * It is made at the child's first call, and undone while the firmware ends its boot services: then, as when
 * it starts a child, it has all processors take part, with this one's CR4 and the tables that it made itself.
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

static EFI_PHYSICAL_ADDRESS pages; /* one for the code, one for the table; 0: there are 4 levels */
static uint64_t other_root;        /* of the tables that are not in force */

static bool make_pages(void)
{
    pages = UINT32_MAX;
    if (!cpu_has_la57() ||
        EFI_ERROR(firmware->AllocatePages(AllocateMaxAddress, EfiBootServicesCode, 2, &pages))) {
        pages = 0;
        return false;
    }
    uint64_t *root = (uint64_t *)(uintptr_t)(pages + FRAME_BYTES);
    memset(root, 0, FRAME_BYTES);
    root[0] = cr3_read() | ENTRY_PRESENT;
    other_root = (uintptr_t)root;
    memcpy((void *)(uintptr_t)pages, levels_switch, (size_t)(levels_switch_end - levels_switch));
    return true;
}

void levels_change(void)
{
    if (pages != 0) {
        switch_function *call = (switch_function *)(uintptr_t)pages;
        uint64_t root = cr3_read();
        call(pages, other_root);
        other_root = root;
    }
}

void levels_begin(void)
{
    static bool begun;
    if (begun || current->levels != 5) {
        return;
    }
    begun = true;
    if (make_pages()) {
        levels_change();
    }
    say("levels %s la57=%u", current->name, (cr4_read() & CR4_LA57) != 0);
}
