/* The kernel's private header: what main.c calls of its own room. */
#pragma once

#include <ashlar/boot_info.h>

/* Entered from arch/x86_64/entry.S on the boot stack; does not return. */
_Noreturn void kernel_main(const struct boot_info *info);

/* Remembers what boot_info() returns. */
void boot_info_keep(const struct boot_info *info);

/* Makes the kernel's heap on its frames, with the debug rules of the command line; panics without memory. */
void heap_start(const struct boot_info *info);

/* Opens the serial port and the screen, as far as they exist and the command line wants them. */
void consoles_start(void);

/* Prints who we are and what we run on: version, CPU, firmware, paging, memory map, timeline. */
void banner_print(void);
