/* The monitor's private header: its input ring and pager (input.c, output.c). */
#pragma once

#include <ashlar/types.h>

/* The next typed byte, or -1 when there is none now. */
int monitor_take_byte(void);

/* The next typed byte; waits for it with the CPU at rest. */
uint8_t monitor_wait_byte(void);

/* The next typed byte, or -1 when none comes within `nanoseconds`. Without a clock it does not wait. */
int monitor_wait_byte_for(uint64_t nanoseconds);

/* Whether something typed is waiting to be read. */
bool monitor_input_waits(void);

/* Puts bytes back, to be read before all others. What does not fit is lost. */
void monitor_unread(const uint8_t *bytes, size_t count);

/* Begins a command: nothing is interrupted, the page is empty. */
void monitor_input_begin(void);
void monitor_output_begin(void);

/* Stops the command, because q was pressed at the pager. */
void monitor_quit(void);

/* Whether ctrl-c stopped the command. */
bool monitor_was_cut_off(void);

/* When the pager stops: after a screenful on a terminal that answers, always, or never. */
enum pager_mode { PAGER_AUTO, PAGER_ON, PAGER_OFF, PAGER_MODE_COUNT };

/* Sets the mode; rows 0 leaves the height to the terminal's answer. */
void pager_set(enum pager_mode mode, unsigned rows);
enum pager_mode pager_mode(void);
const char *pager_mode_name(enum pager_mode mode);

/* Size of a page as the pager knows it. */
unsigned pager_rows(void);
unsigned pager_columns(void);
