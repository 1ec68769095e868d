/* Monitor command that shows interrupts by vector: irq. */
#include <ashlar/monitor.h>
#include <x86/apic.h>
#include <x86/interrupt.h>

/* Whether the vector is listed: if it has come, or, for device interrupts only, if it has a handler. */
static bool is_shown(unsigned vector)
{
    return interrupt_count(vector) != 0 || (vector >= EXCEPTION_COUNT && interrupt_name(vector) != NULL);
}

static const char *name_of(unsigned vector)
{
    const char *name = interrupt_name(vector);
    return name != NULL ? name : "no handler";
}

static void irq_json(void)
{
    struct json json;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_string(&json, "apic", !apic_available() ? "none" : apic_is_x2apic() ? "x2apic" : "xapic");
    json_number(&json, "free", interrupts_free_count());
    json_array_begin(&json, "vectors");
    for (unsigned vector = 0; vector < INTERRUPT_VECTORS; vector++) {
        if (is_shown(vector)) {
            json_object_begin(&json, NULL);
            json_number(&json, "vector", vector);
            json_string(&json, "name", name_of(vector));
            json_number(&json, "count", interrupt_count(vector));
            json_object_end(&json);
        }
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

static void irq_run(struct monitor_call *call)
{
    if (call->json) {
        irq_json();
        return;
    }
    if (apic_available()) {
        monitor_print("local APIC %u in %s mode, errors seen 0x%02" PRIx64 "\n", apic_id(),
                      apic_is_x2apic() ? "x2APIC" : "xAPIC", apic_error_status());
    } else {
        monitor_print("no local APIC: interrupts are off\n");
    }
    monitor_print("%u of %u vectors for devices are free\n", interrupts_free_count(),
                  VECTOR_DEVICES_END - VECTOR_DEVICES);
    monitor_print("%6s %12s  %s\n", "vector", "count", "name");
    for (unsigned vector = 0; vector < INTERRUPT_VECTORS; vector++) {
        if (is_shown(vector)) {
            monitor_print("  0x%02x %'12" PRIu64 "  %s\n", vector, interrupt_count(vector), name_of(vector));
        }
    }
}

MONITOR_COMMAND(
    irq, irq_run, "", "interrupts of this CPU by vector",
    "All device interrupts with a handler, and every exception or stray interrupt that came, with\n"
    "how often. 'spurious' are those that were withdrawn before the CPU took them. Drivers take vectors\n"
    "as they start and give them back as they stop; those that nobody has are free.\n"
    "Examples:\n"
    "  irq\n"
    "  irq -j    "
    "{\"apic\":\"xapic\",\"free\":N,\"vectors\":[{\"vector\":48,\"name\":\"serial\",\"count\":N},...]}\n",
    .flags = MONITOR_JSON);
