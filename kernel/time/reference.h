/* The devices that the time-stamp counter can be measured against, and the choice among them. */
#pragma once

#include <x86/clock_reference.h>

/*
 * The most exact device that this machine has and that counts: the HPET, else the ACPI timer, else the 8254;
 * NULL when there is none. Starts it if necessary; it keeps running.
 */
const struct clock_reference *clock_reference_find(void);

/* Whether the counter changes within a bounded number of readings. */
bool clock_reference_counts(const struct clock_reference *reference);

/* Each device by itself, started; NULL when it is not there. Whether it counts is not known yet. */
const struct clock_reference *hpet_reference(void);
const struct clock_reference *pm_timer_reference(void);
