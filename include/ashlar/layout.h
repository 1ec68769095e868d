/*
 * The rooms of kernel virtual memory (docs/architecture.md), 4-level addresses; with 5 levels the same rooms
 * lie at the same addresses, because they all are in the top half that both formats share.
 */
#pragma once

#include <ashlar/types.h>

#define PHYSMAP_BASE     UINT64_C(0xffff800000000000) /* + a random multiple of 1 GiB */
#define PHYSMAP_END      UINT64_C(0xffffc00000000000) /* 64 TiB of room */
#define DESCRIPTORS_BASE UINT64_C(0xffffc00000000000) /* frame descriptors, a sparse array */
#define ARENA_BASE       UINT64_C(0xffffd00000000000) /* stacks, vmalloc, MMIO */
#define ARENA_END        UINT64_C(0xffffe00000000000)
#define LAZY_BASE        UINT64_C(0xffffe00000000000) /* filled by the page fault (<ashlar/vm_kernel.h>) */
#define LAZY_END         UINT64_C(0xffffe80000000000)

/*
 * The entry of the root table that names the root itself while somebody looks through it. With 5 levels it
 * covers addresses below all other rooms, which are used for nothing else.
 */
#define RECURSIVE_SLOT 510

#define BOOT_STACK_BASE UINT64_C(0xffffff8000000000) /* boot stack, above one unmapped page */
#define BOOT_VIDEO_BASE UINT64_C(0xffffff8040000000) /* framebuffer as the loader mapped it */
#define IMAGE_BASE      UINT64_C(0xffffffff80000000) /* kernel's link address; + a multiple of 4 KiB */
#define IMAGE_END       UINT64_C(0xffffffffc0000000) /* the slid image ends below */

/* Slots for temporary mappings, two pages for each CPU: room for 65,536 CPUs. */
#define TEMPORARY_BASE  UINT64_C(0xffffffffc0000000)
#define TEMPORARY_BYTES MIB(512)
