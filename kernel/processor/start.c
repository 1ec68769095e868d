/*
 * Starting the other processors. All get INIT and STARTUP one after the other, without waits between; each
 * then finds its own way here (arch/x86_64/processor/startup.S), and on to run.c.
 *
 * A message may be lost: STARTUP is repeated for those that have not come. One that has not come after a
 * while in which nobody came is given up, by an exchange that one of the two sides wins: either the processor
 * has arrived, or it halts for good when it arrives after all. It gets another INIT, so that it runs no
 * longer in the start-up page, which goes back.
 */
#include <ashlar/clock.h>
#include <ashlar/cpu_request.h>
#include <ashlar/heap.h>
#include <ashlar/lock.h>
#include <ashlar/memory.h>
#include <ashlar/page_table.h>
#include <ashlar/platform.h>
#include <ashlar/start.h>
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
    struct startup_cpu *cpus; /* their records */
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

static bool has_arrived(const struct startup_cpu *record)
{
    return atomic_load(&record->arrived) == STARTUP_ARRIVED;
}

static void send_startups(const struct starters *starters, phys_addr_t frame)
{
    for (unsigned i = 0; i < starters->count; i++) {
        if (!has_arrived(&starters->cpus[i])) {
            apic_send_startup(starters->cpus[i].apic_id, frame);
        }
    }
}

static unsigned count_arrived(const struct starters *starters)
{
    unsigned arrived = 0;
    for (unsigned i = 0; i < starters->count; i++) {
        arrived += has_arrived(&starters->cpus[i]);
    }
    return arrived;
}

static struct lock_wait patience(void)
{
    struct lock_wait wait = lock_wait_begin(1);
    wait.left /= PATIENCE_PART;
    return wait;
}

static void wait_for_arrivals(const struct starters *starters, phys_addr_t frame)
{
    struct lock_wait wait = patience();
    uint64_t sent = clock_nanoseconds();
    unsigned before = 0;
    unsigned arrived;
    while ((arrived = count_arrived(starters)) < starters->count && lock_wait_goes_on(&wait)) {
        if (arrived > before) {
            before = arrived;
            wait = patience();
        }
        if (clock_nanoseconds() - sent >= REPEAT_NANOSECONDS) {
            send_startups(starters, frame);
            sent = clock_nanoseconds();
        }
        cpu_relax();
    }
}

static void give_up_silent(const struct starters *starters)
{
    for (unsigned i = 0; i < starters->count; i++) {
        struct startup_cpu *record = &starters->cpus[i];
        uint32_t expected = STARTUP_EXPECTED;
        if (atomic_compare_exchange_strong(&record->arrived, &expected, STARTUP_GIVEN_UP)) {
            struct processor *processor = processor_listed(record->cpu->number);
            apic_send_init(record->apic_id);
            processor->why = "it did not answer its start-up messages";
            atomic_store(&processor->state, PROCESSOR_SILENT);
            log_error("CPU %u, APIC %u, does not start: %s", processor->number, processor->apic_id,
                      processor->why);
        }
    }
}

static void start_all(const struct starters *starters, const struct startup_page *page)
{
    startup_expect(starters->cpus, starters->count, kernel_page_table()->root);
    for (unsigned i = 0; i < starters->count; i++) {
        apic_send_init(starters->cpus[i].apic_id);
    }
    if (startup_needs_pause()) {
        clock_wait(PAUSE_NANOSECONDS);
    }
    send_startups(starters, page->frame);
    wait_for_arrivals(starters, page->frame);
    give_up_silent(starters);
    startup_forget();
}

/* Each that has arrived comes online, or says why it cannot; that takes it a moment. */
static void wait_for_online(const struct starters *starters)
{
    struct lock_wait wait = lock_wait_begin(1);
    for (unsigned i = 0; i < starters->count; i++) {
        struct processor *processor = processor_listed(starters->cpus[i].cpu->number);
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

static void report(const struct starters *starters, unsigned count, struct cpu_set *scratch)
{
    for (unsigned i = 0; i < starters->count; i++) {
        struct processor *processor = processor_listed(starters->cpus[i].cpu->number);
        if (atomic_load(&processor->state) == PROCESSOR_ONLINE) {
            compare_counter(processor, scratch);
        }
        if (has_arrived(&starters->cpus[i])) { /* of others nothing is known */
            processor_report(processor);
        }
    }
    log_info("%u of %u processors are online", processors_online(), count);
}

/* The page is made first: what processors need is for good, and only made when they can be started. */
static void start(struct starters *starters, unsigned count, struct cpu_set *scratch)
{
    struct startup_page page;
    const char *missing = startup_page_make(&page);
    if (missing) {
        leave_all_out(count, missing);
        return;
    }
    make_all(starters, count);
    start_all(starters, &page);
    startup_page_free(&page);
    wait_for_online(starters);
    report(starters, count, scratch);
}

void processors_start(void)
{
    START_REQUIRE(START_DEVICES);
    unsigned count = processors_list();
    if (count == 1) {
        return;
    }
    struct starters starters = {heap_alloc_zeroed(&kernel_heap, count * sizeof *starters.cpus), 0};
    void *words = heap_alloc_zeroed(&kernel_heap, cpu_set_words(count) * sizeof(uint64_t));
    if (!starters.cpus || !words || !make_mailboxes(count)) {
        leave_all_out(count, "no memory for mailboxes");
    } else {
        struct cpu_set scratch;
        cpu_set_init(&scratch, words, count);
        processor_panics_start();
        start(&starters, count, &scratch);
    }
    heap_free(&kernel_heap, words);
    heap_free(&kernel_heap, starters.cpus);
}
