/*
 * Starting the other processors. All get INIT and STARTUP one after the other, without waits between; each
 * then finds its own way here (arch/x86_64/processor/startup.S), and on to run.c.
 *
 * A message may be lost: STARTUP is repeated for those that have not come. One that has not come after a
 * while in which nobody came is given up, by an exchange that one of the two sides wins: either the processor
 * has arrived, or it halts for good when it arrives after all. It gets another INIT, so that it runs no
 * longer in the start-up page, which goes back. So does one that told that it lacks what the page switches
 * on.
 */
#include <ashlar/clock.h>
#include <ashlar/cpu_request.h>
#include <ashlar/heap.h>
#include <ashlar/lock.h>
#include <ashlar/memory.h>
#include <ashlar/page_table.h>
#include <ashlar/platform.h>
#include <ashlar/start.h>
#include <ashlar/timeline.h>
#include <x86/apic.h>
#include <x86/cpu.h>
#include <x86/interrupt.h>

#define LOG_SUBSYSTEM "processors"
#include <ashlar/log.h>

#include "internal.h"
#include "kernel/task/task.h"

#define PAUSE_NANOSECONDS  10000000 /* between INIT and STARTUP, where needed (SDM volume 3, 8.4.4.1) */
#define REPEAT_NANOSECONDS 1000000  /* between one STARTUP and the next */
#define PATIENCE_PART      5        /* a fifth of a lock's patience, without an arrival */

/* Those that are being started. */
struct starters {
    struct startup_page page;
    struct startup_cpu *cpus; /* their records, in the page's table */
    unsigned count;
};

static void interrupt_cpu(unsigned cpu)
{
    apic_send(processor_listed(cpu)->apic_id, VECTOR_MAILBOX);
}

static void serve_mailbox(void *context)
{
    (void)context;
    cpu_serve_requests();
    world_park_if_asked();
    threads_look();
}

/* What CPUs need to ask each other for something. */
static bool make_mailboxes(unsigned count)
{
    static const struct cpu_request_calls calls = {.interrupt = interrupt_cpu,
                                                   .silent = processor_tell_where};
    void *mailboxes = heap_alloc_zeroed(&kernel_heap, cpu_requests_bytes(count));
    void *tables = heap_alloc_zeroed(&kernel_heap, tlb_cpus_bytes(count));
    void *parked = heap_alloc_zeroed(&kernel_heap, cpu_set_words(count) * sizeof(uint64_t));
    void *threads = heap_alloc_zeroed(&kernel_heap, threads_cpus_bytes(count));
    if (!mailboxes || !tables || !parked || !threads) {
        heap_free(&kernel_heap, mailboxes);
        heap_free(&kernel_heap, tables);
        heap_free(&kernel_heap, parked);
        heap_free(&kernel_heap, threads);
        return false;
    }
    interrupt_register(VECTOR_MAILBOX, serve_mailbox, NULL, "other CPUs");
    cpu_requests_start(mailboxes, count, &calls);
    tlb_cpus_start(tables, count);
    world_start(parked, count);
    threads_cpus_start(threads, count);
    return true;
}

static void leave_out(struct processor *processor, const char *why)
{
    processor->why = why;
    log_error("CPU %u, APIC %u, is not started: %s", processor->number, processor->apic_id, why);
}

static void leave_all_out(unsigned count, const char *why)
{
    for (unsigned i = 1; i < count; i++) {
        processor_listed(i)->why = why;
    }
    log_error("the other processors cannot start: %s", why);
}

/* Makes what each needs, and counts those that have it. In xAPIC mode a message to a number of more than 8
 * bits would reach another processor, or all of them (SDM volume 3, 11.6.1). */
static void make_all(struct starters *starters, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        struct processor *processor = processor_listed(i);
        if (processor->apic_id >= XAPIC_IDS && !apic_is_x2apic()) {
            leave_out(processor, "its APIC number needs x2APIC mode, which this CPU lacks");
        } else if (processor_make(processor, &starters->cpus[starters->count])) {
            atomic_store(&processor->state, PROCESSOR_STARTING);
            starters->count++;
        } else {
            leave_out(processor, "no memory for its stacks");
        }
    }
}

/* Whether it has arrived or told why it cannot. */
static bool has_answered(const struct startup_cpu *record)
{
    return atomic_load(&record->arrived) != STARTUP_EXPECTED;
}

static void send_startups(const struct starters *starters)
{
    for (unsigned i = 0; i < starters->count; i++) {
        if (!has_answered(&starters->cpus[i])) {
            apic_send_startup(starters->cpus[i].apic_id, starters->page.places.frame);
        }
    }
}

static unsigned count_answered(const struct starters *starters)
{
    unsigned answered = 0;
    for (unsigned i = 0; i < starters->count; i++) {
        answered += has_answered(&starters->cpus[i]);
    }
    return answered;
}

static struct lock_wait patience(void)
{
    struct lock_wait wait = lock_wait_begin(1);
    wait.left /= PATIENCE_PART;
    return wait;
}

static void wait_for_answers(const struct starters *starters)
{
    struct lock_wait wait = patience();
    uint64_t sent = clock_nanoseconds();
    unsigned before = 0;
    unsigned answered;
    while ((answered = count_answered(starters)) < starters->count && lock_wait_goes_on(&wait)) {
        if (answered > before) {
            before = answered;
            wait = patience();
        }
        if (clock_nanoseconds() - sent >= REPEAT_NANOSECONDS) {
            send_startups(starters);
            sent = clock_nanoseconds();
        }
        cpu_relax();
    }
}

/* Notes of a processor that did not arrive why not. */
static void note_absent(struct processor *processor, uint32_t answer)
{
    if (answer == STARTUP_EXPECTED) {
        processor->why = "it did not answer its start-up messages";
        atomic_store(&processor->state, PROCESSOR_SILENT);
        log_error("CPU %u, APIC %u, does not start: %s", processor->number, processor->apic_id,
                  processor->why);
    } else {
        enum cpu_feature lacks = answer == STARTUP_LACKS_NX ? CPU_FEATURE_NX : CPU_FEATURE_LA57;
        processor->lacks = 1ULL << lacks;
        processor_refuse(processor);
    }
}

/* Gives up those that did not arrive. Each gets another INIT, and has stopped when this returns: none runs in
 * the start-up page any more. */
static void give_up_absent(const struct starters *starters)
{
    bool any = false;
    for (unsigned i = 0; i < starters->count; i++) {
        struct startup_cpu *record = &starters->cpus[i];
        uint32_t answer = STARTUP_EXPECTED;
        atomic_compare_exchange_strong(&record->arrived, &answer, STARTUP_GIVEN_UP);
        if (answer != STARTUP_ARRIVED) {
            apic_send_init(record->apic_id);
            note_absent(processor_listed(record->cpu->number), answer);
            any = true;
        }
    }
    if (any) {
        apic_wait_sent();
        clock_wait(PAUSE_NANOSECONDS);
    }
}

static void start_all(const struct starters *starters)
{
    startup_expect(starters->page.table, starters->count, kernel_page_table()->root);
    for (unsigned i = 0; i < starters->count; i++) {
        apic_send_init(starters->cpus[i].apic_id);
    }
    if (startup_needs_pause()) {
        clock_wait(PAUSE_NANOSECONDS);
    }
    send_startups(starters);
    timeline_mark("processors.sent");
    wait_for_answers(starters);
    timeline_mark("processors.answered");
    give_up_absent(starters);
}

/* Each that has arrived comes online, or says why it cannot; that takes it a moment. */
static void wait_for_online(unsigned count)
{
    struct lock_wait wait = lock_wait_begin(1);
    for (unsigned i = 1; i < count; i++) {
        struct processor *processor = processor_listed(i);
        while (atomic_load(&processor->state) == PROCESSOR_STARTING && lock_wait_goes_on(&wait)) {
            cpu_relax();
        }
        if (atomic_load(&processor->state) == PROCESSOR_STARTING) {
            panic("CPU %u has started but does not come online", processor->number);
        }
    }
}

/* A CPU whose counter is ahead of the boot CPU's or behind takes the difference off from now on. */
static void compare_counter(struct processor *processor, struct cpu_set *scratch)
{
    processor->ticks_ahead = processor_compare_counter(processor->number, scratch);
    if (processor->ticks_ahead != 0) {
        processor->cpu->ticks_ahead = processor->ticks_ahead;
        clock_trust_counters(false);
    }
}

/* Of those that were left out or are silent nothing is known, and what there was to say has been said. */
static void report(unsigned count, struct cpu_set *scratch)
{
    for (unsigned i = 1; i < count; i++) {
        struct processor *processor = processor_listed(i);
        uint32_t state = atomic_load(&processor->state);
        if (state == PROCESSOR_ONLINE) {
            compare_counter(processor, scratch);
        }
        if (state == PROCESSOR_ONLINE || state == PROCESSOR_REFUSED) {
            processor_report(processor);
        }
    }
    log_info("%u of %u processors are online", processors_online(), count);
}

/* The page is made first: what processors need is for good, and only made when they can be started. */
static void start(unsigned count, struct cpu_set *scratch)
{
    struct starters starters = {0};
    const char *missing = startup_page_make(&starters.page, count);
    if (missing) {
        leave_all_out(count, missing);
        return;
    }
    starters.cpus = starters.page.table->cpus;
    make_all(&starters, count);
    start_all(&starters);
    startup_page_free(&starters.page);
    wait_for_online(count);
    report(count, scratch);
}

void processors_start(void)
{
    START_REQUIRE(START_DEVICES);
    unsigned count = processors_list();
    if (count == 1) {
        return;
    }
    void *words = heap_alloc_zeroed(&kernel_heap, cpu_set_words(count) * sizeof(uint64_t));
    if (!words || !make_mailboxes(count)) {
        leave_all_out(count, "no memory for mailboxes");
    } else {
        struct cpu_set scratch;
        cpu_set_init(&scratch, words, count);
        processor_panics_start();
        start(count, &scratch);
    }
    heap_free(&kernel_heap, words);
}
