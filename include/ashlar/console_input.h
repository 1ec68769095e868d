/* Who waits for the console's input. */
#pragma once

#include <ashlar/wait.h>

/* ctrl-]: leads from a program's terminal to the monitor, and back. */
#define CONSOLE_SWITCH_KEY 0x1d

/* The queue of those who wait for a byte from console_read(). */
extern struct wait_queue console_readers;

/* `arrived` is called besides, in the context of who has the input. One for all. */
void console_input_watch(void (*arrived)(void));

/* Wakes them: there may be something to read. By inputs, also in interrupt handlers. */
void console_input_arrived(void);
