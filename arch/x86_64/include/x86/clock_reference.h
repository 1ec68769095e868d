/* Devices that count at a known rate, and measuring the time-stamp counter against them. */
#pragma once

#include <ashlar/clock.h>

struct clock_reference {
    const char *name;       /* "hpet", "pm-timer", "pit" */
    uint64_t hertz;         /* counts per second */
    unsigned bits;          /* width of the counter, after which it wraps */
    uint64_t (*read)(void); /* the count now; only the low `bits` mean something */
};

/* Starts the 8254 interval timer and returns it. Only whether it counts tells if the machine has one. */
const struct clock_reference *pit_reference(void);

/*
 * Measures the time-stamp counter, and the local APIC's timer if it is there, against `reference` for about
 * `microseconds`. Returns false when the reference stopped. *timer_hertz is 0 without a local APIC. The timer
 * is what it was afterwards; an interrupt that was due meanwhile comes then.
 */
bool clock_measure(const struct clock_reference *reference, uint64_t microseconds, uint64_t *tsc_hertz,
                   uint64_t *timer_hertz);

/* The time-stamp counter's rate as CPUID states it: by leaf 0x15, else by 0x16, which is nominal. */
struct clock_stated tsc_stated_frequency(void);
