/* The parts of the monitor command `frames`; frames.c dispatches. */
#pragma once

#include <ashlar/memory.h>
#include <ashlar/monitor.h>

/* `frames`: blocks by order, magazines, arenas. */
void frames_show_pool(struct monitor_call *call);

/* `frames map [owners]`: a picture of physical memory. */
void frames_show_map(struct monitor_call *call, bool owners);
