/* Into the kernel: page tables, stack and CPU state as <ashlar/boot_info.h> promises. */
#include "hand_off.h"

#include <ashlar/string.h>

#include "gap_faults.h"
#include "loader.h"

/* CR4 bits the kernel starts with: it turns on what else it wants. */
#define CR4_PAE        (1ULL << 5)
#define CR4_OSFXSR     (1ULL << 9) /* the firmware's runtime services use SSE */
#define CR4_OSXMMEXCPT (1ULL << 10)

static uint8_t *copied(const struct loader *loader, const uint8_t *part)
{
    return (uint8_t *)loader->trampoline + (part - la57_start);
}

static void patch32(const struct loader *loader, const uint8_t *where, const uint8_t *target)
{
    uint32_t address = (uint32_t)(uintptr_t)copied(loader, target);
    memcpy(copied(loader, where), &address, sizeof address);
}

/* Copies the switch to 5 levels to its page and fills in where that is. */
static void trampoline_prepare(const struct loader *loader, const struct hand_off *hand_off)
{
    memcpy(loader->trampoline, la57_start, (size_t)(la57_end - la57_start));
    uint64_t gdt = (uintptr_t)copied(loader, la57_gdt);
    memcpy(copied(loader, la57_gdt_pointer) + 2, &gdt, sizeof gdt);
    patch32(loader, la57_far_32, la57_code_32);
    patch32(loader, la57_far_64, la57_code_64);
    memcpy(copied(loader, la57_hand_off), hand_off, sizeof *hand_off);
}

_Noreturn void hand_off(struct loader *loader)
{
    const struct boot_info *info = loader->info;
    const struct hand_off values = {
        .root = info->paging.root.raw,
        .stack_top = info->kernel.stack_bottom.raw + info->kernel.stack_bytes,
        .entry = loader->kernel.entry + info->kernel.slide,
        .boot_info = info->paging.physmap.raw + loader->info_base.raw,
        .cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT,
        .trampoline = (uintptr_t)loader->trampoline,
    };
    if (loader->trampoline) {
        trampoline_prepare(loader, &values);
    }
    gap_faults_tables(info->paging.root, info->paging.physmap.raw);
    kernel_enter(&values);
}
