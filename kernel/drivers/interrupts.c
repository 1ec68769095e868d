/*
 * Device interrupts: from a legacy number through the MADT's overrides and an IO-APIC to a vector and a
 * handler. Vectors are given out from VECTOR_DEVICES upwards and never taken back. Routing happens at start,
 * on the boot CPU.
 */
#define LOG_SUBSYSTEM "interrupts"
#include <ashlar/acpi.h>
#include <ashlar/interrupts.h>
#include <ashlar/log.h>
#include <ashlar/platform.h>
#include <x86/apic.h>
#include <x86/interrupt.h>

#define LEGACY_INTERRUPTS 16

struct route {
    device_handler *handler; /* NULL: not routed */
    void *context;           /* handed to it */
};

static struct route routes[LEGACY_INTERRUPTS];
static unsigned next_vector = VECTOR_DEVICES;
static unsigned ioapic_count;

void interrupts_initialise(void)
{
    pic_disable();
    if (apic_initialise()) {
        ioapic_count = ioapic_initialise(&acpi_info()->madt);
    }
    if (ioapic_count == 0) {
        log_warning("no IO-APIC: devices are polled");
    }
}

static void deliver(struct trap_frame *frame, void *context)
{
    (void)frame;
    const struct route *route = context;
    route->handler(route->context);
}

bool interrupts_route_legacy(uint8_t irq, device_handler *handler, void *context, const char *name)
{
    if (irq >= LEGACY_INTERRUPTS || routes[irq].handler != NULL || ioapic_count == 0) {
        return false;
    }
    struct acpi_override wiring = acpi_legacy_interrupt(&acpi_info()->madt, irq);
    unsigned vector = next_vector;
    routes[irq] = (struct route){handler, context};
    interrupt_register(vector, deliver, &routes[irq], name);
    if (!ioapic_route(&wiring, vector, apic_id())) {
        interrupt_unregister(vector);
        routes[irq] = (struct route){0};
        log_warning("interrupt %u of %s: no IO-APIC has input %u", irq, name, wiring.interrupt);
        return false;
    }
    next_vector++;
    return true;
}

void cpu_idle(void)
{
    if (!apic_available()) {
        cpu_relax();
        return;
    }
    cpu_wait_for_interrupt();
    interrupts_disable();
}
