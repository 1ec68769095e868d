/* Files of the machine's processors below /proc: what they are, and what they have done. */
#include <ashlar/clock.h>
#include <ashlar/platform.h>
#include <ashlar/processor.h>
#include <ashlar/string.h>
#include <ashlar/thread.h>
#include <stdatomic.h>
#include <x86/cpu.h>
#include <x86/interrupt.h>
#include <x86/per_cpu.h>

#include "proc.h"

#define HUNDREDTH (NANOSECONDS_PER_SECOND / 100)

/* Hundredths of a second. */
struct times {
    uint64_t worked, rested;
};

static bool runs(const struct processor *processor)
{
    return atomic_load(&processor->state) == PROCESSOR_ONLINE;
}

static void add_times(const struct processor *processor, struct times *times)
{
    uint64_t now = cpu_ticks() + (uint64_t)processor->ticks_ahead; /* by its counter */
    uint64_t rest_began = atomic_load(&processor->cpu->rest_began);
    uint64_t rested =
        processor->cpu->idle_ticks + (rest_began != 0 && now > rest_began ? now - rest_began : 0);
    uint64_t all = max_u64(now - processor->cpu->began, rested);
    times->worked += clock_ticks_to_nanoseconds(all - rested) / HUNDREDTH;
    times->rested += clock_ticks_to_nanoseconds(rested) / HUNDREDTH;
}

/* The online processor with that number among them; NULL: there are fewer. */
static const struct processor *online(uint64_t number)
{
    const struct processor *processor;
    for (unsigned i = 0; (processor = processor_at(i)); i++) {
        if (runs(processor) && number-- == 0) {
            return processor;
        }
    }
    return NULL;
}

static struct times all_times(void)
{
    const struct processor *processor;
    struct times times = {0, 0};
    for (unsigned i = 0; (processor = processor_at(i)); i++) {
        if (runs(processor)) {
            add_times(processor, &times);
        }
    }
    return times;
}

/* ---- stat ---- */

static void times_line(struct proc_text *text, const char *name, const struct times *times)
{
    text_print(text, "%s %" PRIu64 " 0 0 %" PRIu64 " 0 0 0 0 0 0\n", name, times->worked, times->rested);
}

static uint64_t interrupts(void)
{
    const struct processor *processor;
    uint64_t sum = 0;
    for (unsigned i = 0; (processor = processor_at(i)); i++) {
        for (unsigned vector = EXCEPTION_COUNT; runs(processor) && vector < INTERRUPT_VECTORS; vector++) {
            sum += interrupt_count_of(processor->cpu, vector);
        }
    }
    return sum;
}

/* Threads that run or are ready to, of all that are no CPU's own; and the others. */
struct threads {
    uint64_t awake, all;
};

static struct threads count_threads(void)
{
    struct threads threads = {0, 0};
    struct thread_walk walk;
    struct thread_report report;
    thread_walk_begin(&walk);
    while (thread_walk_next(&walk, &report)) {
        threads.all += !report.is_idle;
        threads.awake += !report.is_idle && (report.state == THREAD_RUNNING || report.state == THREAD_READY);
    }
    thread_walk_end(&walk);
    return threads;
}

/* The cursor counts lines: all processors together, each by itself, and the rest. */
int proc_machine_stat(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    uint64_t line = (*cursor)++;
    const struct processor *processor = line == 0 ? NULL : online(line - 1);
    struct times times = {0, 0};
    char name[16];
    (void)what;
    if (line == 0) {
        times = all_times();
        times_line(text, "cpu ", &times);
        return 1;
    }
    if (processor) {
        struct proc_text room = {.at = name, .bytes = sizeof name};
        text_print(&room, "cpu%u", processor->number);
        name[room.used] = 0;
        add_times(processor, &times);
        times_line(text, name, &times);
        return 1;
    }
    uint64_t up = min_u64(clock_nanoseconds(), clock_epoch_nanoseconds()) / NANOSECONDS_PER_SECOND;
    text_print(text, "intr %" PRIu64 "\nbtime %" PRIu64 "\nprocs_running %" PRIu64 "\nprocs_blocked 0\n",
               interrupts(), clock_epoch_nanoseconds() / NANOSECONDS_PER_SECOND - up, count_threads().awake);
    *cursor = UINT64_MAX;
    return 0;
}

/* ---- uptime, loadavg ---- */

static void seconds(struct proc_text *text, uint64_t hundredths, char end)
{
    text_print(text, "%" PRIu64 ".%02u%c", hundredths / 100, (unsigned)(hundredths % 100), end);
}

int proc_uptime(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    (void)what;
    if (proc_is_told(cursor)) {
        return 0;
    }
    seconds(text, clock_nanoseconds() / HUNDREDTH, ' ');
    seconds(text, all_times().rested, '\n');
    return 1;
}

/* Nobody takes averages: the three are what there is at this moment, without who asks. */
int proc_loadavg(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    (void)what;
    if (proc_is_told(cursor)) {
        return 0;
    }
    struct threads threads = count_threads();
    uint64_t others = threads.awake - (threads.awake != 0);
    for (unsigned i = 0; i < 3; i++) {
        seconds(text, others * 100, ' ');
    }
    tree_lock();
    uint32_t last = tree_last_number();
    tree_unlock();
    text_print(text, "%" PRIu64 "/%" PRIu64 " %u\n", threads.awake, threads.all, last);
    return 1;
}

/* ---- cpuinfo ---- */

/* Family and model as the SDM puts them together (volume 2, CPUID, leaf 1). */
static void tell_model(struct proc_text *text, uint32_t signature)
{
    uint32_t family = signature >> 8 & 15;
    uint32_t model = signature >> 4 & 15;
    model |= family == 6 || family == 15 ? (signature >> 16 & 15) << 4 : 0;
    family += family == 15 ? signature >> 20 & 255 : 0;
    text_print(text, "cpu family\t: %u\nmodel\t\t: %u\n", family, model);
}

/* All processors are alike, as the start saw to. */
int proc_cpuinfo(const struct proc_what *what, struct proc_text *text, uint64_t *cursor)
{
    const struct processor *processor = online((*cursor)++);
    char name[CPU_NAME_BYTES];
    (void)what;
    if (!processor) {
        return 0;
    }
    struct cpuid vendor = cpuid(0, 0);
    uint32_t signature = cpuid(1, 0).eax;
    uint64_t kilohertz = clock_frequency() / 1000;
    cpu_name(name);
    text_print(text, "processor\t: %u\nvendor_id\t: %.4s%.4s%.4s\n", processor->number,
               (const char *)&vendor.ebx, (const char *)&vendor.edx, (const char *)&vendor.ecx);
    tell_model(text, signature);
    text_print(text, "model name\t: %s\nstepping\t: %u\ncpu MHz\t\t: %" PRIu64 ".%03u\napicid\t\t: %u\n",
               name, signature & 15, kilohertz / 1000, (unsigned)(kilohertz % 1000), processor->apic_id);
    text_print(text, "flags\t\t:");
    for (unsigned feature = 0; feature < CPU_FEATURE_COUNT; feature++) {
        if (cpu_has((enum cpu_feature)feature)) {
            text_print(text, " %s", cpu_feature_name((enum cpu_feature)feature));
        }
    }
    text_print(text, "\naddress sizes\t: %u bits physical, %u bits virtual\n\n", cpu_physical_address_bits(),
               cpu_virtual_address_bits());
    return 1;
}
