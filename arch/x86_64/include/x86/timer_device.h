/* The device behind <ashlar/clock.h>'s timers: the local APIC's timer of each CPU. */
#pragma once

#include <ashlar/types.h>

/* Sets the rates, in hertz, of the local APIC's timer (0: there is none) and of the time-stamp counter. */
void timer_device_set_rates(uint64_t timer_hertz, uint64_t tsc_hertz);

/* Prepares it and names the function that its interrupt calls. Returns false when there is none. */
bool timer_device_initialise(void (*expired)(void));

/* Prepares the device of another CPU, on itself. After timer_device_initialise(). */
void timer_device_start(void);

/*
 * Makes the device raise its interrupt in `nanoseconds` or a little later, or earlier when the device cannot
 * count that far. 0: at once. Replaces what it was armed for before.
 */
void timer_device_arm(uint64_t nanoseconds);

/* Keeps the device from raising its interrupt until it is armed again. */
void timer_device_disarm(void);

/*
 * For who has used the local APIC's timer for something else (clock_measure()): makes the device of this CPU
 * what it was, armed for the same moment, or at once if that has passed. Interrupts are off.
 */
void timer_device_restore(void);

/* "tsc-deadline", "one-shot" or "none". */
const char *timer_device_name(void);
