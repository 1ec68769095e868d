/* The PS/2 keyboard controller: the 8042 and compatible ones. Every wait has a time limit. */
#pragma once

#include <ashlar/types.h>

/*
 * Tests the controller and its keyboard and makes it raise its interrupt (legacy interrupt 1). *translates
 * says whether scan codes arrive as set 1; if not, they are of set 2. Returns false when there is no
 * controller or no keyboard. After clock_initialise().
 */
bool i8042_initialise(bool *translates);

/* Takes one waiting code of the keyboard; returns whether there was one. */
bool i8042_take(uint8_t *code);

/* Asks the controller to reset the machine. Returns at once; the reset may still follow. */
void i8042_pulse_reset(void);
