/*
 * The rooms of kernel virtual memory (docs/architecture.md), 4-level addresses; with 5 levels the same rooms
 * lie at the same addresses, because they all are in the top half that both formats share.
 */
#pragma once

#include <ashlar/types.h>

#define PHYSMAP_BASE     0xffff800000000000ULL /* + a random multiple of 1 GiB */
#define PHYSMAP_END      0xffffc00000000000ULL /* 64 TiB of room */
#define DESCRIPTORS_BASE 0xffffc00000000000ULL /* frame descriptors, a sparse array */
#define ARENA_BASE       0xffffd00000000000ULL /* stacks, vmalloc, MMIO */
#define ARENA_END        0xffffe00000000000ULL
#define LAZY_BASE        0xffffe00000000000ULL /* filled by the page fault (<ashlar/vm_kernel.h>) */
#define LAZY_END         0xffffe80000000000ULL
#define RECURSIVE_SLOT                                                                                       \
    510                                       /* entry of the root table that names the root itself, now and \
                                                 then; with 5 levels a room of its own below the top half */
#define BOOT_STACK_BASE 0xffffff8000000000ULL /* boot stack, above one unmapped page */
#define BOOT_VIDEO_BASE 0xffffff8040000000ULL /* framebuffer as the loader mapped it */
#define IMAGE_BASE      0xffffffff80000000ULL /* kernel image, link address; + a random multiple of 4 KiB */
#define IMAGE_END       0xffffffffc0000000ULL /* the slid image ends below */
#define TEMPORARY_BASE                                                                                       \
    0xffffffffc0000000ULL /* slots for temporary mappings, for each CPU; one table's room */
#define TEMPORARY_BYTES MIB(2)
