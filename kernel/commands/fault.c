/* Monitor command that makes things go wrong on purpose: fault. */
#include <ashlar/monitor.h>
#include <ashlar/provoke.h>

static void list_kinds(struct monitor_call *call)
{
    size_t count;
    const struct provocation *all = provocations(&count);
    struct json json;
    if (call->json) {
        monitor_json_begin(&json);
        json_array_begin(&json, NULL);
    }
    for (size_t i = 0; i < count && !monitor_interrupted(); i++) {
        if (call->json) {
            json_string(&json, NULL, all[i].name);
        } else {
            monitor_print("  %-18s  %s\n", all[i].name, all[i].help);
        }
    }
    if (call->json) {
        json_array_end(&json);
        json_end(&json);
    }
}

static void fault_run(struct monitor_call *call)
{
    if (call->argument_count == 0) {
        list_kinds(call);
        return;
    }
    const struct provocation *provocation = provocation_find(call->arguments[0]);
    if (!provocation) {
        monitor_error(call, "'%.40s' is no kind of fault; 'fault' alone lists them", call->arguments[0]);
        return;
    }
    provocation->run();
    monitor_error(call, "%s did not happen", provocation->name);
}

static void complete_kind(struct line_completion *completion)
{
    size_t count;
    const struct provocation *all = provocations(&count);
    for (size_t i = 0; i < count; i++) {
        line_completion_add(completion, all[i].name);
    }
}

MONITOR_COMMAND(
    fault, fault_run, "[KIND]", "provokes a fault on purpose, to see it explained",
    "Makes a failure of the kind named, which ends the machine with a panic report; without KIND it\n"
    "lists the kinds. 'nmi' only waits for an interrupt from outside, until a key is pressed.\n"
    "Examples:\n"
    "  fault\n"
    "  fault null             reads a member of a null pointer\n"
    "  fault stack-overflow   recurses for ever\n",
    .complete = complete_kind, .arguments_max = 1, .flags = MONITOR_JSON);
