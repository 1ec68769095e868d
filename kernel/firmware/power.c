/*
 * Switching off and restarting; see <ashlar/power.h>.
 *
 * The order for switching off: the firmware's ResetSystem first, because it knows what its machine needs
 * before the power goes (flushing its variable store, chipset quirks that ACPI leaves to AML methods we
 * cannot run); the ACPI registers where the firmware's services cannot be used. The same for a restart.
 * QEMU's isa-debug-exit is no way to switch off: it ends the emulator with a status, which only tests and
 * panics want.
 */
#define LOG_SUBSYSTEM "power"
#include <ashlar/acpi_register.h>
#include <ashlar/clock.h>
#include <ashlar/console.h>
#include <ashlar/efi_runtime.h>
#include <ashlar/log.h>
#include <ashlar/platform.h>
#include <ashlar/power.h>
#include <x86/i8042.h>
#include <x86/ich9.h>
#include <x86/interrupt.h>
#include <x86/port.h>

/* PM1 control register (ACPI 6.5, 4.8.3.2.1) and sleep control register (4.8.3.7). */
#define PM1_SCI_ENABLED  (1u << 0)
#define PM1_TYPE_SHIFT   10
#define PM1_TYPE_MASK    (7u << PM1_TYPE_SHIFT)
#define PM1_SLEEP        (1u << 13)
#define SLEEP_TYPE_SHIFT 2
#define SLEEP_ENABLE     (1u << 5)

#define ACPI_MODE_NANOSECONDS 300000000ULL
#define ACTION_NANOSECONDS    1000000000ULL /* how long hardware may take to do what it was told */

/* Waits a while for the power to go; without a clock, a bounded number of turns. */
static void wait_for_action(void)
{
    uint64_t begin = clock_nanoseconds();
    for (uint32_t i = 0; i < UINT32_MAX && clock_nanoseconds() - begin < ACTION_NANOSECONDS; i++) {
        cpu_relax();
    }
}

#define LEGACY_PORTS_END 0x100 /* below lie the mainboard's devices, and no ACPI registers */
#define PM1_CONTROL_AT   4     /* from the start of the ICH9's block */

/* The PM1a control register; where the table names none that can be, the chipset's own. */
static struct acpi_register pm1a_control(const struct acpi_fadt *fadt)
{
    struct acpi_register control = fadt->pm1a_control;
    if (control.space == ACPI_SPACE_PORT && control.address < LEGACY_PORTS_END) {
        uint16_t block = ich9_power_block();
        control.address = block + PM1_CONTROL_AT;
        control.bits = block != 0 ? control.bits : 0;
    }
    return control;
}

/*
 * The PM1 registers may be used in ACPI mode only (4.8.2.2): asks the firmware to switch it on if it is off.
 */
static bool enter_acpi_mode(const struct acpi_fadt *fadt, const struct acpi_register *control)
{
    if (acpi_register_read(control) & PM1_SCI_ENABLED) {
        return true;
    }
    if (fadt->smi_command == 0 || fadt->smi_command > 0xffff || fadt->acpi_enable == 0) {
        return true; /* there is no other mode */
    }
    port_write8((uint16_t)fadt->smi_command, fadt->acpi_enable);
    uint64_t begin = clock_nanoseconds();
    while (!(acpi_register_read(control) & PM1_SCI_ENABLED)) {
        if (clock_nanoseconds() - begin > ACPI_MODE_NANOSECONDS) {
            return false;
        }
        cpu_relax();
    }
    return true;
}

static void write_sleep(const struct acpi_register *where, uint8_t type)
{
    uint64_t value = acpi_register_read(where) & ~(uint64_t)(PM1_TYPE_MASK | PM1_SLEEP);
    acpi_register_write(where, value | (uint64_t)type << PM1_TYPE_SHIFT | PM1_SLEEP);
}

/* The sleep state S5 through the registers. Returns when the machine has none that work. */
static void acpi_power_off(void)
{
    const struct acpi_fadt *fadt = &acpi_info()->fadt;
    const struct acpi_soft_off *soft_off = &acpi_info()->soft_off;
    if (!fadt->present || !soft_off->known) {
        return;
    }
    if (fadt->hardware_reduced) {
        if (acpi_register_usable(&fadt->sleep_control)) {
            acpi_register_write(&fadt->sleep_control, soft_off->type_a << SLEEP_TYPE_SHIFT | SLEEP_ENABLE);
            wait_for_action();
        }
        return;
    }
    const struct acpi_register control = pm1a_control(fadt);
    if (!acpi_register_usable(&control) || !enter_acpi_mode(fadt, &control)) {
        return;
    }
    write_sleep(&control, soft_off->type_a);
    if (acpi_register_usable(&fadt->pm1b_control)) {
        write_sleep(&fadt->pm1b_control, soft_off->type_b);
    }
    wait_for_action();
}

_Noreturn void power_off(void)
{
    console_flush();
    interrupts_disable();
    efi_reset(EFI_RESET_SHUTDOWN);
    acpi_power_off();
    console_print("Neither firmware nor ACPI could switch the machine off. It is safe to do so by hand.\n");
    console_flush();
    cpu_halt_forever();
}

static void acpi_reset(void)
{
    const struct acpi_fadt *fadt = &acpi_info()->fadt;
    if (fadt->present && fadt->reset_supported && acpi_register_usable(&fadt->reset)) {
        acpi_register_write(&fadt->reset, fadt->reset_value);
        wait_for_action();
    }
}

/* An exception without a descriptor table to handle it is a triple fault, which resets the CPU. */
_Noreturn static void triple_fault(void)
{
    static const struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) nothing = {0, 0};
    __asm__ volatile("lidt %0; ud2" : : "m"(nothing));
    cpu_halt_forever();
}

_Noreturn void power_reboot(void)
{
    console_flush();
    interrupts_disable();
    efi_reset(EFI_RESET_COLD);
    acpi_reset();
    i8042_pulse_reset();
    wait_for_action();
    triple_fault();
}
