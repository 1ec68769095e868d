/* Monitor command that makes things go wrong on purpose: fault. */
#include <ashlar/command_line.h>
#include <ashlar/monitor.h>
#include <ashlar/platform.h>
#include <ashlar/processor.h>
#include <ashlar/provoke.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <stdatomic.h>

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

/* The CPU that "cpu=N" names; false when it names none that runs. */
static bool parse_cpu(struct monitor_call *call, const char *text, unsigned *cpu)
{
    uint64_t number;
    const char *digits = text + sizeof "cpu=" - 1;
    if (strncmp(text, "cpu=", sizeof "cpu=" - 1) != 0 ||
        !command_line_number(digits, strlen(digits), &number)) {
        monitor_error(call, "'%.40s' is not cpu=N", text);
        return false;
    }
    const struct processor *processor = number < processors_count() ? processor_at((unsigned)number) : NULL;
    if (!processor || atomic_load(&processor->state) != PROCESSOR_ONLINE) {
        monitor_error(call, "CPU %" PRIu64 " is not online; 'cpus' lists them", number);
        return false;
    }
    *cpu = (unsigned)number;
    return true;
}

static void provoke(void *context, unsigned cpu)
{
    const struct provocation *provocation = context;
    (void)cpu;
    provocation->run();
}

static void fault_run(struct monitor_call *call)
{
    unsigned cpu = cpu_number();
    if (!kernel_tests_are_loaded()) {
        monitor_error(call, KERNEL_TESTS_LEFT_OUT);
        return;
    }
    if (call->argument_count == 0) {
        list_kinds(call);
        return;
    }
    const struct provocation *provocation = provocation_find(call->arguments[0]);
    if (!provocation) {
        monitor_error(call, "'%.40s' is no kind of fault; 'fault' alone lists them", call->arguments[0]);
        return;
    }
    if (call->argument_count == 2 && !parse_cpu(call, call->arguments[1], &cpu)) {
        return;
    }
    processor_run_on(cpu, provoke, (void *)provocation);
    monitor_error(call, "%s did not happen", provocation->name);
}

static void complete_kind(struct line_completion *completion)
{
    size_t count = 0;
    const struct provocation *all = kernel_tests_are_loaded() ? provocations(&count) : NULL;
    for (size_t i = 0; i < count; i++) {
        line_completion_add(completion, all[i].name);
    }
}

MONITOR_COMMAND(
    fault, fault_run, "[KIND [cpu=N]]", "provokes a fault on purpose, to see it explained",
    "Makes a failure of the kind named, which ends the machine with a panic report; without KIND it\n"
    "lists the kinds. With cpu=N it is CPU N that fails. 'nmi' only waits for an interrupt from outside,\n"
    "until a key is pressed.\n"
    "Examples:\n"
    "  fault\n"
    "  fault null             reads a member of a null pointer\n"
    "  fault stack-overflow   recurses for ever\n"
    "  fault null cpu=1       the first on CPU 1\n",
    .complete = complete_kind, .arguments_max = 2, .flags = MONITOR_JSON);
