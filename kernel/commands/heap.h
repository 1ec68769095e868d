/* The parts of the monitor command `heap`; heap.c dispatches. */
#pragma once

#include <ashlar/monitor.h>

/* `heap ADDRESS`: what a pointer is. */
void heap_show_pointer(struct monitor_call *call, uint64_t address);

/* `heap leaks`: blocks that nothing points to. */
void heap_show_leaks(struct monitor_call *call);

/* `heap who`: bytes by who allocated them. */
void heap_show_sites(struct monitor_call *call);
