/* Which processors there are; see <ashlar/processor.h>. */
#include <ashlar/acpi.h>
#include <ashlar/heap.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>
#include <x86/apic.h>
#include <x86/cpu.h>

#define LOG_SUBSYSTEM "processors"
#include <ashlar/log.h>

#include "internal.h"

static struct processor boot_processor = {.state = PROCESSOR_ONLINE, .cpu = &boot_cpu};
static struct processor *processors = &boot_processor; /* by index: the boot CPU first */
static unsigned known = 1;                             /* entries of it */
static unsigned numbered = 1;                          /* the first of them: those that are to be started */

/* Fills the list, from index 1 on, with all that are switched on but this one; whether this one is among
 * them. */
static bool fill(unsigned room)
{
    struct acpi_cpus cpus;
    struct acpi_cpu cpu;
    bool met = false;
    acpi_cpus_start(&cpus, &acpi_info()->madt);
    while (acpi_cpus_next(&cpus, &cpu)) {
        if (cpu.enabled && cpu.apic_id == processors[0].apic_id) {
            processors[0].processor_id = cpu.processor_id;
            met = true;
        } else if (cpu.enabled && known < room) {
            processors[known].number = known;
            processors[known].apic_id = cpu.apic_id;
            processors[known].processor_id = cpu.processor_id;
            known++;
        }
    }
    return met;
}

unsigned processors_list(void)
{
    unsigned enabled = processors_enabled();
    boot_processor.apic_id = apic_available() ? apic_id() : 0;
    boot_processor.microcode = cpu_microcode();
    if (enabled <= 1 || !apic_available()) {
        return 1;
    }
    struct processor *all = heap_alloc_zeroed(&kernel_heap, enabled * sizeof *all);
    if (!all) {
        log_error("no memory for a list of %u processors: only this one runs", enabled);
        return 1;
    }
    memcpy(all, &boot_processor, sizeof boot_processor);
    processors = all;
    if (!fill(enabled)) {
        log_warning(
            "this processor, APIC %u, is none that the firmware has switched on: one of those is left out",
            processors[0].apic_id);
    }
    numbered = (unsigned)min_u64(known, processors_count());
    for (unsigned i = numbered; i < known; i++) {
        processors[i].why = "fewer are wanted";
    }
    return numbered;
}

struct processor *processor_listed(unsigned index)
{
    return &processors[index];
}

const struct processor *processor_at(unsigned index)
{
    return index < known ? &processors[index] : NULL;
}

struct per_cpu *processor_data(unsigned number)
{
    return number < numbered ? processors[number].cpu : NULL;
}

unsigned processors_online(void)
{
    unsigned online = 0;
    for (unsigned i = 0; i < numbered; i++) {
        online += atomic_load(&processors[i].state) == PROCESSOR_ONLINE;
    }
    return online;
}
