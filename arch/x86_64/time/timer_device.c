/* See <x86/timer_device.h>. */
#include <ashlar/clock.h>
#include <ashlar/platform.h>
#include <x86/apic.h>
#include <x86/cpuid.h>
#include <x86/interrupt.h>
#include <x86/per_cpu.h>
#include <x86/timer_device.h>

#define NANOSECONDS_PER_SECOND UINT64_C(1000000000)

static uint64_t frequency;           /* of the one-shot counter */
static uint64_t longest;             /* nanoseconds it can count */
static struct clock_scale to_counts; /* of the one-shot counter, from nanoseconds */
static struct clock_scale to_ticks;  /* of the time-stamp counter, from nanoseconds */
static struct clock_scale from_ticks;
static bool deadline_mode;
static const char *name = "none";
static void (*expired_hook)(void);

static void interrupt(void *context)
{
    (void)context;
    expired_hook();
}

void timer_device_set_rates(uint64_t timer_hertz, uint64_t tsc_hertz)
{
    frequency = timer_hertz;
    to_ticks = clock_scale_make(NANOSECONDS_PER_SECOND, tsc_hertz);
    from_ticks = clock_scale_make(tsc_hertz, NANOSECONDS_PER_SECOND);
}

bool timer_device_initialise(void (*expired)(void))
{
    deadline_mode = cpu_has(CPU_FEATURE_TSC_DEADLINE);
    if (!apic_available() || (!deadline_mode && frequency == 0)) {
        return false;
    }
    expired_hook = expired;
    interrupt_register(VECTOR_TIMER, interrupt, NULL, "timer");
    if (deadline_mode) {
        name = "tsc-deadline";
        apic_timer_use_deadline();
    } else {
        name = "one-shot";
        to_counts = clock_scale_make(NANOSECONDS_PER_SECOND, frequency);
        longest = clock_scale_apply(clock_scale_make(frequency, NANOSECONDS_PER_SECOND), UINT32_MAX);
    }
    return true;
}

void timer_device_start(void)
{
    if (deadline_mode) {
        apic_timer_use_deadline();
    }
}

/* What is due later is armed again then: an interrupt that comes early finds nothing due, and ticks never
 * wrap. */
#define ARMED_MOST (1ULL << 56) /* nanoseconds: two years */

void timer_device_arm(uint64_t nanoseconds)
{
    nanoseconds = min_u64(nanoseconds, ARMED_MOST);
    uint64_t due = cpu_ticks() + clock_scale_apply(to_ticks, nanoseconds);
    per_cpu()->timer_due = due;
    if (deadline_mode) {
        apic_timer_deadline(due);
        return;
    }
    uint64_t counts = nanoseconds >= longest ? UINT32_MAX : clock_scale_apply(to_counts, nanoseconds) + 1;
    apic_timer_start((uint32_t)min_u64(counts, UINT32_MAX));
}

void timer_device_disarm(void)
{
    per_cpu()->timer_due = 0;
    if (deadline_mode) {
        apic_timer_deadline(0);
    } else {
        apic_timer_start(0);
    }
}

void timer_device_restore(void)
{
    uint64_t due = per_cpu()->timer_due;
    uint64_t now = cpu_ticks();
    if (deadline_mode) {
        apic_timer_use_deadline();
    }
    if (due == 0) {
        timer_device_disarm();
    } else {
        timer_device_arm(due > now ? clock_scale_apply(from_ticks, due - now) : 0);
    }
}

const char *timer_device_name(void)
{
    return name;
}
