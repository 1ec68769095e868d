/* Monitor command that makes the kernel fail on purpose: fault. */
#include <ashlar/monitor.h>
#include <ashlar/provoke.h>

static void list_kinds(void)
{
    size_t count;
    const struct provocation *kinds = provocations(&count);
    for (size_t i = 0; i < count; i++) {
        monitor_print("  %-20s %s\n", kinds[i].name, kinds[i].help);
    }
}

static void list_kinds_json(void)
{
    size_t count;
    struct json json;
    const struct provocation *kinds = provocations(&count);
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_array_begin(&json, "kinds");
    for (size_t i = 0; i < count; i++) {
        json_object_begin(&json, NULL);
        json_string(&json, "name", kinds[i].name);
        json_string(&json, "help", kinds[i].help);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

static void fault_run(struct monitor_call *call)
{
    const char *name = call->arguments[0];
    if (!name && call->json) {
        list_kinds_json();
        return;
    }
    if (!name) {
        list_kinds();
        return;
    }
    const struct provocation *kind = provocation_find(name);
    if (!kind) {
        monitor_error(call, "no kind '%.40s'; 'fault' lists all", name);
        return;
    }
    kind->run();
    monitor_error(call, "%s came back", kind->name);
}

static void complete_kind(struct line_completion *completion)
{
    size_t count;
    const struct provocation *kinds = provocations(&count);
    for (size_t i = 0; i < count; i++) {
        line_completion_add(completion, kinds[i].name);
    }
}

MONITOR_COMMAND(
    fault, fault_run, "[KIND]", "makes the kernel fail on purpose, to see how it explains itself",
    "Without KIND lists the kinds. All but a few end the machine with a panic report; a kind that does\n"
    "not says that it came back.\n"
    "Examples:\n"
    "  fault         the kinds, a line each\n"
    "  fault null    reads through a null pointer\n"
    "  fault -j      {\"kinds\":[{\"name\":...,\"help\":...},...]}\n",
    .complete = complete_kind, .arguments_max = 1, .flags = MONITOR_JSON);
