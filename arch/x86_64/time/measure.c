/*
 * The rates of the time-stamp counter and of the local APIC's timer, measured against a device that counts at
 * a known rate. Both come from one measurement, since every measurement makes the start longer.
 *
 * A measurement is two samples. A sample reads the reference between two readings of the counter, several
 * times, and keeps the closest pair: so neither a slow port nor an interruption by firmware or hypervisor
 * gets into it.
 */
#include <ashlar/clock.h>
#include <ashlar/platform.h>
#include <x86/apic.h>
#include <x86/clock_reference.h>
#include <x86/interrupt_flag.h>
#include <x86/timer_device.h>

#define SAMPLE_TRIES   16
#define SPIN_TURNS     256     /* between two looks at the reference, which may cost a microsecond each */
#define WAIT_LOOKS_MAX 1000000 /* a reference that stops is given up */

/* One sample; and the local APIC's timer with it. */
struct measurement {
    struct clock_sample sample;
    uint32_t timer_left;
};

static struct measurement take_sample(const struct clock_reference *reference)
{
    struct measurement best = {.sample = {.width = UINT64_MAX}};
    for (unsigned i = 0; i < SAMPLE_TRIES; i++) {
        uint64_t before = cpu_ticks();
        uint64_t count = reference->read();
        uint32_t left = apic_available() ? apic_timer_left() : 0;
        uint64_t width = cpu_ticks() - before;
        if (width < best.sample.width) {
            best = (struct measurement){{.ticks = before + width / 2, .count = count, .width = width}, left};
        }
    }
    return best;
}

static void spin(void)
{
    for (unsigned i = 0; i < SPIN_TURNS; i++) {
        __asm__ volatile("");
    }
}

/* Waits until the reference has counted `counts` from `first`. */
static bool wait_counts(const struct clock_reference *reference, uint64_t first, uint64_t counts)
{
    uint64_t mask = ((uint64_t)1 << reference->bits) - 1;
    for (unsigned i = 0; i < WAIT_LOOKS_MAX; i++) {
        if (((reference->read() - first) & mask) >= counts) {
            return true;
        }
        spin();
    }
    return false;
}

bool clock_measure(const struct clock_reference *reference, uint64_t microseconds, uint64_t *tsc_hertz,
                   uint64_t *timer_hertz)
{
    bool enabled = interrupts_disable();
    if (apic_available()) {
        apic_timer_start(UINT32_MAX);
    }
    interrupts_restore(enabled);
    struct measurement begin = take_sample(reference);
    bool counted = wait_counts(reference, begin.sample.count, reference->hertz * microseconds / 1000000);
    struct measurement end = take_sample(reference);
    enabled = interrupts_disable();
    if (apic_available()) {
        timer_device_restore();
    }
    interrupts_restore(enabled);
    *tsc_hertz = clock_rate_from_samples(&begin.sample, &end.sample, reference->bits, reference->hertz);
    struct clock_sample timer_begin = {.ticks = UINT32_MAX - begin.timer_left, .count = begin.sample.count};
    struct clock_sample timer_end = {.ticks = UINT32_MAX - end.timer_left, .count = end.sample.count};
    *timer_hertz = clock_rate_from_samples(&timer_begin, &timer_end, reference->bits, reference->hertz);
    return counted && *tsc_hertz != 0;
}
