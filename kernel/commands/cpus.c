/* Monitor command that shows all processors: cpus. */
#include <ashlar/cpu_request.h>
#include <ashlar/heap.h>
#include <ashlar/monitor.h>
#include <ashlar/platform.h>
#include <ashlar/processor.h>
#include <ashlar/string.h>
#include <ashlar/thread.h>
#include <stdatomic.h>
#include <x86/interrupt.h>
#include <x86/per_cpu.h>

#include "frames.h"

static const char *const state_names[PROCESSOR_STATES] = {[PROCESSOR_PARKED] = "parked",
                                                          [PROCESSOR_STARTING] = "starting",
                                                          [PROCESSOR_ONLINE] = "online",
                                                          [PROCESSOR_SILENT] = "silent",
                                                          [PROCESSOR_REFUSED] = "refused"};

/* What is shown of a processor that runs. */
struct numbers {
    uint64_t interrupts;                /* from outside, all vectors */
    struct cpu_request_counts requests; /* shootdowns and others */
    uint64_t frames;                    /* in its magazines */
    uint64_t frames_room;               /* that these have room for */
    unsigned idle;                      /* share of its time that it has rested, percent */
};

static struct numbers numbers_of(const struct processor *processor)
{
    struct numbers numbers = {.requests = cpu_request_counts(processor->number)};
    uint64_t now = cpu_ticks() + (uint64_t)processor->ticks_ahead; /* by its counter */
    uint64_t ran = now - processor->cpu->began;
    uint64_t rest_began = atomic_load(&processor->cpu->rest_began);
    uint64_t rested = processor->cpu->idle_ticks + (rest_began != 0 ? now - rest_began : 0);
    for (unsigned vector = EXCEPTION_COUNT; vector < INTERRUPT_VECTORS; vector++) {
        numbers.interrupts += interrupt_count_of(processor->cpu, vector);
    }
    numbers.frames = frames_in_magazines(kernel_frames(), processor->number, &numbers.frames_room);
    numbers.idle = ran != 0 ? (unsigned)(min_u64(rested, ran) * 100 / ran) : 0;
    return numbers;
}

/* The thread that runs on a CPU, unless that is the CPU's own. */
struct runner {
    uint64_t number; /* 0: none */
    char name[THREAD_NAME_BYTES];
};

/* One for each CPU, as they are met in one walk over all threads, to be freed; NULL without memory. */
static struct runner *find_runners(void)
{
    struct runner *runners = heap_alloc_zeroed(&kernel_heap, processors_count() * sizeof *runners);
    struct thread_walk walk;
    struct thread_report report;
    thread_walk_begin(&walk);
    while (thread_walk_next(&walk, &report)) {
        if (runners && report.state == THREAD_RUNNING && !report.is_idle) {
            runners[report.cpu].number = report.number;
            memcpy(runners[report.cpu].name, report.name, sizeof report.name);
        }
    }
    thread_walk_end(&walk);
    return runners;
}

static bool runs(const struct processor *processor)
{
    return atomic_load(&processor->state) == PROCESSOR_ONLINE;
}

/* What it does at this moment, in a word. */
static const char *activity(const struct processor *processor)
{
    if (processor->cpu == per_cpu()) {
        return "this command";
    }
    return atomic_load(&processor->cpu->rest_began) != 0 ? "rests" : "works";
}

static void cpu_json(struct json *json, const struct processor *processor, const struct runner *runners)
{
    json_object_begin(json, NULL);
    json_number(json, "cpu", processor->number);
    json_number(json, "apic_id", processor->apic_id);
    json_string(json, "state", state_names[atomic_load(&processor->state)]);
    if (processor->why) {
        json_string(json, "why", processor->why);
    }
    if (runs(processor)) {
        struct numbers numbers = numbers_of(processor);
        json_string(json, "does", activity(processor));
        if (runners && runners[processor->number].number != 0) {
            json_number(json, "thread", runners[processor->number].number);
            json_string(json, "thread_name", runners[processor->number].name);
        }
        json_number(json, "interrupts", numbers.interrupts);
        json_number(json, "asked", numbers.requests.asked);
        json_number(json, "answered", numbers.requests.answered);
        json_number(json, "magazine_frames", numbers.frames);
        json_number(json, "magazine_room", numbers.frames_room);
        json_number(json, "idle_percent", numbers.idle);
    }
    json_object_end(json);
}

static void print_cpu(const struct processor *processor, const struct runner *runners)
{
    const char *state = state_names[atomic_load(&processor->state)];
    if (!runs(processor)) {
        monitor_print("  - %6u  %-8s  %s\n", processor->apic_id, state, processor->why ? processor->why : "");
        return;
    }
    struct numbers numbers = numbers_of(processor);
    monitor_print("%3u %6u  %-8s  %-12s %'10" PRIu64 " %'8" PRIu64 " %'8" PRIu64 " %'7" PRIu64
                  " %4u %%  %s\n",
                  processor->number, processor->apic_id, state, activity(processor), numbers.interrupts,
                  numbers.requests.asked, numbers.requests.answered, numbers.frames, numbers.idle,
                  runners ? runners[processor->number].name : "");
}

static void cpus_json(const struct runner *runners)
{
    const struct processor *processor;
    struct json json;
    monitor_json_begin(&json);
    json_array_begin(&json, NULL);
    for (unsigned i = 0; (processor = processor_at(i)) != NULL; i++) {
        cpu_json(&json, processor, runners);
    }
    json_array_end(&json);
    json_end(&json);
}

static void print_all(const struct runner *runners)
{
    const struct processor *processor;
    monitor_print("CPU   APIC  state     does         interrupts    asked answered  frames   idle  thread\n");
    for (unsigned i = 0; (processor = processor_at(i)) != NULL && !monitor_interrupted(); i++) {
        print_cpu(processor, runners);
    }
}

static void cpus_run(struct monitor_call *call)
{
    struct runner *runners = find_runners();
    if (call->json) {
        cpus_json(runners);
    } else {
        print_all(runners);
    }
    heap_free(&kernel_heap, runners);
}

MONITOR_COMMAND(
    cpus, cpus_run, "", "all processors: state, what each does, interrupts, rest",
    "A line for each processor that the firmware has switched on. 'parked' ones were not started, since\n"
    "cpus=N asks for fewer; a 'silent' one did not answer; 'refused' ones lack what the kernel uses.\n"
    "'asked' counts how often it has asked others for something, mostly to forget translations, 'answered'\n"
    "what others have asked of it. 'frames' are those in its magazines, 'idle' is the share of its time "
    "that\n"
    "it has rested; 'thread' is the name of the thread that runs there: a program's, or one of the "
    "kernel's.\n"
    "Examples:\n"
    "  cpus\n"
    "  cpus -j    [{\"cpu\":0,\"apic_id\":0,\"state\":\"online\",\"does\":\"this command\",\n"
    "             "
    "\"thread\":N,\"thread_name\":\"...\",\"interrupts\":N,\"asked\":N,\"answered\":N,\"magazine_frames\":N,"
    "\"magazine_room\":N,\n"
    "             \"idle_percent\":N},...]\n",
    .flags = MONITOR_JSON);
