/* Monitor commands about processes: ps and kill. */
#include <ashlar/monitor.h>

#include "kernel/linux/list.h"

#define SIGNALS_MOST 64

static const char *state_of(const struct process_report *report)
{
    switch (report->state) {
    case PROCESS_ZOMBIE:
        return "zombie";
    case PROCESS_ENDS:
        return "ends";
    case PROCESS_RUNS:
        break;
    }
    return report->runs ? "runs" : "waits";
}

static void process_json(struct json *json, const struct process_report *report)
{
    json_object_begin(json, NULL);
    json_number(json, "number", report->number);
    json_number(json, "parent", report->parent);
    json_number(json, "group", report->group);
    json_string(json, "name", report->name);
    json_string(json, "state", state_of(report));
    json_number(json, "threads", report->tasks);
    json_number(json, "resident_bytes", report->resident * FRAME_BYTES);
    json_number(json, "region_bytes", report->reserved);
    if (report->waits_for && !report->runs) {
        json_string(json, "waits_for", report->waits_for);
    }
    json_object_end(json);
}

static void print_process(const struct process_report *report)
{
    bool waits = report->waits_for && !report->runs;
    monitor_print("%6u  %6u  %-15s  %-6s  %7u  %'12" PRIu64 "%s%s\n", report->number, report->parent,
                  report->name, state_of(report), report->tasks, report->resident * (FRAME_BYTES >> 10),
                  waits ? "  " : "", waits ? report->waits_for : "");
}

static void run_ps(struct monitor_call *call)
{
    struct process_report report;
    struct json json;
    if (call->json) {
        monitor_json_begin(&json);
        json_array_begin(&json, NULL);
    } else {
        monitor_print("number  parent  name             state   threads  resident KiB  waits for\n");
    }
    for (uint32_t from = 1; process_next(from, &report); from = report.number + 1) {
        if (call->json) {
            process_json(&json, &report);
        } else {
            print_process(&report);
        }
    }
    if (call->json) {
        json_array_end(&json);
        json_end(&json);
    }
}

MONITOR_COMMAND(ps, run_ps, "", "shows all processes",
                "One line each: its number, its parent's (0: the kernel), its name, whether it\n"
                "runs or waits, or has ended and is to be waited for (zombie), how many\n"
                "threads it has, how much memory, and what it waits for.\n"
                "Example:\n"
                "  ps\n",
                .flags = MONITOR_JSON);

static void run_kill(struct monitor_call *call)
{
    uint64_t number;
    uint64_t signal = SIGNAL_KILL;
    if (!monitor_number(call, call->arguments[0], &number) ||
        (call->argument_count > 1 && !monitor_number(call, call->arguments[1], &signal))) {
        return;
    }
    if (signal > SIGNALS_MOST) {
        monitor_error(call, "signals are 0 .. %u", SIGNALS_MOST);
    } else if (number > UINT32_MAX || process_kill((uint32_t)number, (uint32_t)signal) != 0) {
        monitor_error(call, "there is no process %" PRIu64, number);
    }
}

MONITOR_COMMAND(kill, run_kill, "NUMBER [SIGNAL]", "ends a process",
                "Sends the process of that number (see ps) signal 9, which ends it, or the\n"
                "signal of another number.\n"
                "Example:\n"
                "  kill 3\n",
                .arguments_min = 1, .arguments_max = 2);
