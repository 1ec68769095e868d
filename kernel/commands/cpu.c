/* Monitor command that shows the processor: cpu. */
#include <ashlar/monitor.h>
#include <ashlar/string.h>
#include <x86/control_registers.h>
#include <x86/cpu.h>

/* A register that start-up has set: its value now, and the value it was set to. */
struct control_value {
    const char *name;
    uint64_t actual;
    uint64_t wanted;
};

#define CONTROL_VALUES 4

static void control_values(struct control_value values[CONTROL_VALUES])
{
    struct cpu_control actual = cpu_control_actual();
    struct cpu_control wanted = cpu_control_wanted();
    values[0] = (struct control_value){"cr0", actual.cr0, wanted.cr0};
    values[1] = (struct control_value){"cr4", actual.cr4, wanted.cr4};
    values[2] = (struct control_value){"efer", actual.efer, wanted.efer};
    values[3] = (struct control_value){"pat", actual.pat, wanted.pat};
}

static void cpu_json(const char *name)
{
    struct json json;
    struct control_value values[CONTROL_VALUES];
    control_values(values);
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_string(&json, "name", name);
    json_number(&json, "physical_bits", cpu_physical_address_bits());
    json_number(&json, "virtual_bits", cpu_virtual_address_bits());
    json_object_begin(&json, "registers");
    for (unsigned i = 0; i < CONTROL_VALUES; i++) {
        json_hex(&json, values[i].name, values[i].actual);
    }
    json_object_end(&json);
    json_array_begin(&json, "features");
    for (unsigned feature = 0; feature < CPU_FEATURE_COUNT; feature++) {
        if (cpu_has((enum cpu_feature)feature)) {
            json_string(&json, NULL, cpu_feature_name((enum cpu_feature)feature));
        }
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

/* The names of the features that the CPU has, or has not, in rows of at most 80 columns. */
static void list_features(const char *title, bool present)
{
    size_t column = 0;
    for (unsigned feature = 0; feature < CPU_FEATURE_COUNT; feature++) {
        if (cpu_has((enum cpu_feature)feature) != present) {
            continue;
        }
        const char *name = cpu_feature_name((enum cpu_feature)feature);
        if (column == 0 || column + strlen(name) > 78) {
            monitor_print(column == 0 ? "%-12s" : "\n%-12s", column == 0 ? title : "");
            column = 12;
        }
        monitor_print("%s ", name);
        column += strlen(name) + 1;
    }
    monitor_print(column > 0 ? "\n" : "");
}

static void cpu_run(struct monitor_call *call)
{
    char name[CPU_NAME_BYTES];
    cpu_name(name);
    if (call->json) {
        cpu_json(name);
        return;
    }
    monitor_print("name        %s\n", name);
    monitor_print("addresses   physical %u bits, virtual %u bits\n", cpu_physical_address_bits(),
                  cpu_virtual_address_bits());
    list_features("has", true);
    list_features("has not", false);
    struct control_value values[CONTROL_VALUES];
    control_values(values);
    for (unsigned i = 0; i < CONTROL_VALUES; i++) {
        bool right = values[i].actual == values[i].wanted;
        monitor_print("%-11s 0x%016" PRIx64 " %s\n", values[i].name, values[i].actual,
                      right ? "as set at start" : "CHANGED since start");
    }
    monitor_print("%-11s 0x%016" PRIx64 "\n", "cr3", cr3_read());
}

MONITOR_COMMAND(
    cpu, cpu_run, "", "the processor, its features, and its control registers",
    "'has' and 'has not' name the features that Ashlar makes use of. Control registers are compared\n"
    "with what start-up set.\n"
    "Examples:\n"
    "  cpu\n"
    "  cpu -j    "
    "{\"name\":...,\"physical_bits\":N,\"virtual_bits\":N,\"registers\":{...},\"features\":[...]}\n",
    .flags = MONITOR_JSON);
