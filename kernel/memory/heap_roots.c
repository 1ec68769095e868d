/*
 * Where the leak scan of the kernel's heap begins: all memory outside the heap that may hold a pointer into
 * it. That is the kernel's data, the boot stack and all stacks in the arena, the blocks that others have from
 * vmalloc, and the frame descriptors, in which address spaces keep the chains of their reverse map.
 */
#include <ashlar/boot.h>
#include <ashlar/heap.h>
#include <ashlar/memory.h>
#include <ashlar/trap.h>

#include "kernel/kernel.h"

/* Searches pages that are mapped: guard pages and descriptors of untouched memory lie between them. */
static void add_pages(void *context, const void *base, uint64_t bytes)
{
    struct heap_scan *scan = context;
    uint64_t word;
    for (uint64_t at = 0; at < bytes; at += FRAME_BYTES) {
        const char *page = (const char *)base + at;
        if (memory_try_read(&word, virt_of(page), sizeof word)) {
            heap_scan_root(scan, page, FRAME_BYTES);
        }
    }
}

/* The descriptors of a range of the memory map: whole pages of them. */
static void add_descriptors(struct heap_scan *scan, const struct memory_range *range)
{
    const struct frame_descriptor *descriptors = kernel_frames()->descriptors;
    uint64_t first = align_down(range->base.raw >> FRAME_SHIFT, FRAME_DESCRIPTORS_PER_PAGE);
    uint64_t end = align_up((range->base.raw + range->bytes) >> FRAME_SHIFT, FRAME_DESCRIPTORS_PER_PAGE);
    add_pages(scan, &descriptors[first], (end - first) * sizeof *descriptors);
}

void heap_roots(void *context, struct heap_scan *scan)
{
    const struct boot_kernel *kernel = &boot_info()->kernel;
    const struct frame_config *frames = &kernel_frames()->config;
    (void)context;
    for (uint32_t i = 0; i < kernel->segment_count; i++) {
        if (kernel->segments[i].flags & BOOT_SEGMENT_WRITE) {
            add_pages(scan, virt_pointer(kernel->segments[i].virtual_base), kernel->segments[i].bytes);
        }
    }
    add_pages(scan, virt_pointer(kernel->stack_bottom), kernel->stack_bytes);
    addresses_each_block(add_pages, scan);
    for (uint32_t i = 0; i < frames->map_count; i++) {
        if (frames->map[i].type == MEMORY_USABLE || frames->map[i].type == MEMORY_BOOT_RECLAIMABLE) {
            add_descriptors(scan, &frames->map[i]);
        }
    }
}
