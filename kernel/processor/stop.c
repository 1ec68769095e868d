/*
 * NMIs from one CPU to another: a panic stops all others with them and says where each was; and a CPU that
 * does not answer is asked where it is. An NMI comes through where interrupts are off.
 */
#include <ashlar/console.h>
#include <ashlar/cpu_request.h>
#include <ashlar/lock.h>
#include <ashlar/panic.h>
#include <ashlar/platform.h>
#include <ashlar/symbols.h>
#include <x86/apic.h>
#include <x86/interrupt.h>
#include <x86/per_cpu.h>

#define LOG_SUBSYSTEM "processors"
#include <ashlar/log.h>

#include "internal.h"

#define PATIENCE_PART 8 /* of a lock's patience, for answers: a host may let a virtual processor wait */

static exception_handler *next_handler; /* of NMIs that nobody here asked for */

/*
 * Notes where this CPU was, if another one wants to know it, and stops here if there is a panic. The CPU that
 * reports is never asked; an NMI that comes to it all the same is passed over, so that the report gets to its
 * end.
 */
static bool answer(struct trap_frame *frame)
{
    struct per_cpu *cpu = per_cpu();
    uint32_t asked = 1;
    if (!atomic_compare_exchange_strong(&cpu->where_asked, &asked, 0)) {
        return panic_active() || (next_handler && next_handler(frame));
    }
    atomic_store(&cpu->where, frame->rip);
    if (panic_active()) {
        cpu_halt_forever();
    }
    return true;
}

/*
 * Asks a CPU where it is; what it was when it was asked last is forgotten. One NMI is on its way at a time:
 * two may come as one, and of two that come the second would be one that nobody has asked with.
 */
static void ask(const struct processor *processor)
{
    atomic_store(&processor->cpu->where, 0);
    if (atomic_exchange(&processor->cpu->where_asked, 1) == 0) {
        apic_send_nmi(processor->apic_id);
    }
}

static bool is_other(const struct processor *processor, enum processor_state state)
{
    return processor->cpu && processor->cpu != per_cpu() && atomic_load(&processor->state) == state;
}

/* The time, by the clock, that all answers together have. */
static struct lock_wait patience(void)
{
    struct lock_wait wait = lock_wait_begin(1);
    wait.left /= PATIENCE_PART;
    return wait;
}

/* Waits until it has told where it is, or the time is over. */
static void wait_until_told(const struct processor *processor, struct lock_wait *wait)
{
    while (atomic_load(&processor->cpu->where) == 0 && lock_wait_goes_on(wait)) {
        cpu_relax();
    }
}

/* One that is being started may not have a handler of NMIs yet: it is stopped by an INIT, whatever it has
 * come to. */
static void stop_others(void)
{
    const struct processor *processor;
    for (unsigned i = 0; (processor = processor_at(i)) != NULL; i++) {
        if (is_other(processor, PROCESSOR_STARTING)) {
            apic_send_init(processor->apic_id);
        } else if (is_other(processor, PROCESSOR_ONLINE)) {
            ask(processor);
        }
    }
    struct lock_wait wait = patience();
    for (unsigned i = 0; (processor = processor_at(i)) != NULL; i++) {
        if (is_other(processor, PROCESSOR_ONLINE)) {
            wait_until_told(processor, &wait);
        }
    }
}

static const char *place(const struct processor *processor, char text[SYMBOL_TEXT_BYTES])
{
    uint64_t where = atomic_load(&processor->cpu->where);
    return where != 0 ? symbol_text(virt_addr(where), false, text) : "did not answer the NMI";
}

static void print_others(void)
{
    char text[SYMBOL_TEXT_BYTES];
    const struct processor *processor;
    for (unsigned i = 0; (processor = processor_at(i)) != NULL; i++) {
        if (is_other(processor, PROCESSOR_STARTING)) {
            console_print("CPU %-4u was being started\n", processor->number);
        } else if (is_other(processor, PROCESSOR_ONLINE)) {
            console_print("CPU %-4u %s\n", processor->number, place(processor, text));
            panic_print_locks_held(processor->cpu);
        }
    }
}

uint64_t processor_where(unsigned cpu)
{
    const struct processor *processor = processor_at(cpu);
    ask(processor);
    struct lock_wait wait = patience();
    wait_until_told(processor, &wait);
    return atomic_load(&processor->cpu->where);
}

void processor_tell_where(unsigned cpu)
{
    char text[SYMBOL_TEXT_BYTES];
    const struct processor *processor = processor_at(cpu);
    processor_where(cpu);
    log_error("CPU %u: %s", cpu, place(processor, text));
}

void processor_panics_start(void)
{
    next_handler = exception_set_handler(EXCEPTION_NMI, answer);
    panic_set_others(stop_others, print_others);
}
