/* The monitor's private header: the table of commands, for those that show or search it. */
#pragma once

#include "lib/monitor_parse.h"

/* All commands that the linker found. */
struct monitor_table monitor_commands(void);
