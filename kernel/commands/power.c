/* Monitor commands that end this run of the kernel: reboot and poweroff. */
#include <ashlar/monitor.h>
#include <ashlar/power.h>

static void reboot_run(struct monitor_call *call)
{
    (void)call;
    power_reboot();
}

MONITOR_COMMAND(reboot, reboot_run, "", "restarts the machine",
                "By the firmware's reset service; where that fails by the ACPI reset register, the keyboard\n"
                "controller, or a triple fault.\n");

static void poweroff_run(struct monitor_call *call)
{
    (void)call;
    power_off();
}

MONITOR_COMMAND(poweroff, poweroff_run, "", "switches the machine off",
                "By the firmware's reset service, else through the ACPI registers.\n");
