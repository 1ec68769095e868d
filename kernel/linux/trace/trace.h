/*
 * Watching the system calls of processes: a line for each on the console, when it has returned.
 *
 * Who watches exchanges the function that the system call entry calls (system_call_set_handler()): while
 * nobody does, a call costs not one instruction more. Children of a process that is watched are watched, too.
 */
#pragma once

#include <ashlar/types.h>

/* From now on processes with `traced` set are watched; the second ends that. They nest. */
void trace_begin(void);
void trace_end(void);

/* Watches a process, or does no longer; false: there is none. */
bool trace_set(uint32_t number, bool traced);
