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
static struct clock_scale to_counts; /* from nanoseconds */
static bool deadline_mode;
static const char *name = "none";
static void (*expired_hook)(void);

static void interrupt(struct trap_frame *frame, void *context)
{
    (void)frame;
    (void)context;
    expired_hook();
}

void timer_device_set_frequency(uint64_t hertz)
{
    frequency = hertz;
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

void timer_device_arm(uint64_t deadline)
{
    uint64_t now = clock_nanoseconds();
    uint64_t left = deadline > now ? deadline - now : 0;
    if (deadline_mode) {
        uint64_t until = cpu_ticks() + clock_nanoseconds_to_ticks(left);
        apic_timer_deadline(deadline == UINT64_MAX ? 0 : until);
        return;
    }
    uint64_t counts = left >= longest ? UINT32_MAX : clock_scale_apply(to_counts, left) + 1;
    apic_timer_start(deadline == UINT64_MAX ? 0 : (uint32_t)min_u64(counts, UINT32_MAX));
}

const char *timer_device_name(void)
{
    return name;
}
