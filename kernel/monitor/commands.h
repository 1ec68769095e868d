/* The monitor's private header: the table of commands, for those that show or search it. */
#pragma once

#include "kernel/lib/monitor/parse.h"

/* All commands that the linker found. */
struct monitor_table monitor_commands(void);
