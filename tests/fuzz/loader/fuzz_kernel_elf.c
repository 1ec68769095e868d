/*
 * Kernel files that libFuzzer makes: parsing reads nothing outside the file, and what is accepted loads
 * inside the memory it asked for. The seed (corpus/kernel_elf) is a sound file, so that mutation starts
 * behind the first checks.
 */
#include "loader/portable/kernel_elf.h"
#include <ashlar/layout.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/require.h"

#define LARGEST ((uint64_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What parsing promises, looked at without its code. */
static void check_promises(const struct kernel_elf *elf)
{
    bool entry_found = false;
    uint64_t end = elf->base;
    require(elf->segment_count > 0 && elf->segment_count <= BOOT_SEGMENTS_MAX);
    for (size_t i = 0; i < elf->segment_count; i++) {
        const struct kernel_elf_segment *segment = &elf->segments[i];
        require(segment->address >= end && segment->address % FRAME_BYTES == 0);
        require(segment->flags != (BOOT_SEGMENT_WRITE | BOOT_SEGMENT_EXECUTE));
        end = align_up(segment->address + segment->memory_bytes, FRAME_BYTES);
        entry_found |= segment->flags == BOOT_SEGMENT_EXECUTE && !segment->optional &&
                       elf->entry >= segment->address && elf->entry < end;
    }
    require(entry_found && elf->base >= IMAGE_BASE && end <= IMAGE_END && elf->base + elf->bytes == end);
}

/* Each segment in memory of its own, so that the address sanitizer sees a byte written next to it. */
static void load(const struct kernel_elf *elf, bool whole)
{
    struct loader_error error;
    uint8_t *memory[BOOT_SEGMENTS_MAX];
    for (size_t i = 0; i < elf->segment_count; i++) {
        bool there = whole || !elf->segments[i].optional;
        memory[i] = there ? aligned_alloc(FRAME_BYTES, kernel_elf_segment_bytes(&elf->segments[i])) : NULL;
        require(memory[i] || !there);
    }
    require(kernel_elf_load(elf, memory, 0, &error));
    for (size_t i = 0; i < elf->segment_count; i++) {
        free(memory[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct loader_error error;
    struct kernel_elf elf;
    if (!kernel_elf_parse(data, size, &elf, &error)) {
        require(strlen(error.text) > 0);
        return 0;
    }
    check_promises(&elf);
    if (elf.bytes <= LARGEST) {
        load(&elf, true);
        load(&elf, false);
    }
    return 0;
}
