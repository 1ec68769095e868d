/* Timers that are files; see timer_file.c. */
#pragma once

/* The time of day was set: those that wait for a moment of it are to be looked at anew. */
void timer_files_clock_set(void);
