/* Monitor command that shows clock, timer and date, and compares the clock with a device: time. */
#include <ashlar/clock.h>
#include <ashlar/efi_runtime.h>
#include <ashlar/format.h>
#include <ashlar/interrupts.h>
#include <ashlar/monitor.h>
#include <ashlar/platform.h>
#include <x86/interrupt.h>
#include <x86/timer_device.h>

#include "kernel/time/reference.h"

#define DATE_BYTES          24
#define LOOK_NANOSECONDS    10000000ULL /* between two looks at a counter that may wrap within 50 ms */
#define COMPARE_SECONDS_MAX 3600

/* "2026-01-31 23:59:59", or "" when the firmware has no clock. */
static void format_date(char text[DATE_BYTES])
{
    struct clock_date date;
    text[0] = '\0';
    if (clock_date_now(&date)) {
        format(text, DATE_BYTES, "%04u-%02u-%02u %02u:%02u:%02u", date.year, date.month, date.day, date.hour,
               date.minute, date.second);
    }
}

static void time_json(const char *date)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_number(&json, "nanoseconds", clock_nanoseconds());
    json_number(&json, "hertz", clock_frequency());
    json_string(&json, "source", clock_source());
    json_string(&json, "timer", timer_device_name());
    json_string(&json, "date", date);
    json_object_end(&json);
    json_end(&json);
}

static void time_print(const char *date)
{
    uint64_t now = clock_nanoseconds();
    monitor_print("since the start  %" PRIu64 ".%09" PRIu64 " s\n", now / NANOSECONDS_PER_SECOND,
                  now % NANOSECONDS_PER_SECOND);
    monitor_print("clock            time-stamp counter, %'" PRIu64 " Hz by %s\n", clock_frequency(),
                  clock_source());
    monitor_print("timer            %s\n", timer_device_name());
    if (date[0] != '\0') {
        monitor_print("date             %s UTC\n", date);
    } else {
        monitor_print("date             unknown: %s\n", efi_runtime_reason());
    }
}

/* A stretch of time by our clock and by a device's. */
struct comparison {
    const struct clock_reference *reference; /* the device */
    uint64_t ours;                           /* nanoseconds */
    uint64_t theirs;                         /* nanoseconds */
};

static void expire(struct timer *timer)
{
    (void)timer; /* its interrupt has ended the rest: nothing more to do */
}

static void rest(uint64_t nanoseconds)
{
    struct timer timer = {.expired = expire};
    if (!timer_available()) {
        clock_wait(nanoseconds);
        return;
    }
    bool enabled = interrupts_disable();
    timer_start(&timer, clock_nanoseconds() + nanoseconds);
    while (*(volatile bool *)&timer.running) {
        cpu_idle();
    }
    interrupts_restore(enabled);
}

/* Lets `seconds` go by and takes both times. Returns false when it was interrupted. */
static bool compare(struct comparison *comparison, uint64_t seconds)
{
    const struct clock_reference *reference = comparison->reference;
    uint64_t mask = ((uint64_t)1 << reference->bits) - 1;
    uint64_t last = reference->read();
    uint64_t begin = clock_nanoseconds();
    uint64_t counts = 0;
    do {
        rest(LOOK_NANOSECONDS);
        uint64_t now = reference->read();
        counts += (now - last) & mask;
        last = now;
        comparison->ours = clock_nanoseconds() - begin;
        if (monitor_interrupted()) {
            return false;
        }
    } while (comparison->ours < seconds * NANOSECONDS_PER_SECOND);
    comparison->theirs =
        clock_scale_apply(clock_scale_make(reference->hertz, NANOSECONDS_PER_SECOND), counts);
    return true;
}

static void comparison_json(const struct comparison *comparison)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_string(&json, "reference", comparison->reference->name);
    json_number(&json, "clock_nanoseconds", comparison->ours);
    json_number(&json, "reference_nanoseconds", comparison->theirs);
    json_object_end(&json);
    json_end(&json);
}

static void comparison_print(const struct comparison *comparison)
{
    bool fast = comparison->ours >= comparison->theirs;
    uint64_t difference =
        fast ? comparison->ours - comparison->theirs : comparison->theirs - comparison->ours;
    monitor_print("%'" PRIu64 " ns by the clock, %'" PRIu64 " ns by the %s: %" PRIu64
                  " parts in a million %s\n",
                  comparison->ours, comparison->theirs, comparison->reference->name,
                  (difference / (comparison->theirs / 1000000 + 1)), fast ? "fast" : "slow");
}

static void compare_run(struct monitor_call *call)
{
    uint64_t seconds;
    if (!monitor_number(call, call->arguments[0], &seconds)) {
        return;
    }
    if (seconds == 0 || seconds > COMPARE_SECONDS_MAX) {
        monitor_error(call, "%" PRIu64 " seconds; 1 to %u can be compared", seconds, COMPARE_SECONDS_MAX);
        return;
    }
    struct comparison comparison = {.reference = clock_reference_find()};
    if (comparison.reference == NULL) {
        monitor_error(call, "the machine has neither HPET nor ACPI timer nor PIT to compare with");
    } else if (compare(&comparison, seconds)) {
        (call->json ? comparison_json : comparison_print)(&comparison);
    }
}

static void time_run(struct monitor_call *call)
{
    char date[DATE_BYTES];
    if (call->argument_count != 0) {
        compare_run(call);
        return;
    }
    format_date(date);
    (call->json ? time_json : time_print)(date);
}

MONITOR_COMMAND(
    time, time_run, "[SECONDS]", "the clock, where its rate is from, and the date",
    "The clock counts from the loader's entry. The date is the firmware's, read once; a clock that\n"
    "names no time zone is taken for UTC. With SECONDS the clock is compared for so long with a\n"
    "counter of the machine: the HPET, the ACPI timer, or the PIT.\n"
    "Examples:\n"
    "  time\n"
    "  time 10    how far the clock is off after ten seconds\n"
    "  time -j    {\"nanoseconds\":N,\"hertz\":N,\"source\":\"hpet\",\"timer\":\"one-shot\",...}\n",
    .flags = MONITOR_JSON, .arguments_max = 1);
