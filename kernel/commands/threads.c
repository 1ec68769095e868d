/* Monitor command that shows all threads: threads. */
#include <ashlar/clock.h>
#include <ashlar/monitor.h>
#include <ashlar/thread.h>

#define NANOSECONDS_PER_MILLISECOND 1000000

static uint64_t milliseconds(uint64_t nanoseconds)
{
    return nanoseconds / NANOSECONDS_PER_MILLISECOND;
}

/* How long it has waited by now. */
static uint64_t waited(const struct thread_report *report)
{
    uint64_t now = clock_nanoseconds();
    return report->waits_since != 0 && now > report->waits_since ? now - report->waits_since : 0;
}

static void thread_json(struct json *json, const struct thread_report *report)
{
    json_object_begin(json, NULL);
    json_number(json, "number", report->number);
    json_string(json, "name", report->name);
    json_number(json, "cpu", report->cpu);
    json_string(json, "level", thread_level_name(report->level));
    json_string(json, "state", thread_state_name(report->state));
    if (report->waits_for) {
        json_string(json, "waits_for", report->waits_for);
        json_number(json, "waits_ns", waited(report));
    }
    if (report->waits_on != 0) {
        json_number(json, "waits_on", report->waits_on);
    }
    json_number(json, "cpu_ns", clock_ticks_to_nanoseconds(report->cpu_ticks));
    json_bool(json, "killed", report->killed);
    json_object_end(json);
}

static void print_wait(const struct thread_report *report)
{
    if (report->waits_for) {
        monitor_print("  %s", report->waits_for);
        if (report->waits_on != 0) {
            monitor_print(" of thread %" PRIu64, report->waits_on);
        }
        monitor_print(", %'" PRIu64 " ms", milliseconds(waited(report)));
    }
}

static void print_thread(const struct thread_report *report)
{
    monitor_print("%6" PRIu64 "  %-*s %3u  %-9s  %-5s  %'12" PRIu64, report->number, THREAD_NAME_BYTES - 1,
                  report->name, report->cpu, thread_level_name(report->level),
                  thread_state_name(report->state),
                  milliseconds(clock_ticks_to_nanoseconds(report->cpu_ticks)));
    print_wait(report);
    monitor_print("%s\n", report->killed ? "  (killed)" : "");
}

static void threads_json(void)
{
    struct thread_walk walk;
    struct thread_report report;
    struct json json;
    monitor_json_begin(&json);
    json_array_begin(&json, NULL);
    thread_walk_begin(&walk);
    while (thread_walk_next(&walk, &report)) {
        thread_json(&json, &report);
    }
    thread_walk_end(&walk);
    json_array_end(&json);
    json_end(&json);
}

static void threads_run(struct monitor_call *call)
{
    struct thread_walk walk;
    struct thread_report report;
    if (call->json) {
        threads_json();
        return;
    }
    monitor_print("number  %-*s CPU  level      state        ms run  waits for\n", THREAD_NAME_BYTES - 1,
                  "name");
    thread_walk_begin(&walk);
    while (!monitor_interrupted() && thread_walk_next(&walk, &report)) {
        print_thread(&report);
    }
    thread_walk_end(&walk);
}

MONITOR_COMMAND(
    threads, threads_run, "", "all threads: CPU, level, state, time run, what each waits for",
    "A line for each thread. 'main' is the one that started the kernel and runs the monitor, 'idle N'\n"
    "what CPU N runs when it has nothing else to do. CPU is the one that runs the thread or ran it\n"
    "last. Of a thread that waits, the line says for what and how long, and of a mutex who held it.\n"
    "Examples:\n"
    "  threads\n"
    "  threads -j    [{\"number\":1,\"name\":\"main\",\"cpu\":0,\"level\":\"normal\",\n"
    "                \"state\":\"runs\",\"cpu_ns\":N,\"killed\":false},...]\n",
    .flags = MONITOR_JSON);
