/*
 * What the loader handed over, checked once and kept for the life of the kernel.
 */
#pragma once

#include <ashlar/boot_info.h>

/*
 * Checks magic, version and size of `info`. Returns NULL when the kernel understands it, else what is wrong,
 * in words for a person.
 */
const char *boot_info_check(const struct boot_info *info);

/* Remembers what boot_info() returns. Once, first of all. */
void boot_info_keep(const struct boot_info *info);

/* The structure the loader handed over; valid from the start of kernel_main(). */
const struct boot_info *boot_info(void);

/* Where physical memory is seen: the physmap alias of `address`, which is RAM. */
void *physmap_pointer(phys_addr_t address);

/* The normalised memory map. */
const struct memory_range *boot_memory_map(size_t *count);

/* The kernel command line, NUL-terminated; see <ashlar/command_line.h>. */
const char *boot_command_line(void);
