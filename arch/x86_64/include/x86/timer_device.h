/* The device behind <ashlar/clock.h>'s timers: the local APIC's timer of each CPU. */
#pragma once

#include <ashlar/types.h>

/* Tells the rate that clock_measure() found; 0: there is no timer. */
void timer_device_set_frequency(uint64_t hertz);

/* Prepares it and names the function that its interrupt calls. Returns false when there is none. */
bool timer_device_initialise(void (*expired)(void));

/*
 * Raises the interrupt at or a little after clock_nanoseconds() == deadline; earlier when the deadline is
 * farther away than the device can count. A deadline that has passed raises it at once. UINT64_MAX: not at
 * all.
 */
void timer_device_arm(uint64_t deadline);

/* "tsc-deadline", "one-shot" or "none". */
const char *timer_device_name(void);
