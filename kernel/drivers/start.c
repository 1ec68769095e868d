/*
 * The devices of the boot CPU, started in the order they need each other: interrupt controllers, clock,
 * timers, then what is typed at; at last interrupts are let in. ACPI's tables have been read before. Each
 * step logs what it found, and a missing device only takes away what hangs on it.
 */
#include <ashlar/clock.h>
#include <ashlar/efi_runtime.h>
#include <ashlar/interrupts.h>
#include <ashlar/keyboard.h>
#include <ashlar/serial.h>
#include <x86/apic.h>
#include <x86/interrupt.h>

#define POLL_NANOSECONDS 10000000

/* Wakes the CPU from its rest, so that whoever waits looks at the inputs that have no interrupt. */
static void wake(struct timer *timer)
{
    timer_start(timer, clock_nanoseconds() + POLL_NANOSECONDS);
}

static struct timer poll_timer = {.expired = wake};

void devices_start(const struct boot_info *info)
{
    interrupts_initialise();
    clock_initialise();
    timer_initialise();
    efi_runtime_initialise(info);
    bool serial_interrupts = serial_console_use_interrupt();
    keyboard_initialise();
    if (!serial_interrupts && timer_available()) {
        wake(&poll_timer);
    }
    if (apic_available()) {
        interrupts_begin();
    }
}
