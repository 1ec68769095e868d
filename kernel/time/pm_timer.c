/* The ACPI power-management timer: 3.579545 MHz, 24 or 32 bits (ACPI specification 4.8.2.1). */
#include <ashlar/acpi.h>
#include <ashlar/acpi_register.h>

#include "reference.h"

#define PM_TIMER_HERTZ 3579545

static struct clock_reference pm_timer;

static uint64_t read_counter(void)
{
    return acpi_register_read(&acpi_info()->fadt.pm_timer);
}

const struct clock_reference *pm_timer_reference(void)
{
    const struct acpi_fadt *fadt = &acpi_info()->fadt;
    if (!fadt->present || fadt->hardware_reduced || fadt->pm_timer.bits != 32 ||
        !acpi_register_usable(&fadt->pm_timer)) {
        return NULL;
    }
    pm_timer = (struct clock_reference){.name = "pm-timer",
                                        .hertz = PM_TIMER_HERTZ,
                                        .bits = fadt->pm_timer_32_bits ? 32 : 24,
                                        .read = read_counter};
    return &pm_timer;
}
