/*
 * Starts the devices of the boot CPU in the order of their dependencies: interrupt controllers, clock,
 * timers, firmware services, serial and keyboard input; last, interrupts are enabled. The ACPI tables have
 * been read before. Each step logs what it found, and without a device only what needs it is missing.
 */
#include <ashlar/clock.h>
#include <ashlar/console_input.h>
#include <ashlar/efi_runtime.h>
#include <ashlar/interrupts.h>
#include <ashlar/keyboard.h>
#include <ashlar/serial.h>
#include <ashlar/start.h>
#include <x86/interrupt.h>

#define POLL_NANOSECONDS 10000000

/* Wakes who waits for input, so that he polls the inputs that have no interrupt. */
static void wake(struct timer *timer)
{
    console_input_arrived();
    timer_start(timer, clock_nanoseconds() + POLL_NANOSECONDS);
}

static struct timer poll_timer = {.expired = wake};

void devices_start(const struct boot_info *info)
{
    interrupts_initialise();
    start_reached(START_INTERRUPTS);
    clock_initialise();
    start_reached(START_CLOCK);
    timer_initialise();
    start_reached(START_TIMERS);
    efi_runtime_initialise(info);
    bool serial_interrupts = serial_console_use_interrupt();
    keyboard_initialise();
    if (!serial_interrupts && timer_available()) {
        wake(&poll_timer);
    }
    /* Without a local APIC none comes, as the 8259s are silent. But who may wait is told by whether they are
     * on. */
    interrupts_begin();
}
