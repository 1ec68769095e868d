/*
 * Switching the machine off and on again.
 */
#pragma once

#include <ashlar/types.h>

/* QEMU's isa-debug-exit, where tools/run puts it. */
#define POWER_EXIT_PORT 0xf4

/* QEMU's isa-debugcon, where tools/run puts it if asked. */
#define POWER_DEBUG_PORT 0xe9

/* Values for the former; QEMU's status is 2 * value + 1. */
enum power_exit {
    POWER_EXIT_SUCCESS = 0x10,
    POWER_EXIT_FAILED_TESTS = 0x11,
    POWER_EXIT_PANIC = 0x12,
};

/*
 * Ends QEMU with `value` if we run under a hypervisor and the isa-debug-exit device is there; else returns.
 * On a real machine the port may belong to any device, so it is left alone there, in a panic too: what has
 * failed must not do damage besides. From any context, and from the kernel's first instruction on.
 */
void power_debug_exit(enum power_exit value);

/*
 * Writes a line to QEMU's debug console (port 0xe9), under a hypervisor only, as power_debug_exit(): QEMU's
 * own status has no room for that of a program. `line` ends with a line feed.
 */
void power_debug_line(const char *line);

/*
 * Switches the machine off: by the firmware's ResetSystem, else through the ACPI registers, else says on the
 * console that it cannot, and halts. Console output is made visible first.
 */
_Noreturn void power_off(void);

/*
 * Restarts the machine: by the firmware's ResetSystem, else the ACPI reset register, else the keyboard
 * controller, else a triple fault.
 */
_Noreturn void power_reboot(void);
