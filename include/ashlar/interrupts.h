/*
 * Device interrupts for drivers, and the start of the interrupt controllers.
 */
#pragma once

#include <ashlar/types.h>

/*
 * Silences the 8259s, takes over the local APIC and masks the IO-APICs. Interrupts stay off. After
 * acpi_initialise(), before clock_initialise(), which measures the local APIC's timer too.
 */
void interrupts_initialise(void);

/* What a driver is called with, in interrupt context. */
typedef void device_handler(void *context);

/*
 * Delivers a legacy interrupt (0 .. 15) to handler(context) on this CPU. Returns false, and changes nothing,
 * when there is no IO-APIC for it. `name` is shown by the `irq` command and lives as long as the kernel.
 */
bool interrupts_route_legacy(uint8_t irq, device_handler *handler, void *context, const char *name);

/* Starts the devices of the boot CPU, in the order they need each other, and lets interrupts in. */
struct boot_info;
void devices_start(const struct boot_info *info);

/*
 * Rests the CPU until an interrupt. Called with interrupts off, which closes the gap between looking for work
 * and resting: an interrupt that arrives after the look ends the rest at once. Returns with interrupts off.
 * On a machine where no interrupt would ever come it returns after a short pause instead.
 */
void cpu_idle(void);
