/*
 * The story of start-up. The loader has set up page tables and a stack (<ashlar/boot_info.h>); from here on
 * the kernel takes the machine over, step by step, and ends in the monitor or, when asked, in its tests.
 */
#include <ashlar/boot.h>
#include <ashlar/command_line.h>
#include <ashlar/console.h>
#include <ashlar/log.h>
#include <ashlar/monitor.h>
#include <ashlar/platform.h>
#include <ashlar/test.h>
#include <ashlar/timeline.h>
#include <x86/boot_paging.h>
#include <x86/cpu.h>
#include <x86/interrupt.h>
#include <x86/port.h>

#include "kernel.h"

#define LOG_SUBSYSTEM "boot"

/* QEMU's isa-debug-exit, as tools/run sets it up. */
#define DEBUG_EXIT_PORT         0xf4
#define DEBUG_EXIT_SUCCESS      0x10
#define DEBUG_EXIT_FAILED_TESTS 0x11

static void report_option(void *context, const char *complaint)
{
    (void)context;
    log_warning("command line: %s", complaint);
}

/* Tells QEMU how the tests went; a machine without its exit device stays on with the report on the screen. */
static _Noreturn void end_tests(unsigned failures)
{
    console_flush();
    port_write8(DEBUG_EXIT_PORT, failures ? DEBUG_EXIT_FAILED_TESTS : DEBUG_EXIT_SUCCESS);
    cpu_halt_forever();
}

/* Runs the tests the command line asks for and ends the machine; returns when it asks for none. */
static void run_tests_if_asked(void)
{
    char pattern[64] = "";
    if (command_line_has(boot_command_line(), "selftest")) {
        command_line_get(boot_command_line(), "selftest", pattern, sizeof pattern);
        end_tests(kernel_tests_run(pattern));
    }
}

_Noreturn void kernel_main(const struct boot_info *info)
{
    const char *complaint = boot_info_check(info);
    boot_info_keep(info);
    cpu_early_init(info);
    identity_map_drop();
    if (complaint) {
        panic("%s", complaint);
    }
    timeline_init(info);
    timeline_mark("kernel.entry");
    consoles_start();
    timeline_mark("kernel.console");
    command_line_check(boot_command_line(), command_line_options, command_line_option_count, report_option,
                       NULL);
    banner_print();
    timeline_mark("kernel.ready");
    run_tests_if_asked();
    monitor_run();
}
