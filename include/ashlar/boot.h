/*
 * What the loader handed over, checked once and kept for the life of the kernel.
 */
#pragma once

#include <ashlar/boot_info.h>

/*
 * Checks magic, version and size of `info`. Returns NULL when the kernel understands it, else a sentence
 * fragment that says what is wrong.
 */
const char *boot_info_check(const struct boot_info *info);

/* Keeps `info` for boot_info(). Once, before all else in this header. */
void boot_info_keep(const struct boot_info *info);

/* The structure the loader handed over; valid after boot_info_keep(). */
const struct boot_info *boot_info(void);

/* The address at which the physmap shows the byte at `address`, which must be in RAM that it maps. */
void *physmap_pointer(phys_addr_t address);

/* The normalised memory map; *count becomes the number of its ranges. */
const struct memory_range *boot_memory_map(size_t *count);

/*
 * Whether the map gives all of `bytes` bytes at `base` the type MEMORY_BOOT_INFO, as it does for what
 * boot_info refers to.
 */
bool boot_info_holds(phys_addr_t base, uint64_t bytes);

/* The kernel command line, NUL-terminated; see <ashlar/command_line.h>. */
const char *boot_command_line(void);
