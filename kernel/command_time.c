/* Monitor command that shows clock, timer and date: time. */
#include <ashlar/clock.h>
#include <ashlar/efi_runtime.h>
#include <ashlar/format.h>
#include <ashlar/monitor.h>
#include <x86/timer_device.h>

#define DATE_BYTES 24

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

static void time_run(struct monitor_call *call)
{
    char date[DATE_BYTES];
    format_date(date);
    if (call->json) {
        time_json(date);
        return;
    }
    uint64_t now = clock_nanoseconds();
    monitor_print("since the start  %llu.%09llu s\n", (unsigned long long)(now / 1000000000),
                  (unsigned long long)(now % 1000000000));
    monitor_print("clock            time-stamp counter, %'llu Hz by %s\n",
                  (unsigned long long)clock_frequency(), clock_source());
    monitor_print("timer            %s\n", timer_device_name());
    monitor_print("date             %s%s\n",
                  date[0] != '\0' ? date : "unknown: ", date[0] != '\0' ? " UTC" : efi_runtime_reason());
}

MONITOR_COMMAND(
    time, time_run, "", "the clock, where its rate is from, and the date",
    "The clock counts from the loader's entry. The date is the firmware's, read once; a clock that\n"
    "names no time zone is taken for UTC.\n"
    "Examples:\n"
    "  time\n"
    "  time -j    {\"nanoseconds\":N,\"hertz\":N,\"source\":\"hpet\",\"timer\":\"one-shot\",...}\n",
    .flags = MONITOR_JSON);
