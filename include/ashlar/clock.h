/*
 * Time: a clock that counts nanoseconds since the loader's entry, the date, and timers.
 *
 * The clock is the CPU's time-stamp counter. Its rate is measured against a device whose rate is known: HPET,
 * ACPI power-management timer, or PIT. What CPUID states is used instead where it is exact and agrees with
 * the measurement, or where nothing could be measured.
 */
#pragma once

#include <ashlar/types.h>
#include <stdatomic.h>

#define NANOSECONDS_PER_SECOND UINT64_C(1000000000)

/* Starts the clock: finds the counter's rate (a few milliseconds) and logs how. After acpi_initialise(). */
void clock_initialise(void);

/* Nanoseconds since the loader's entry; 0 before clock_initialise(). Never goes back, whichever CPU asks.
 * From any context. */
uint64_t clock_nanoseconds(void);

/*
 * trust: whether the CPUs' counters agree, as they do at the start. If not, each CPU takes off what its own
 * is ahead of the boot CPU's (per_cpu()->ticks_ahead), and the clock is kept from going back by what all CPUs
 * have been shown. By one CPU, when processors are started, and in tests.
 */
void clock_trust_counters(bool trust);

/*
 * What programs read the clock by themselves by (arch/x86_64/vdso/): a page of its own, which they cannot
 * write. clock_nanoseconds() is (time-stamp counter - origin) * multiplier >> 32.
 */
struct clock_shared {
    uint64_t origin;
    uint64_t multiplier;
    _Atomic(uint64_t) epoch;  /* nanoseconds since 1970 when the clock was 0 */
    _Atomic(uint32_t) usable; /* whether that holds on every CPU; else a program asks the kernel */
    uint32_t numbers_cpus;    /* RDTSCP tells the CPU's number */
};

/* Fills it in, and keeps it up to date from now on, in place of another, which it returns; NULL: none. By one
 * thread at a time. */
struct clock_shared *clock_share(struct clock_shared *shared);

/* Time-stamp counter ticks per second, and where that number is from ("hpet", "cpuid", ...); 0 before the
 * start. */
uint64_t clock_frequency(void);
const char *clock_source(void);

/* Converts between time-stamp counter ticks and nanoseconds; 0 before clock_initialise(). */
uint64_t clock_ticks_to_nanoseconds(uint64_t ticks);
uint64_t clock_nanoseconds_to_ticks(uint64_t nanoseconds);

/* Spins for at least `nanoseconds`. Not before START_CLOCK. From any context. */
void clock_wait(uint64_t nanoseconds);

/*
 * Timers. expired() is called once, in interrupt context with interrupts off, on the CPU that started the
 * timer, at or soon after its deadline. It may start the timer again. All but expired() is zero before the
 * first start, and nobody's but kernel/time/'s afterwards.
 */
struct timer {
    uint64_t deadline;                    /* clock_nanoseconds() at which it expires */
    void (*expired)(struct timer *timer); /* set by the owner before the start */
    struct timer *above;                  /* the heap's own (timer_heap.h), as the next four */
    struct timer *left;
    struct timer *right;
    uint32_t distance;
    uint32_t cpu; /* the CPU that started it */
    bool running; /* it is in that CPU's heap */
};

/* Prepares the CPU's timer device. After clock_initialise() and apic_initialise(). */
void timer_initialise(void);

/* Whether timers work: false when the CPU has no local APIC. */
bool timer_available(void);

/*
 * Starts a timer that is not running: panics when it is. Does nothing when timers are not available. Holds a
 * lock for a time that grows with the logarithm of how many run. Any context but an NMI's.
 */
void timer_start(struct timer *timer, uint64_t deadline);

/*
 * Stops the timer; returns whether it was running. On any CPU. When it returns, expired() neither runs nor
 * will run, unless it is expired() that called it. Of a timer that was started at least once.
 */
bool timer_cancel(struct timer *timer);

/* Whether some CPU has a timer that has yet to expire. May be out of date when it returns. */
bool timers_run(void);

/*
 * Time slices, for kernel/task/: one runs on this CPU for so long from now on, in place of one that ran
 * before; whether one runs; and what is called at its end, in interrupt context. Interrupts are off. May be
 * called with any lock held. Does nothing when timers are not available.
 */
void timer_start_slice(uint64_t nanoseconds);
bool timer_slice_runs(void);
void timer_set_slice_over(void (*function)(void));

/*
 * A conversion by multiplication: value * multiplier >> 32. Holds for any 64-bit value; the result is exact
 * to within value / 2^32 + 1 and wraps past 2^64.
 */
struct clock_scale {
    uint64_t multiplier; /* target units per source unit, times 2^32 */
};

/* The scale from counts at `from_hertz` to counts at `to_hertz`. from_hertz is not 0; the quotient is below
 * 2^32. */
struct clock_scale clock_scale_make(uint64_t from_hertz, uint64_t to_hertz);
uint64_t clock_scale_apply(struct clock_scale scale, uint64_t value);

/* A reading of both counters; one is taken at the start and one at the end of a measurement. */
struct clock_sample {
    uint64_t ticks; /* time-stamp counter, half way through the reading of the reference */
    uint64_t count; /* reference counter */
    uint64_t width; /* ticks the reading took: how uncertain `ticks` is */
};

/*
 * The rate of the time-stamp counter from two samples of a reference counter of `bits` bits (1 .. 64) that
 * runs at `hertz` and wrapped at most once in between. Returns 0 when the samples cannot give one: no time
 * passed.
 */
uint64_t clock_rate_from_samples(const struct clock_sample *begin, const struct clock_sample *end,
                                 unsigned bits, uint64_t hertz);

/* What CPUID states of the time-stamp counter's rate. */
struct clock_stated {
    uint64_t hertz; /* 0: nothing */
    bool nominal;   /* what the processor is sold as, rounded to MHz, not what its crystal makes */
};

enum clock_choice {
    CLOCK_ASSUMED,  /* nothing is known */
    CLOCK_STATED,   /* the stated rate */
    CLOCK_MEASURED, /* the measured rate */
};

/*
 * Which rate to believe; measured: in ticks per second, 0 when there was nothing to measure against. A
 * measurement beats a nominal rate. A rate by the crystal is more exact than a short measurement if it is
 * right, but a virtual machine may pass on that of another machine: so only within 1 % of the measurement.
 */
enum clock_choice clock_choose(const struct clock_stated *stated, uint64_t measured);

/* Whether the rates differ by 1 % of `b` at most. */
bool clock_rates_agree(uint64_t a, uint64_t b);

/* A moment of the civil calendar, as a clock on the wall shows it. */
struct clock_date {
    uint16_t year;  /* 1900 .. 9999 */
    uint8_t month;  /* 1 .. 12 */
    uint8_t day;    /* 1 .. 31 */
    uint8_t hour;   /* 0 .. 23 */
    uint8_t minute; /* 0 .. 59 */
    uint8_t second; /* 0 .. 59 */
    int16_t zone;   /* minutes to subtract from UTC to get local time, or CLOCK_ZONE_UNKNOWN */
};

#define CLOCK_ZONE_UNKNOWN 2047 /* EFI_UNSPECIFIED_TIMEZONE: the date is taken for UTC */

/* Whether every field is in its range and the day exists in that month of that year. */
bool clock_date_is_valid(const struct clock_date *date);

/* Seconds since 1970-01-01 00:00:00 UTC, without leap seconds; negative before. The date is valid. */
int64_t clock_date_to_seconds(const struct clock_date *date);

/* The inverse: stores a date in UTC. Returns false when it lies outside the years 1900 .. 9999. */
bool clock_date_from_seconds(int64_t seconds, struct clock_date *date);

/*
 * The date now, in UTC: what the firmware's clock said once, counted on by this clock, or what a program has
 * set. Returns false when the firmware has no clock and nobody has set one. May wait for the firmware.
 */
bool clock_date_now(struct clock_date *date);

/* Nanoseconds since 1970, by the same date; as long as nobody has asked for that, since the start of the
 * loader. From any context. */
uint64_t clock_epoch_nanoseconds(void);

/*
 * Sets what clock_epoch_nanoseconds() says now; false, and nothing has changed, for less than
 * clock_nanoseconds(). clock_epoch_changes() counts how often this was done. May wait.
 */
bool clock_set_epoch(uint64_t nanoseconds);
uint32_t clock_epoch_changes(void);
