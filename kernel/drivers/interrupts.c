/*
 * Device interrupts (<ashlar/interrupts.h>): vectors with their handlers, and legacy numbers, which go
 * through the MADT's overrides and an IO-APIC to a vector. All on the boot CPU: another one cannot see which
 * vectors that one's local APIC still holds. Who asks elsewhere is refused by a panic.
 *
 * Interrupts themselves touch none of this, only the slots that interrupt_register() fills; so the lock is an
 * ordinary one.
 */
#define LOG_SUBSYSTEM "interrupts"
#include <ashlar/acpi.h>
#include <ashlar/interrupts.h>
#include <ashlar/lock.h>
#include <ashlar/log.h>
#include <ashlar/platform.h>
#include <ashlar/processor.h>
#include <ashlar/start.h>
#include <ashlar/vectors.h>
#include <x86/apic.h>
#include <x86/interrupt.h>

#define LEGACY_INTERRUPTS 16

static struct spinlock interrupts_lock = SPINLOCK_INITIALIZER(LOCK_VECTORS);
static struct vector_set vectors GUARDED_BY(interrupts_lock); /* the boot CPU's */
static unsigned ioapic_count;                                 /* written once, at start */

/* By legacy number; empty: not routed. */
static struct interrupt_run legacy_runs[LEGACY_INTERRUPTS] GUARDED_BY(interrupts_lock);

void interrupts_initialise(void)
{
    pic_disable();
    if (apic_initialise(processors_largest_apic_id())) {
        spinlock_acquire(&interrupts_lock);
        vector_set_init(&vectors, VECTOR_DEVICES, VECTOR_DEVICES_END, apic_is_pending);
        spinlock_release(&interrupts_lock);
        ioapic_count = ioapic_initialise(&acpi_info()->madt);
    }
    if (ioapic_count == 0) {
        log_warning("no IO-APIC: devices are polled");
    }
}

static void expect_boot_cpu(void)
{
    if (cpu_number() != 0) {
        panic("device interrupts belong to CPU 0: CPU %u neither takes nor gives any back", cpu_number());
    }
}

static bool allocate(const struct interrupt_user users[], unsigned count, struct interrupt_run *run)
    REQUIRES(interrupts_lock)
{
    expect_boot_cpu();
    *run = (struct interrupt_run){0};
    unsigned first = apic_available() ? vector_set_take(&vectors, count) : 0;
    if (first == 0) {
        return false;
    }
    for (unsigned i = 0; i < count; i++) {
        interrupt_register(first + i, users[i].run, users[i].context, users[i].name);
    }
    *run = (struct interrupt_run){apic_id(), (uint8_t)first, (uint8_t)count};
    return true;
}

static void release(struct interrupt_run *run) REQUIRES(interrupts_lock)
{
    expect_boot_cpu(); /* one may be on its way there still */
    for (unsigned i = 0; i < run->count; i++) {
        interrupt_unregister(run->vector + i);
    }
    vector_set_give_back(&vectors, run->vector, run->count);
    *run = (struct interrupt_run){0};
}

bool interrupts_allocate(const struct interrupt_user users[], unsigned count, struct interrupt_run *run)
{
    START_REQUIRE(START_INTERRUPTS);
    spinlock_acquire(&interrupts_lock);
    bool done = allocate(users, count, run);
    spinlock_release(&interrupts_lock);
    return done;
}

void interrupts_release(struct interrupt_run *run)
{
    spinlock_acquire(&interrupts_lock);
    release(run);
    spinlock_release(&interrupts_lock);
}

unsigned interrupts_free_count(void)
{
    spinlock_acquire(&interrupts_lock);
    unsigned count = vector_set_free_count(&vectors);
    spinlock_release(&interrupts_lock);
    return count;
}

/* ---- Legacy interrupts ---- */

static bool route(const struct acpi_override *wiring, const struct interrupt_user *user,
                  struct interrupt_run *run) REQUIRES(interrupts_lock)
{
    if (run->count != 0 || !allocate(user, 1, run)) {
        return false;
    }
    if (!ioapic_route(wiring, run->vector, run->destination)) {
        release(run);
        return false;
    }
    return true;
}

bool interrupts_route_legacy(uint8_t irq, const struct interrupt_user *user)
{
    START_REQUIRE(START_INTERRUPTS);
    if (irq >= LEGACY_INTERRUPTS || ioapic_count == 0) {
        return false;
    }
    struct acpi_override wiring = acpi_legacy_interrupt(&acpi_info()->madt, irq);
    spinlock_acquire(&interrupts_lock);
    bool done = route(&wiring, user, &legacy_runs[irq]);
    spinlock_release(&interrupts_lock);
    if (!done) {
        log_warning("interrupt %u of %s, input %u, cannot be routed", irq, user->name, wiring.interrupt);
    }
    return done;
}

void interrupts_unroute_legacy(uint8_t irq)
{
    if (irq >= LEGACY_INTERRUPTS) {
        return;
    }
    struct acpi_override wiring = acpi_legacy_interrupt(&acpi_info()->madt, irq);
    spinlock_acquire(&interrupts_lock);
    if (legacy_runs[irq].count != 0) {
        ioapic_mask(&wiring);
        release(&legacy_runs[irq]);
    }
    spinlock_release(&interrupts_lock);
}

/* ---- Rest ---- */

void cpu_idle(void)
{
    if (!apic_available()) {
        cpu_relax();
        return;
    }
    preempt_disable(); /* nobody else runs here while this CPU counts as resting */
    cpu_rest();
    interrupts_disable();
    preempt_enable();
}
