/*
 * The kernel's own memory: its pool of physical frames.
 */
#pragma once

#include <ashlar/frame.h>

/*
 * Makes the kernel's frame pool from the memory map the loader handed over; panics when the machine has no
 * memory for it. Once, by the boot CPU, before anything that allocates. Memory the firmware's boot services
 * used stays theirs.
 */
void memory_start(const struct boot_info *info);

/* Takes over what the firmware's boot services and the loader used, once nothing of it is needed any more. */
void memory_reclaim_boot(const struct boot_info *info);

/* The kernel's frames; valid after memory_start(). */
struct frame_pool *kernel_frames(void);
