/* A processor from its first moment in the kernel on: how it comes online, and what it does when idle. */
#include <ashlar/cpu_request.h>
#include <ashlar/lock.h>
#include <ashlar/memory.h>
#include <ashlar/platform.h>
#include <ashlar/tlb.h>
#include <ashlar/world.h>
#include <x86/apic.h>
#include <x86/cpu.h>
#include <x86/interrupt.h>
#include <x86/per_cpu.h>
#include <x86/timer_device.h>

#define LOG_SUBSYSTEM "processors"
#include <ashlar/log.h>

#include "internal.h"

/* What processors_run() has all CPUs do. Written by the CPU that asks, before it marks the others. */
static processor_work *shared_work;
static void *shared_context;

static void do_work(struct processor *processor)
{
    if (atomic_load(&processor->has_work)) {
        shared_work(shared_context, processor->number);
        atomic_store(&processor->has_work, false);
    }
}

/*
 * Does what a CPU can do that has nothing to do; rests when there is no more, until an interrupt. From the
 * last look at its work to the rest interrupts are off, so that none is lost in between.
 */
_Noreturn static void idle(struct processor *processor)
{
    for (;;) {
        do_work(processor);
        while (frame_pool_idle(kernel_frames())) {
        }
        interrupts_disable();
        if (atomic_load(&processor->has_work)) {
            interrupts_enable();
        } else {
            cpu_rest();
        }
    }
}

/* The next processor that is online from `index` on, but for this CPU; NULL when there is none. */
static struct processor *other_from(unsigned *index)
{
    for (const struct processor *at; (at = processor_at(*index)) != NULL; (*index)++) {
        if (atomic_load(&at->state) == PROCESSOR_ONLINE && at->number != cpu_number()) {
            return processor_listed(*index);
        }
    }
    return NULL;
}

/* As patient as for a mutex: the work may take long, but not for ever. */
static void wait_for_work(const struct processor *other)
{
    struct lock_wait wait = lock_wait_begin(MUTEX_PATIENCE);
    while (atomic_load(&other->has_work)) {
        cpu_serve_requests();
        cpu_relax();
        if (!lock_wait_goes_on(&wait)) {
            cpu_say_where(other->number);
            panic("CPU %u does not end the work that CPU %u waits for", other->number, cpu_number());
        }
    }
}

void processors_run(processor_work *work, void *context)
{
    struct processor *other;
    shared_work = work;
    shared_context = context;
    for (unsigned i = 0; (other = other_from(&i)) != NULL; i++) {
        atomic_store(&other->has_work, true);
        apic_send(other->apic_id, VECTOR_MAILBOX);
    }
    work(context, cpu_number());
    for (unsigned i = 0; (other = other_from(&i)) != NULL; i++) {
        wait_for_work(other);
    }
}

static void give_work(struct processor *processor, processor_work *work, void *context)
{
    shared_work = work;
    shared_context = context;
    atomic_store(&processor->has_work, true);
    apic_send(processor->apic_id, VECTOR_MAILBOX);
}

static struct processor *online_by_number(unsigned cpu)
{
    bool online = cpu < processors_count() && processor_at(cpu) != NULL &&
                  atomic_load(&processor_at(cpu)->state) == PROCESSOR_ONLINE;
    return online ? processor_listed(cpu) : NULL;
}

bool processor_begin_on(unsigned cpu, processor_work *work, void *context)
{
    struct processor *processor = online_by_number(cpu);
    if (!processor || cpu == cpu_number()) {
        return false;
    }
    give_work(processor, work, context);
    return true;
}

bool processor_run_on(unsigned cpu, processor_work *work, void *context)
{
    struct processor *processor = online_by_number(cpu);
    if (!processor) {
        return false;
    }
    if (cpu == cpu_number()) {
        work(context, cpu);
        return true;
    }
    give_work(processor, work, context);
    while (atomic_load(&processor->has_work)) {
        cpu_serve_requests();
        cpu_relax();
    }
    return true;
}

void processor_refuse(struct processor *processor)
{
    processor->why = "it lacks what the kernel uses";
    atomic_store(&processor->state, PROCESSOR_REFUSED);
}

/* Takes no lock and logs nothing until it is online: from then on it hears what others ask of it. */
_Noreturn void processor_enter(void)
{
    struct processor *processor = processor_listed(cpu_number());
    processor->lacks = cpu_features_lacking();
    processor->microcode = cpu_microcode();
    uint64_t needed = cpu_features_needed() | (apic_is_x2apic() ? 1ULL << CPU_FEATURE_X2APIC : 0);
    if (processor->lacks & needed) {
        processor_refuse(processor);
        cpu_halt_forever();
    }
    cpu_control_set();
    apic_start(); /* before others ask: an APIC that is switched off does not keep what it is sent */
    tlb_cpu_enter();
    timer_device_start();
    atomic_store(&processor->state, PROCESSOR_ONLINE);
    interrupts_begin();
    idle(processor);
}

void processor_report(const struct processor *processor)
{
    const struct processor *boot = processor_at(0);
    for (unsigned feature = 0; feature < CPU_FEATURE_COUNT; feature++) {
        if (processor->lacks >> feature & 1) {
            log_warning("CPU %u lacks %s, which the boot CPU has", processor->number,
                        cpu_feature_name((enum cpu_feature)feature));
        }
    }
    if (processor->why && atomic_load(&processor->state) == PROCESSOR_REFUSED) {
        log_error("CPU %u, APIC %u, is not used: %s", processor->number, processor->apic_id, processor->why);
    }
    if (processor->microcode != 0 && processor->microcode != boot->microcode) {
        log_warning("CPU %u has microcode %#" PRIx64 ", the boot CPU %#" PRIx64, processor->number,
                    processor->microcode, boot->microcode);
    }
    if (processor->ticks_ahead != 0) {
        log_warning("the time-stamp counter of CPU %u is %" PRId64 " ticks ahead: the clock takes that off",
                    processor->number, processor->ticks_ahead);
    }
}
