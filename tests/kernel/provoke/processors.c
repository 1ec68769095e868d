/* Mistakes that take two CPUs; see <ashlar/provoke.h>. */
#include <ashlar/clock.h>
#include <ashlar/console.h>
#include <ashlar/lock.h>
#include <ashlar/memory.h>
#include <ashlar/panic.h>
#include <ashlar/processor.h>
#include <ashlar/tlb.h>
#include <stdatomic.h>
#include <x86/apic.h>

#include "internal.h"

#define SECOND 1000000000 /* nanoseconds: enough patience for a mistake that is made on purpose */

static _Atomic(bool) other_is_ready;

/* Has the first CPU that rests do its part, and waits until it has begun to; false when there is none. The
 * boot CPU does not rest: it waits for the command. */
static bool begin_on_another(processor_work *work, void *context)
{
    atomic_store(&other_is_ready, false);
    for (unsigned cpu = 1; cpu < processors_count(); cpu++) {
        if (processor_begin_on(cpu, work, context)) {
            while (!atomic_load(&other_is_ready)) {
                cpu_relax();
            }
            return true;
        }
    }
    console_print("there is no other CPU that rests\n");
    return false;
}

static void be_patient_for_a_second(void)
{
    lock_set_patience(clock_nanoseconds_to_ticks(SECOND));
}

/* ---- Each has the lock that the other one wants ---- */

static struct spinlock first = SPINLOCK_INITIALIZER(LOCK_VMALLOC);
static struct spinlock second = SPINLOCK_INITIALIZER(LOCK_TABLE_SLOTS);

static void lock_second_and_first(void *context, unsigned cpu) NO_LOCK_ANALYSIS
{
    (void)context;
    (void)cpu;
    spinlock_acquire(&second);
    atomic_store(&other_is_ready, true);
    spinlock_acquire(&first);
}

__attribute__((noinline)) void provoke_deadlock_of_two(void) NO_LOCK_ANALYSIS
{
    be_patient_for_a_second();
    spinlock_acquire(&first);
    if (begin_on_another(lock_second_and_first, NULL)) {
        spinlock_acquire(&second);
    }
    spinlock_release(&first);
}

/* ---- A CPU that answers nobody ---- */

static void be_deaf(void *context, unsigned cpu)
{
    (void)context;
    (void)cpu;
    interrupts_disable();
    atomic_store(&other_is_ready, true);
    for (;;) {
        cpu_relax();
    }
}

__attribute__((noinline)) void provoke_deaf_cpu(void)
{
    be_patient_for_a_second();
    if (begin_on_another(be_deaf, NULL)) {
        tlb_flush(kernel_page_table(), NULL, 0, false);
    }
}

/* ---- NMIs without end ---- */

/* context: the APIC number of the CPU that gets them. */
static void send_nmis(void *context, unsigned cpu)
{
    const uint32_t *target = context;
    (void)cpu;
    atomic_store(&other_is_ready, true);
    for (;;) {
        apic_send_nmi(*target);
    }
}

__attribute__((noinline)) void provoke_nmi_storm(void)
{
    static uint32_t mine;
    mine = apic_id();
    if (begin_on_another(send_nmis, &mine)) {
        clock_wait(SECOND);
    }
}

/* ---- Two CPUs panic at once ---- */

static _Atomic(bool) both;

static void panic_too(void *context, unsigned cpu)
{
    (void)context;
    atomic_store(&other_is_ready, true);
    while (!atomic_load(&both)) {
    }
    panic("CPU %u is one of two that panic at once", cpu);
}

__attribute__((noinline)) void provoke_panic_of_two(void)
{
    if (begin_on_another(panic_too, NULL)) {
        atomic_store(&both, true);
        panic("CPU 0 is one of two that panic at once");
    }
}
