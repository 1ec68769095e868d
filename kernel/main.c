/*
 * The story of start-up. The loader has set up page tables and a stack (<ashlar/boot_info.h>); from here on
 * the kernel takes the machine over, step by step, and ends in the monitor or, when asked, in its tests.
 */
#include <ashlar/acpi.h>
#include <ashlar/boot.h>
#include <ashlar/clock.h>
#include <ashlar/command_line.h>
#include <ashlar/console.h>
#include <ashlar/files.h>
#include <ashlar/hooks.h>
#include <ashlar/interrupts.h>
#include <ashlar/log.h>
#include <ashlar/memory.h>
#include <ashlar/mmio.h>
#include <ashlar/monitor.h>
#include <ashlar/panic.h>
#include <ashlar/platform.h>
#include <ashlar/power.h>
#include <ashlar/processor.h>
#include <ashlar/random.h>
#include <ashlar/start.h>
#include <ashlar/symbols.h>
#include <ashlar/test.h>
#include <ashlar/timeline.h>
#include <ashlar/validate.h>
#include <ashlar/world.h>
#include <x86/boot_paging.h>
#include <x86/cpu.h>

#include "kernel.h"
#include "kernel/linux/process.h"
#include "kernel/memory/page_fault.h"
#include "kernel/task/task.h"

#define LOG_SUBSYSTEM "boot"

/* All functions of the kernel that lower rooms call. */
const struct kernel_hooks kernel_hooks = {
    .start = kernel_main,
    .panic = panic_report,
    .panic_exception = panic_exception,
    .page_fault = kernel_page_fault,
    .symbol_find = symbol_find,
    .device_map = device_map,
    .processor_enter = processor_enter,
    .reschedule = thread_preempt,
    .user_work = task_user_work,
    .mutex_sleep = mutex_sleep,
    .mutex_hand_on = mutex_hand_on,
    .nanoseconds = clock_nanoseconds,
};

_Static_assert(offsetof(struct kernel_hooks, start) == 0, "where entry.S looks for it");

static void report_option(void *context, const char *complaint)
{
    (void)context;
    log_warning("command line: %s", complaint);
}

/* Tells QEMU how the tests went; a machine without its exit device is switched off. */
static _Noreturn void end_tests(unsigned failures)
{
    console_flush();
    power_debug_exit(failures ? POWER_EXIT_FAILED_TESTS : POWER_EXIT_SUCCESS);
    power_off();
}

/* Runs the tests the command line asks for and ends the machine; returns when it asks for none. */
static void run_tests_if_asked(void)
{
    char pattern[64] = "";
    if (command_line_has(boot_command_line(), "selftest")) {
        command_line_get(boot_command_line(), "selftest", pattern, sizeof pattern);
        const struct kernel_test_order by_name = {0};
#ifdef ASHLAR_DEBUG
        end_tests(interleaved_tests_run(pattern, &by_name));
#else
        end_tests(kernel_tests_run(pattern, &by_name));
#endif
    }
}

/* Frames, the kernel's own page tables, the boot services' memory, the heap. */
static void start_memory(const struct boot_info *info)
{
    memory_start(info);
    start_reached(START_FRAMES);
    timeline_mark("kernel.memory");
    address_space_start(info);
    start_reached(START_PAGING);
    timeline_mark("kernel.paging");
    /* On a small machine nearly all memory is boot memory: the pool must have it before others allocate. */
    memory_reclaim_boot();
    timeline_mark("kernel.reclaim");
    heap_start(info, &heap_virtual_blocks);
    start_reached(START_HEAP);
    collect_start();
    timeline_mark("kernel.heap");
}

static void start_kernel_addresses(const struct boot_info *info)
{
    addresses_start(info);
    start_reached(START_ADDRESSES);
    heap_guard_start();
    timeline_mark("kernel.addresses");
    spaces_start();
    start_reached(START_SPACES);
    page_faults_start();
    threads_start();
#ifdef ASHLAR_DEBUG
    validate_alone(world_stop, world_resume);
    validate_at_random(VALIDATE_ONE_IN);
#endif
}

void kernel_main(const struct boot_info *info)
{
    const char *complaint = boot_info_check(info);
    boot_info_keep(info);
    cpu_early_init(info);
    if (complaint) {
        panic("%s", complaint);
    }
    random_start(info->seed.bytes);
#ifdef ASHLAR_DEBUG
    loader_tables_audit(info);
#endif
    identity_map_drop();
    timeline_init(info);
    timeline_mark("kernel.entry");
    consoles_start();
    timeline_mark("kernel.console");
    command_line_check(boot_command_line(), command_line_options, command_line_option_count, report_option,
                       NULL);
#ifdef ASHLAR_DEBUG
    loader_tables_judge();
#endif
    start_reached(START_CONSOLE);
    acpi_initialise(info);
    start_reached(START_FIRMWARE);
    start_memory(info);
    start_kernel_addresses(info);
    devices_start(info);
    start_reached(START_DEVICES);
    timeline_mark("kernel.devices");
    programs_start();
    processors_start();
    timeline_mark("kernel.processors");
    files_start(info);
    proc_mount();
    timeline_mark("kernel.files");
    banner_print();
    timeline_mark("kernel.ready");
    run_tests_if_asked();
    init_run_if_asked();
    monitor_run();
}
