/* See <x86/timer_device.h>. */
#include <ashlar/clock.h>
#include <ashlar/platform.h>
#include <x86/apic.h>
#include <x86/cpuid.h>
#include <x86/interrupt.h>
#include <x86/timer_device.h>

#define NANOSECONDS_PER_SECOND UINT64_C(1000000000)

static uint64_t frequency;           /* of the one-shot counter */
static uint64_t longest;             /* nanoseconds it can count */
static struct clock_scale to_counts; /* of the one-shot counter, from nanoseconds */
static struct clock_scale to_ticks;  /* of the time-stamp counter, from nanoseconds */
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

void timer_device_arm(uint64_t nanoseconds)
{
    if (deadline_mode) {
        apic_timer_deadline(cpu_ticks() + clock_scale_apply(to_ticks, nanoseconds));
        return;
    }
    uint64_t counts = nanoseconds >= longest ? UINT32_MAX : clock_scale_apply(to_counts, nanoseconds) + 1;
    apic_timer_start((uint32_t)min_u64(counts, UINT32_MAX));
}

void timer_device_disarm(void)
{
    if (deadline_mode) {
        apic_timer_deadline(0);
    } else {
        apic_timer_start(0);
    }
}

const char *timer_device_name(void)
{
    return name;
}
