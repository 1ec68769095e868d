/* The parts of the monitor command `frames`; frames.c dispatches. */
#pragma once

#include <ashlar/memory.h>
#include <ashlar/monitor.h>

/* `frames`: blocks by order, magazines, arenas. */
void frames_show_pool(struct monitor_call *call);

/* Frames in the magazines of CPU `cpu` now; *capacity: how many they have room for. For other commands, too.
 */
uint64_t frames_in_magazines(const struct frame_pool *pool, unsigned cpu, uint64_t *capacity);

/* `frames map [owners]`: a picture of physical memory. */
void frames_show_map(struct monitor_call *call, bool owners);
