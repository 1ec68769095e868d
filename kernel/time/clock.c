/*
 * The clock: the CPU's time-stamp counter, at a rate found once at start; see <ashlar/clock.h>, and
 * clock_choose() there for which rate is believed. What it counts by is written once, before interrupts are
 * on and other CPUs run, and then only read: no lock. Where the CPUs' counters differ, the clock pays an
 * atomic variable that all share, to stay monotonic. The date is asked for when it is first wanted, under a
 * mutex, as asking may take the firmware a while.
 */
#define LOG_SUBSYSTEM "clock"
#include <ashlar/boot.h>
#include <ashlar/clock.h>
#include <ashlar/efi_runtime.h>
#include <ashlar/lock.h>
#include <ashlar/log.h>
#include <ashlar/platform.h>
#include <ashlar/start.h>
#include <stdatomic.h>
#include <x86/cpuid.h>
#include <x86/interrupt_flag.h>
#include <x86/timer_device.h>

#include "reference.h"

#define MEASURE_MICROSECONDS 2000
#define MEASUREMENTS_MAX     20
/* What Linux lets one set: so that the clock counts for thirty years more. */
#define EPOCH_END            (INT64_MAX - 30ULL * 365 * 86400 * NANOSECONDS_PER_SECOND)

static uint64_t origin; /* time-stamp counter at the loader's entry */
static uint64_t hertz;  /* its rate */
static const char *source = "none";
static struct clock_scale to_nanoseconds;
static struct clock_scale to_ticks;
static struct mutex date_lock = MUTEX_INITIALIZER(LOCK_DATE);
static bool date_known GUARDED_BY(date_lock);
static _Atomic(uint64_t) epoch;      /* since 1970, what the clock shows 0 at; 0: the date is not known */
static _Atomic(uint32_t) epochs_set; /* how often somebody has set it */
static struct clock_shared *_Atomic shared_clock; /* what programs read; NULL: none did yet */
static _Atomic(bool) counters_differ;             /* of the CPUs: clock_trust_counters() */
static _Atomic(uint64_t) last_shown;              /* the largest number that the clock has shown since */

static void set_rate(uint64_t rate, const char *from)
{
    hertz = rate;
    source = from;
    to_nanoseconds = clock_scale_make(rate, NANOSECONDS_PER_SECOND);
    to_ticks = clock_scale_make(NANOSECONDS_PER_SECOND, rate);
    origin = boot_info()->stages[0].ticks;
}

/* Chooses between what CPUID states and what was measured (0: nothing was), and says what the other is. */
static void choose_rate(const struct clock_stated *stated, uint64_t measured, const char *reference)
{
    const char *states = stated->nominal ? "the nominal rate by CPUID" : "the rate by CPUID";
    switch (clock_choose(stated, measured)) {
    case CLOCK_STATED:
        set_rate(stated->hertz, stated->nominal ? "nominal" : "cpuid");
        break;
    case CLOCK_MEASURED:
        set_rate(measured, reference);
        break;
    case CLOCK_ASSUMED:
        set_rate(NANOSECONDS_PER_SECOND, "assumed");
        log_error("nothing tells the time-stamp counter's rate; 1 GHz is assumed and time will be wrong");
        break;
    }
    if (measured != 0 && stated->hertz != 0 && !clock_rates_agree(stated->hertz, measured)) {
        log_warning("%s is %'" PRIu64 " Hz, the %s says %'" PRIu64 " Hz", states, stated->hertz, reference,
                    measured);
    } else if (measured != 0 && stated->hertz != 0) {
        log_info("%s, %'" PRIu64 " Hz, and the %s, %'" PRIu64 " Hz, agree", states, stated->hertz, reference,
                 measured);
    }
}

/*
 * Measures both rates. A counter that soon begins again (the PIT, after 55 ms) shows far too little if that
 * happens meanwhile, as in a virtual machine that waits for a processor: with one, two measurements in a row
 * must agree.
 */
static bool measure(const struct clock_reference *reference, uint64_t *tsc_hertz, uint64_t *timer_hertz)
{
    bool counts = clock_measure(reference, MEASURE_MICROSECONDS, tsc_hertz, timer_hertz);
    bool trusted = reference->bits >= 64 || (uint64_t)1 << reference->bits >= reference->hertz;
    for (unsigned i = 0; counts && !trusted && i < MEASUREMENTS_MAX; i++) {
        uint64_t before = *tsc_hertz;
        counts = clock_measure(reference, MEASURE_MICROSECONDS, tsc_hertz, timer_hertz);
        trusted = clock_rates_agree(before, *tsc_hertz);
    }
    return counts;
}

void clock_initialise(void)
{
    const struct clock_reference *reference = clock_reference_find();
    struct clock_stated stated = tsc_stated_frequency();
    uint64_t measured = 0;
    uint64_t timer_hertz = 0;
    if (reference != NULL && !measure(reference, &measured, &timer_hertz)) {
        log_warning("the %s stopped while it was measured against", reference->name);
        measured = 0;
    }
    choose_rate(&stated, measured, reference != NULL ? reference->name : "none");
    timer_device_set_rates(timer_hertz, hertz);
    log_set_clock(origin, hertz);
    lock_set_patience(LOCK_PATIENCE_SECONDS * hertz);
    log_info("time-stamp counter at %'" PRIu64 " Hz by %s%s", hertz, source,
             cpu_has(CPU_FEATURE_INVARIANT_TSC) ? "" : "; the CPU does not promise a constant rate");
}

/* From each who has changed something of it. Whoever does that last sees what all have stored. */
static void tell_programs(void)
{
    struct clock_shared *shared = atomic_load(&shared_clock);
    if (shared != NULL) {
        atomic_store(&shared->epoch, atomic_load(&epoch));
        atomic_store(&shared->usable, !atomic_load(&counters_differ) && hertz != 0);
    }
}

struct clock_shared *clock_share(struct clock_shared *shared)
{
    if (shared != NULL) {
        shared->origin = origin;
        shared->multiplier = to_nanoseconds.multiplier;
        shared->numbers_cpus = cpu_has(CPU_FEATURE_RDTSCP);
    }
    struct clock_shared *before = atomic_exchange(&shared_clock, shared);
    tell_programs();
    return before;
}

void clock_trust_counters(bool trust)
{
    atomic_store(&last_shown, clock_nanoseconds());
    atomic_store(&counters_differ, !trust);
    tell_programs();
}

/*
 * Where CPUs' counters differ, a CPU takes off what its own is ahead; as that is not known to the tick, no
 * CPU's clock shows less than any has shown before.
 */
static uint64_t corrected_nanoseconds(void)
{
    bool enabled = interrupts_disable(); /* the reading and the correction are of one CPU */
    uint64_t ticks = cpu_common_ticks();
    interrupts_restore(enabled);
    uint64_t now = clock_scale_apply(to_nanoseconds, ticks - origin);
    uint64_t shown = atomic_load(&last_shown);
    while (now > shown && !atomic_compare_exchange_weak(&last_shown, &shown, now)) {
    }
    return max_u64(now, shown);
}

uint64_t clock_nanoseconds(void)
{
    if (__builtin_expect(atomic_load_explicit(&counters_differ, memory_order_relaxed), false)) {
        return corrected_nanoseconds();
    }
    return hertz != 0 ? clock_scale_apply(to_nanoseconds, cpu_ticks() - origin) : 0;
}

uint64_t clock_frequency(void)
{
    return hertz;
}

const char *clock_source(void)
{
    return source;
}

uint64_t clock_ticks_to_nanoseconds(uint64_t ticks)
{
    return clock_scale_apply(to_nanoseconds, ticks);
}

uint64_t clock_nanoseconds_to_ticks(uint64_t nanoseconds)
{
    return clock_scale_apply(to_ticks, nanoseconds);
}

void clock_wait(uint64_t nanoseconds)
{
    START_REQUIRE(START_CLOCK);
    uint64_t begin = cpu_ticks();
    uint64_t ticks = clock_nanoseconds_to_ticks(nanoseconds);
    while (cpu_ticks() - begin < ticks) {
        cpu_relax();
    }
}

uint64_t clock_epoch_nanoseconds(void)
{
    return atomic_load_explicit(&epoch, memory_order_relaxed) + clock_nanoseconds();
}

/* Asks the firmware, if nothing is known yet; returns whether the date is known. A date before 1970 is none.
 */
static bool find_date(void) REQUIRES(date_lock)
{
    struct clock_date firmware;
    if (!date_known && efi_get_time(&firmware) == EFI_STATUS_SUCCESS) {
        int64_t seconds = clock_date_to_seconds(&firmware);
        uint64_t now = clock_nanoseconds();
        uint64_t shown = (uint64_t)seconds * NANOSECONDS_PER_SECOND;
        date_known = seconds > 0 && seconds < INT64_MAX / (int64_t)NANOSECONDS_PER_SECOND && shown > now;
        if (date_known) {
            atomic_store(&epoch, shown - now);
            tell_programs();
        }
    }
    return date_known;
}

bool clock_date_now(struct clock_date *date)
{
    mutex_acquire(&date_lock);
    bool known = find_date();
    mutex_release(&date_lock);
    return known &&
           clock_date_from_seconds((int64_t)(clock_epoch_nanoseconds() / NANOSECONDS_PER_SECOND), date);
}

bool clock_set_epoch(uint64_t nanoseconds)
{
    mutex_acquire(&date_lock);
    uint64_t now = clock_nanoseconds();
    bool sound = nanoseconds >= now && nanoseconds < EPOCH_END;
    if (sound) {
        date_known = true;
        atomic_store(&epoch, nanoseconds - now);
        atomic_fetch_add(&epochs_set, 1);
        tell_programs();
    }
    mutex_release(&date_lock);
    return sound;
}

uint32_t clock_epoch_changes(void)
{
    return atomic_load(&epochs_set);
}
