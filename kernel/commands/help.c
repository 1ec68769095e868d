/* Monitor commands about the monitor: help, version, pager. */
#include <ashlar/boot.h>
#include <ashlar/monitor.h>
#include <ashlar/number.h>
#include <ashlar/string.h>

#include "kernel/monitor/commands.h"
#include "kernel/monitor/output.h"

#define NAME_COLUMNS 14

static void list_json(const struct monitor_table *table)
{
    struct json json;
    const struct monitor_command *command = NULL;
    char usage[MONITOR_USAGE_BYTES];
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_array_begin(&json, "commands");
    while ((command = monitor_next(table, command))) {
        json_object_begin(&json, NULL);
        json_string(&json, "name", command->name);
        json_string(&json, "usage", monitor_usage(command, usage));
        json_string(&json, "summary", command->summary);
        json_object_end(&json);
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

static void list_commands(const struct monitor_table *table)
{
    const struct monitor_command *command = NULL;
    while ((command = monitor_next(table, command))) {
        monitor_print("  %-*s%s\n", NAME_COLUMNS, command->name, command->summary);
    }
    monitor_print("'help COMMAND' explains one of them, with examples. Numbers: 4096, 0x1000, 4K, 2MiB.\n"
                  "Addresses: numbers, symbols, and sums such as kernel_main+0x10. Tab completes; the arrow\n"
                  "keys edit the line and bring earlier lines back; ctrl-c stops a command.\n");
}

static void describe_option(const char *name, const char *value, const char *help)
{
    size_t used = strlen(name) + (value ? strlen(value) + 1 : 0);
    int padding = used < NAME_COLUMNS ? (int)(NAME_COLUMNS - used) : 1;
    monitor_print("  %s%s%s%*s%s\n", name, value ? " " : "", value ? value : "", padding, "", help);
}

static void describe(const struct monitor_command *command)
{
    char usage[MONITOR_USAGE_BYTES];
    monitor_print("%s: %s\nusage: %s\n", command->name, command->summary, monitor_usage(command, usage));
    if (command->flags & MONITOR_JSON) {
        describe_option("-j", NULL, "answers with one line of JSON");
    }
    for (const struct monitor_option *option = command->options; option && option->name; option++) {
        describe_option(option->name, option->value, option->help);
    }
    for (const char *line = command->help;
         *line != '\0';) { /* all of it is more than one print has room for */
        const char *end = strchr(line, '\n');
        size_t bytes = end ? (size_t)(end - line) : strlen(line);
        monitor_print("%.*s\n", (int)bytes, line);
        line += bytes + (end != NULL);
    }
}

static void help_run(struct monitor_call *call)
{
    struct monitor_table table = monitor_commands();
    if (call->json) {
        list_json(&table);
        return;
    }
    if (call->argument_count == 0) {
        list_commands(&table);
        return;
    }
    const struct monitor_command *command = monitor_find(&table, call->arguments[0]);
    if (command) {
        describe(command);
    } else {
        monitor_error(call, "no command '%.40s'; 'help' lists all", call->arguments[0]);
    }
}

static void complete_command(struct line_completion *completion)
{
    struct monitor_table table = monitor_commands();
    const struct monitor_command *command = NULL;
    while ((command = monitor_next(&table, command))) {
        line_completion_add(completion, command->name);
    }
}

MONITOR_COMMAND(help, help_run, "[COMMAND]", "the commands, or how to use one",
                "Examples:\n"
                "  help        all commands, a line each\n"
                "  help mem    what mem shows, its options, and examples\n"
                "  help -j     {\"commands\":[{\"name\":...,\"usage\":...,\"summary\":...},...]}\n",
                .complete = complete_command, .arguments_max = 1, .flags = MONITOR_JSON);

static void version_run(struct monitor_call *call)
{
    const struct boot_firmware *firmware = &boot_info()->firmware;
    if (call->json) {
        struct json json;
        monitor_json_begin(&json);
        json_object_begin(&json, NULL);
        json_string(&json, "version", ASHLAR_VERSION);
        json_string(&json, "compiler", __VERSION__);
        json_string(&json, "firmware", firmware->vendor);
        json_number(&json, "uefi_major", firmware->uefi_revision >> 16);
        json_number(&json, "uefi_minor", firmware->uefi_revision & 0xffff);
        json_bool(&json, "secure_boot", firmware->secure_boot != 0);
        json_object_end(&json);
        json_end(&json);
        return;
    }
    uint32_t minor = firmware->uefi_revision & 0xffff; /* 2.7 is 70, 2.3.1 is 31 */
    monitor_print("Ashlar %s, compiled by %s\n", ASHLAR_VERSION, __VERSION__);
    monitor_print("firmware %s %#x, UEFI %u.%u", firmware->vendor, firmware->firmware_revision,
                  firmware->uefi_revision >> 16, minor / 10);
    monitor_print(minor % 10 ? ".%u, " : ", ", minor % 10);
    monitor_print("Secure Boot %s\n", firmware->secure_boot ? "on" : "off");
}

MONITOR_COMMAND(version, version_run, "", "version of Ashlar, its compiler, and the firmware",
                "Examples:\n"
                "  version\n"
                "  version -j    the same as {\"version\":...,\"compiler\":...,\"firmware\":...,...}\n",
                .flags = MONITOR_JSON);

static bool find_pager_mode(const char *text, enum pager_mode *mode)
{
    for (unsigned i = 0; i < PAGER_MODE_COUNT; i++) {
        if (strcmp(pager_mode_name((enum pager_mode)i), text) == 0) {
            *mode = (enum pager_mode)i;
            return true;
        }
    }
    return false;
}

static void pager_run(struct monitor_call *call)
{
    enum pager_mode mode = PAGER_ON;
    uint64_t rows = 0;
    const char *wish = call->arguments[0];
    if (!wish) {
        monitor_print("pager %s, page of %u rows\n", pager_mode_name(pager_mode()), pager_rows());
        return;
    }
    if (!find_pager_mode(wish, &mode)) {
        if (number_parse(wish, &rows) != NUMBER_OK || rows < 2 || rows > 1000) {
            monitor_error(call, "'%.40s' is not auto, on, off or a height of 2 to 1000 rows", wish);
            return;
        }
    }
    pager_set(mode, (unsigned)rows);
}

MONITOR_COMMAND(
    pager, pager_run, "[auto|on|off|ROWS]", "when long output stops at the end of a page",
    "At a page's end: space shows the next page, enter one more line, q or ctrl-c stops the command.\n"
    "With 'auto', which is the default, output stops only on a terminal that answers when asked what\n"
    "it is, and not when more has been typed ahead: scripts and log files are never held up. JSON\n"
    "and test reports are never paged. The boot option pager=on|off|auto sets the same.\n"
    "Examples:\n"
    "  pager        shows what is set\n"
    "  pager off    output never stops\n"
    "  pager 50     stops every 50 rows\n",
    .words = MONITOR_WORDS("auto", "on", "off"), .arguments_max = 1);
