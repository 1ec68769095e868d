/* Parts of the monitor commands that run programs. */
#pragma once

#include <ashlar/monitor.h>

/* run PROGRAM ARGUMENT...; traced: and shows its system calls. */
void command_run(struct monitor_call *call, bool traced);
