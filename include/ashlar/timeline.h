/*
 * The timeline of start-up: named points in time-stamp counter ticks, the loader's first, then the kernel's.
 * Written and read by the boot CPU alone; there is no lock.
 */
#pragma once

#include <ashlar/boot_info.h>

/* Takes over the loader's points and begins the kernel's. */
void timeline_init(const struct boot_info *info);

/*
 * Adds a point for this moment. `name` is cut to BOOT_STAGE_NAME_BYTES - 1 bytes; when the timeline is full
 * nothing is added.
 */
void timeline_mark(const char *name);

/* The points so far, oldest first; ticks are counted from the first, which is 0.
 * index: below timeline_count(). */
unsigned timeline_count(void);
struct boot_stage timeline_point(unsigned index);
