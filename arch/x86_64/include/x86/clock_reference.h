/* Devices that count at a known rate: what the time-stamp counter is measured against. */
#pragma once

#include <ashlar/types.h>

struct clock_reference {
    const char *name;       /* "hpet", "pm-timer", "pit" */
    uint64_t hertz;         /* counts per second */
    unsigned bits;          /* width of the counter, after which it wraps */
    uint64_t (*read)(void); /* the count now; only the low `bits` mean something */
};

/* The best one that is there and is seen to count, or NULL. Starts it if necessary; it keeps running. */
const struct clock_reference *clock_reference_find(void);

/* Each by itself: NULL when it is not there or stands still. */
const struct clock_reference *hpet_reference(void);
const struct clock_reference *pm_timer_reference(void);
const struct clock_reference *pit_reference(void);

/* Whether the counter changes within a bounded number of readings. */
bool clock_reference_counts(const struct clock_reference *reference);

/*
 * Measures the time-stamp counter, and the local APIC's timer if it is there, against `reference` for about
 * `microseconds`. Returns false when the reference stopped. *timer_hertz is 0 without a local APIC.
 */
bool clock_measure(const struct clock_reference *reference, uint64_t microseconds, uint64_t *tsc_hertz,
                   uint64_t *timer_hertz);

/* The rate that CPUID states (leaf 0x15, else 0x16), or 0. */
uint64_t tsc_stated_frequency(void);
