/* The kernel: checked, placed in physical memory, relocated to where it will run. */
#include <ashlar/command_line.h>
#include <ashlar/layout.h>

#include "loader.h"

extern const uint8_t embedded_kernel[];
extern const uint8_t embedded_kernel_end[];

/* How far the image is moved up from its link address: any page that leaves it inside its room. */
static uint64_t choose_slide(struct loader *loader)
{
    if (command_line_has(loader->command_line, "nokaslr")) {
        return 0;
    }
    uint64_t room = IMAGE_END - loader->kernel.base - loader->kernel.bytes;
    return seed_random(loader, room / FRAME_BYTES + 1) * FRAME_BYTES;
}

static void describe_segments(const struct loader *loader, struct boot_kernel *out)
{
    const struct kernel_elf *elf = &loader->kernel;
    out->segment_count = (uint32_t)elf->segment_count;
    for (size_t i = 0; i < elf->segment_count; i++) {
        const struct kernel_elf_segment *segment = &elf->segments[i];
        uint64_t first = align_down(segment->address, FRAME_BYTES);
        uint64_t end = align_up(segment->address + segment->memory_bytes, FRAME_BYTES);
        out->segments[i] = (struct boot_segment){
            .virtual_base = virt_addr(first + out->slide),
            .physical_base = phys_add(out->physical_base, first - elf->base),
            .bytes = end - first,
            .flags = segment->flags,
        };
    }
}

bool kernel_image_load(struct loader *loader)
{
    struct boot_kernel *out = &loader->info->kernel;
    struct kernel_elf *elf = &loader->kernel;
    phys_addr_t stack;
    loader->status = EFI_LOAD_ERROR;
    if (!kernel_elf_parse(embedded_kernel, (size_t)(embedded_kernel_end - embedded_kernel), elf,
                          &loader->error)) {
        return false;
    }
    if (!loader_allocate(loader, elf->bytes, MEMORY_KERNEL, 0, "the kernel image", &out->physical_base) ||
        !loader_allocate(loader, BOOT_STACK_BYTES, MEMORY_KERNEL, 0, "the boot stack", &stack)) {
        return false;
    }
    loader->kernel_memory = (void *)(uintptr_t)out->physical_base.raw;
    loader->stack_memory = (void *)(uintptr_t)stack.raw;
    out->slide = choose_slide(loader);
    out->virtual_base = virt_addr(elf->base + out->slide);
    out->bytes = elf->bytes;
    out->stack_bottom = virt_addr(BOOT_STACK_BASE + FRAME_BYTES);
    out->stack_bytes = BOOT_STACK_BYTES;
    describe_segments(loader, out);
    loader->status = EFI_LOAD_ERROR;
    return kernel_elf_load(elf, loader->kernel_memory, out->slide, &loader->error);
}
