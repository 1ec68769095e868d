/* Monitor command that shows the timeline of start-up: boot. */
#include <ashlar/boot.h>
#include <ashlar/monitor.h>
#include <ashlar/string.h>
#include <ashlar/timeline.h>

/* Ticks at which the kernel was ready to serve; 0 when the timeline does not say. */
static uint64_t ready_ticks(void)
{
    for (unsigned i = 0; i < timeline_count(); i++) {
        struct boot_stage point = timeline_point(i);
        if (strcmp(point.name, "kernel.ready") == 0) {
            return point.ticks;
        }
    }
    return 0;
}

static void boot_json(void)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_array_begin(&json, "stages");
    for (unsigned i = 0; i < timeline_count(); i++) {
        struct boot_stage point = timeline_point(i);
        json_object_begin(&json, NULL);
        json_string(&json, "name", point.name);
        json_number(&json, "ticks", point.ticks);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_number(&json, "ready_ticks", ready_ticks());
    json_object_end(&json);
    json_end(&json);
}

static void boot_run(struct monitor_call *call)
{
    if (call->json) {
        boot_json();
        return;
    }
    uint64_t before = 0;
    monitor_print("%-24s %16s %16s\n", "stage", "ticks", "since the last");
    for (unsigned i = 0; i < timeline_count(); i++) {
        struct boot_stage point = timeline_point(i);
        monitor_print("%-24s %'16" PRIu64 " %'16" PRIu64 "\n", point.name, point.ticks,
                      (point.ticks - before));
        before = point.ticks;
    }
    monitor_print("command line: %s\n", boot_command_line());
}

MONITOR_COMMAND(
    boot, boot_run, "", "timeline of the start, from the loader's entry on",
    "Ticks are those of the time-stamp counter, counted from the loader's first instruction. The\n"
    "stage is reached at its tick; 'kernel.ready' is the moment before the prompt.\n"
    "Examples:\n"
    "  boot\n"
    "  boot -j    {\"stages\":[{\"name\":\"loader.entry\",\"ticks\":0},...],\"ready_ticks\":N}\n",
    .flags = MONITOR_JSON);
