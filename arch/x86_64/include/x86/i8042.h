/* The PS/2 keyboard controller (8042 and what imitates it). No wait is endless. */
#pragma once

#include <ashlar/types.h>

/*
 * Tests the controller and the keyboard at it and lets its interrupt (legacy interrupt 1) through.
 * *translates says whether set 1 arrives, else set 2. Returns false when there is no controller or no
 * keyboard. After clock_initialise().
 */
bool i8042_initialise(bool *translates);

/* Takes one waiting code of the keyboard; returns whether there was one. */
bool i8042_take(uint8_t *code);

/* Asks the controller to reset the machine. Returns when it does not. */
void i8042_pulse_reset(void);
