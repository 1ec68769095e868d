/*
 * Owners: who a frame of physical memory belongs to. Every byte the firmware's map names is either free or
 * has exactly one of these (see frame_pool_ledger() in <ashlar/frame.h>).
 *
 * To add one, add a line: names, accounts and the monitor follow.
 */
#pragma once

#include <ashlar/boot_info.h>
#include <ashlar/types.h>

/* clang-format off */
#define FRAME_OWNERS(X)                                                                                      \
    /* what the kernel uses frames for */                                                                    \
    X(KERNEL, "kernel image")             X(BOOT_INFO, "boot information")                                   \
    X(INITRD, "initrd")                                                                                      \
    X(BOOT_RECLAIMABLE, "boot services")  X(PAGE_TABLES, "page tables")                                      \
    X(DESCRIPTORS, "frame descriptors")   X(POOL, "allocator state")                                         \
    X(SLABS, "slabs")                     X(HEAP, "large heap blocks")                                       \
    X(VMALLOC, "virtual blocks")          X(STACKS, "stacks")                                                \
    X(KVA, "kernel address records")                                                                         \
    X(USER, "user memory")                X(CACHE, "files")                                                  \
    X(DMA, "device buffers")              X(CONSOLE, "console")                                              \
    X(TEST, "tests")                      X(OTHER, "other")                                                  \
    /* what the firmware keeps, and what is kept from use */                                                 \
    X(KEPT, "kept back")                  X(PERSISTENT, "persistent memory")                                 \
    X(ACPI_RECLAIMABLE, "ACPI tables")    X(ACPI_NVS, "ACPI NVS")                                            \
    X(RUNTIME, "runtime services")        X(MMIO, "device registers")                                        \
    X(RESERVED, "reserved")               X(UNUSABLE, "unusable")

#define FRAME_OWNER_ENUMERATOR(name, text) OWNER_##name,
enum frame_owner {
    FRAME_OWNERS(FRAME_OWNER_ENUMERATOR)
    OWNER_COUNT
};
#undef FRAME_OWNER_ENUMERATOR
/* clang-format on */

/* The owner's name for people, such as "page tables"; "unknown" for a number that is none. */
const char *frame_owner_name(unsigned owner);

/* The owner that memory of `type` has until the pool manages it; OWNER_KEPT for MEMORY_USABLE. */
enum frame_owner frame_owner_of_type(enum memory_type type);
