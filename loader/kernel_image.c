/* The kernel: checked, placed in physical memory, relocated to where it will run. */
#include <ashlar/command_line.h>
#include <ashlar/layout.h>
#include <ashlar/memory_type.h>
#include <ashlar/string.h>

#include "loader.h"
#include "loader/portable/checksum.h"

extern const uint8_t embedded_kernel[];
extern const uint8_t embedded_kernel_end[];
extern const uint8_t embedded_kernel_checksum[]; /* 8 bytes, made by the build */

/* The missing end of a truncated file is read as zeros, and a flipped bit as another instruction. */
static bool check_undamaged(struct loader *loader, size_t bytes)
{
    uint64_t built;
    memcpy(&built, embedded_kernel_checksum, sizeof built);
    uint64_t found = checksum(embedded_kernel, bytes);
    return found == built || step_fail(loader, EFI_CRC_ERROR,
                                       "the kernel in this file is damaged: checksum %#" PRIx64
                                       ", not %#" PRIx64 " as built; copy it anew",
                                       found, built);
}

/* How far the image is moved up from its link address: a random multiple of a page that keeps it below
 * IMAGE_END. */
static uint64_t choose_slide(struct loader *loader)
{
    if (command_line_has(loader->command_line, "nokaslr")) {
        return 0;
    }
    uint64_t room = IMAGE_END - loader->kernel.base - loader->kernel.bytes;
    return seed_random(loader, room / FRAME_BYTES + 1) * FRAME_BYTES;
}

/* The name of a segment in the message that there is no memory for it. */
static const char *segment_name(uint32_t flags)
{
    return flags & BOOT_SEGMENT_EXECUTE ? "kernel code"
           : flags & BOOT_SEGMENT_WRITE ? "kernel data"
                                        : "kernel constants";
}

/* With less RAM than this the kernel's tests are left out unless somebody asks for them. */
#define TESTS_MEMORY MIB(384)

/* Whether the optional segments, which hold the kernel's tests, shall be in memory. */
static bool wants_tests(const struct loader *loader)
{
    char answer[4] = "";
    uint64_t totals[MEMORY_TYPE_COUNT];
    uint64_t ram = 0;
    if (command_line_has(loader->command_line, "selftest")) {
        return true;
    }
    if (command_line_get(loader->command_line, "tests", answer, sizeof answer)) {
        return strcmp(answer, "off") != 0;
    }
    memory_ranges_totals(loader->ranges, loader->range_count, totals);
    for (unsigned type = 0; memory_type_is_ram(type); type++) {
        ram += totals[type];
    }
    return ram >= TESTS_MEMORY;
}

/* Each segment has a stretch of its own: a small machine's free memory is in pieces. */
static bool place_segments(struct loader *loader, struct boot_kernel *out, uint8_t *memory[BOOT_SEGMENTS_MAX])
{
    const struct kernel_elf *elf = &loader->kernel;
    bool tests = wants_tests(loader);
    for (size_t i = 0; i < elf->segment_count; i++) {
        const struct kernel_elf_segment *segment = &elf->segments[i];
        struct boot_segment *placed = &out->segments[out->segment_count];
        memory[i] = NULL;
        if (segment->optional && !tests) {
            continue;
        }
        *placed = (struct boot_segment){
            .virtual_base = virt_addr(segment->address + out->slide),
            .bytes = kernel_elf_segment_bytes(segment),
            .flags = segment->flags,
        };
        if (!loader_allocate(loader, placed->bytes, MEMORY_KERNEL, 0, segment_name(segment->flags),
                             &placed->physical_base)) {
            return false;
        }
        memory[i] = (uint8_t *)(uintptr_t)placed->physical_base.raw;
        out->segment_count++;
    }
    return true;
}

void kernel_image_release(struct loader *loader)
{
    uint64_t first = (uintptr_t)embedded_kernel;
    uint64_t end =
        align_up((uintptr_t)embedded_kernel_checksum, FRAME_BYTES); /* nothing else is in the section */
    /* If the list of claims is full, it stays boot memory, which the kernel gets a little later. */
    loader_claim(loader, phys_addr(first), end - first, MEMORY_USABLE);
}

bool kernel_image_load(struct loader *loader)
{
    struct boot_kernel *out = &loader->info->kernel;
    struct kernel_elf *elf = &loader->kernel;
    uint8_t *memory[BOOT_SEGMENTS_MAX];
    phys_addr_t stack;
    size_t bytes = (size_t)(embedded_kernel_end - embedded_kernel);
    if (!check_undamaged(loader, bytes)) {
        return false;
    }
    loader->status = EFI_LOAD_ERROR;
    if (!kernel_elf_parse(embedded_kernel, bytes, elf, &loader->error)) {
        return false;
    }
    out->slide = choose_slide(loader);
    out->virtual_base = virt_addr(elf->base + out->slide);
    out->bytes = elf->bytes;
    out->stack_bottom = virt_addr(BOOT_STACK_BASE + FRAME_BYTES);
    out->stack_bytes = BOOT_STACK_BYTES;
    if (!place_segments(loader, out, memory) ||
        !loader_allocate(loader, BOOT_STACK_BYTES, MEMORY_KERNEL, 0, "the boot stack", &stack)) {
        return false;
    }
    loader->stack_memory = (void *)(uintptr_t)stack.raw;
    loader->status = EFI_LOAD_ERROR;
    return kernel_elf_load(elf, memory, out->slide, &loader->error);
}
