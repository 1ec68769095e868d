/* Monitor command that shows interrupts by vector: irq. */
#include <ashlar/monitor.h>
#include <ashlar/processor.h>
#include <x86/apic.h>
#include <x86/interrupt.h>

#define CPUS_IN_COLUMNS 4 /* as many as fit on a line of 80 columns */

/* The count of one CPU, or 0 when it is none that was started. */
static uint64_t count_on(unsigned index, unsigned vector)
{
    const struct processor *processor = processor_at(index);
    return processor && processor->cpu ? interrupt_count_of(processor->cpu, vector) : 0;
}

static uint64_t count_on_all(unsigned vector)
{
    uint64_t count = 0;
    for (unsigned i = 0; processor_at(i) != NULL; i++) {
        count += count_on(i, vector);
    }
    return count;
}

/* Whether the vector is listed: if it has come, or, for device interrupts only, if it has a handler. */
static bool is_shown(unsigned vector)
{
    return count_on_all(vector) != 0 || (vector >= EXCEPTION_COUNT && interrupt_name(vector) != NULL);
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
            json_number(&json, "count", count_on_all(vector));
            json_array_begin(&json, "by_cpu");
            for (unsigned i = 0; processor_at(i) != NULL; i++) {
                json_number(&json, NULL, count_on(i, vector));
            }
            json_array_end(&json);
            json_object_end(&json);
        }
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

/* Whether a column is shown for the CPU: where there are several, as far as a line has room. */
static bool has_column(unsigned index)
{
    return index < CPUS_IN_COLUMNS && processor_at(1) != NULL && processor_at(index) != NULL;
}

static void print_vector(unsigned vector)
{
    monitor_print("  0x%02x %'12" PRIu64, vector, count_on_all(vector));
    for (unsigned i = 0; has_column(i); i++) {
        monitor_print(" %'9" PRIu64, count_on(i, vector));
    }
    monitor_print("  %s\n", name_of(vector));
}

static void print_vectors(void)
{
    monitor_print("%6s %12s", "vector", "count");
    for (unsigned i = 0; has_column(i); i++) {
        monitor_print("     CPU %u", i);
    }
    monitor_print("  name\n");
    for (unsigned vector = 0; vector < INTERRUPT_VECTORS; vector++) {
        if (is_shown(vector)) {
            print_vector(vector);
        }
    }
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
    print_vectors();
}

MONITOR_COMMAND(
    irq, irq_run, "", "interrupts by vector, and by CPU",
    "All device interrupts with a handler, and every exception or stray interrupt that came, with\n"
    "how often: on all CPUs together and, where there are several, on each of the first four.\n"
    "'spurious' are those that were withdrawn before the CPU took them. Drivers take vectors as they\n"
    "start and give them back as they stop; those that nobody has are free.\n"
    "Examples:\n"
    "  irq\n"
    "  irq -j    {\"apic\":\"xapic\",\"free\":N,\"vectors\":[{\"vector\":48,\"name\":\"serial\",\n"
    "            \"count\":N,\"by_cpu\":[N,...]},...]}\n",
    .flags = MONITOR_JSON);
