/* Parts of the monitor command vm. */
#pragma once

#include <ashlar/monitor.h>

/* vm frame ADDRESS: which pages show the frame at a physical address. */
void command_vm_frame(struct monitor_call *call, uint64_t address);
