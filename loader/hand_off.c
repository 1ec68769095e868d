/* Into the kernel: page tables, stack and CPU state as <ashlar/boot_info.h> promises. */
#include <ashlar/command_line.h>
#include <ashlar/string.h>

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
static void trampoline_prepare(const struct loader *loader)
{
    memcpy(loader->trampoline, la57_start, (size_t)(la57_end - la57_start));
    uint64_t gdt = (uintptr_t)copied(loader, la57_gdt);
    memcpy(copied(loader, la57_gdt_pointer) + 2, &gdt, sizeof gdt);
    patch32(loader, la57_far_32, la57_code_32);
    patch32(loader, la57_far_64, la57_code_64);
    memcpy(copied(loader, la57_hand_off), &loader->hand_off, sizeof loader->hand_off);
}

/*
 * loader-fault=stack-guard: the kernel is entered on an empty stack, and the first push meets the guard page.
 */
static bool overflow_asked(const struct loader *loader)
{
    char fault[16] = "";
    return command_line_get(loader->command_line, "loader-fault", fault, sizeof fault) &&
           strcmp(fault, "stack-guard") == 0;
}

bool hand_off_prepare(struct loader *loader)
{
    const struct boot_info *info = loader->info;
    loader->hand_off = (struct hand_off){
        .root = info->paging.root.raw,
        .stack_top = info->kernel.stack_bottom.raw + (overflow_asked(loader) ? 0 : info->kernel.stack_bytes),
        .entry = loader->kernel.entry + info->kernel.slide,
        .boot_info = info->paging.physmap.raw + loader->info_base.raw,
        .cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT,
        .trampoline = (uintptr_t)loader->trampoline,
    };
    if (!loader->trampoline) {
        return true;
    }
    trampoline_prepare(loader);
    return code_page_protect(loader);
}
