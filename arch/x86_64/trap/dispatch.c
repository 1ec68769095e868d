/*
 * Traps: what every exception and interrupt does once entry.S has built its frame.
 *
 * An exception (vectors 0 .. 31) is offered, in this order: to an address space, if it is a page fault that
 * one may resolve; to the fixup table, if the faulting instruction is in it; to the firmware call that this
 * CPU is in; to the registered handler; if user mode raised it, to the handler for programs; and last to the
 * hook panic_exception, which explains it. A device
 * interrupt (32 .. 255) goes to its one registered handler, then to the interrupt controller's
 * end-of-interrupt. All are counted by vector.
 *
 * A handler is registered before its interrupt can arrive. The slots are read without a lock: a slot's `run`
 * is written last and read first.
 */
#define LOG_SUBSYSTEM "traps"
#include <ashlar/hooks.h>
#include <ashlar/log.h>
#include <ashlar/platform.h>
#include <stdatomic.h>
#include <x86/control_registers.h>
#include <x86/firmware_call.h>
#include <x86/interrupt.h>
#include <x86/page_fault.h>
#include <x86/per_cpu.h>

#include "arch/x86_64/fault/decode.h"
#include "internal.h"

struct interrupt_slot {
    _Atomic(interrupt_handler *) run; /* NULL: no handler */
    void *context;                    /* handed to it */
    const char *name;                 /* for people */
};

static struct interrupt_slot slots[INTERRUPT_VECTORS - EXCEPTION_COUNT];
static _Atomic(exception_handler *) exception_handlers[EXCEPTION_COUNT];
static _Atomic(exception_handler *) user_handler; /* of what user mode raised and nobody else took */
static void (*end_of_interrupt)(unsigned vector);

/* An instruction that may fault, and where to continue then; both relative to the word itself. */
struct fixup {
    int32_t instruction;
    int32_t continuation;
};

extern const struct fixup ashlar_fixups_start[];
extern const struct fixup ashlar_fixups_end[];

static struct interrupt_slot *slot_of(unsigned vector, const char *name)
{
    if (vector < EXCEPTION_COUNT || vector >= INTERRUPT_VECTORS) {
        panic("interrupt vector %u for %s is not a device's (%u .. %u)", vector, name, EXCEPTION_COUNT,
              INTERRUPT_VECTORS - 1);
    }
    return &slots[vector - EXCEPTION_COUNT];
}

void interrupt_register(unsigned vector, interrupt_handler *handler, void *context, const char *name)
{
    struct interrupt_slot *slot = slot_of(vector, name);
    if (atomic_load(&slot->run)) {
        panic("interrupt vector %u wanted by %s belongs to %s", vector, name, slot->name);
    }
    slot->context = context;
    slot->name = name;
    atomic_store(&slot->run, handler);
}

void interrupt_unregister(unsigned vector)
{
    struct interrupt_slot *slot = slot_of(vector, "unregistering");
    atomic_store(&slot->run, NULL);
    slot->name = NULL;
}

void interrupt_set_end(void (*end)(unsigned vector))
{
    end_of_interrupt = end;
}

exception_handler *exception_set_handler(enum exception_vector vector, exception_handler *handler)
{
    return atomic_exchange(&exception_handlers[vector], handler);
}

exception_handler *user_exception_set_handler(exception_handler *handler)
{
    return atomic_exchange(&user_handler, handler);
}

uint64_t interrupt_count(unsigned vector)
{
    return interrupt_count_of(per_cpu(), vector);
}

uint64_t interrupt_count_of(const struct per_cpu *cpu, unsigned vector)
{
    return vector < INTERRUPT_VECTORS ? cpu->interrupt_counts[vector] : 0;
}

const char *interrupt_name(unsigned vector)
{
    if (vector < EXCEPTION_COUNT) {
        return exception_name(vector);
    }
    return vector < INTERRUPT_VECTORS ? slots[vector - EXCEPTION_COUNT].name : NULL;
}

void interrupts_begin(void)
{
    per_cpu()->interrupts_begun = 1;
    interrupts_enable();
}

bool interrupt_active(void)
{
    return per_cpu()->interrupt_depth != 0;
}

static const uint8_t *fixup_target(const int32_t *field)
{
    return (const uint8_t *)field + *field;
}

bool trap_fix_up(struct trap_frame *frame)
{
    const struct fixup *entry = ashlar_fixups_start;
    do {                           /* the table is never empty: entry.S has an entry in it */
        __asm__("" : "+r"(entry)); /* keeps the compiler from using three registers as counters */
        if (frame->rip == (uintptr_t)fixup_target(&entry->instruction)) {
            frame->rip = (uintptr_t)fixup_target(&entry->continuation);
            return true;
        }
    } while (++entry < ashlar_fixups_end);
    return false;
}

/*
 * A space is asked before the fixup table: a fallible access must not fail where a region promises memory.
 */
static bool page_fault(struct trap_frame *frame, const struct per_cpu *cpu)
{
    virt_addr_t address = virt_addr(cr2_read());
    if (__builtin_expect(page_fault_may_be_resolved(cpu, address), 0) &&
        kernel_hooks.page_fault(frame, address)) {
        return true;
    }
    return !trap_from_user(frame) && trap_fix_up(frame);
}

static bool user_exception(struct trap_frame *frame)
{
    exception_handler *handler = atomic_load_explicit(&user_handler, memory_order_acquire);
    return trap_from_user(frame) && handler && handler(frame);
}

/* The exceptions that instructions of the fixup table may raise, other than page faults: those of a return to
 * a broken state are these three. */
static bool may_be_fixed_up(enum exception_vector vector)
{
    return vector == EXCEPTION_GENERAL_PROTECTION || vector == EXCEPTION_STACK_SEGMENT ||
           vector == EXCEPTION_SEGMENT_NOT_PRESENT;
}

/* Who has waited in a page fault may have gone on on another CPU. */
static void exception(struct trap_frame *frame, const struct per_cpu *cpu)
{
    enum exception_vector vector = (enum exception_vector)frame->vector;
    if (vector == EXCEPTION_PAGE_FAULT) {
        if (page_fault(frame, cpu)) {
            return;
        }
    } else if (may_be_fixed_up(vector) && !trap_from_user(frame) && trap_fix_up(frame)) {
        return;
    }
    if (per_cpu()->firmware_fault && firmware_call_end(frame)) {
        return;
    }
    exception_handler *handler = atomic_load_explicit(&exception_handlers[vector], memory_order_acquire);
    if ((!handler || !handler(frame)) && !user_exception(frame)) {
        kernel_hooks.panic_exception(frame);
    }
}

static void device_interrupt(const struct trap_frame *frame, struct per_cpu *cpu)
{
    unsigned vector = (unsigned)frame->vector;
    struct interrupt_slot *slot = &slots[vector - EXCEPTION_COUNT];
    interrupt_handler *run = atomic_load_explicit(&slot->run, memory_order_acquire);
    cpu->interrupt_depth++;
    if (run) {
        run(slot->context);
    } else {
        log_warning_limited("interrupt %u has no handler", vector);
    }
    if (end_of_interrupt) {
        end_of_interrupt(vector);
    }
    cpu->interrupt_depth--;
}

/* At the end of an interrupt, all that it has changed on this CPU is as it was. */
static void reschedule_if_wished(void)
{
    if (__builtin_expect(preempt_count() == 0, false) && !cpu_in_interrupt()) {
        kernel_hooks.reschedule();
    }
}

void trap_dispatch(struct trap_frame *frame)
{
    struct per_cpu *cpu = per_cpu();
    cpu->interrupt_counts[frame->vector]++;
    struct trap_frame *outer = cpu->frame;
    cpu->frame = frame;
    if (frame->vector >= EXCEPTION_COUNT) {
        device_interrupt(frame, cpu);
        cpu->frame = outer;
        reschedule_if_wished();
    } else {
        exception(frame, cpu);
        per_cpu()->frame = outer;
    }
}
