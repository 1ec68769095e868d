/* Monitor command that shows the log: log. */
#include <ashlar/log.h>
#include <ashlar/monitor.h>
#include <ashlar/string.h>

/* Which lines are wanted. */
struct log_filter {
    enum log_level level;  /* and more urgent ones */
    const char *subsystem; /* only of this one; NULL for all */
};

static bool passes(const struct log_filter *filter, const struct log_record *record)
{
    return record->level <= filter->level &&
           (!filter->subsystem || strcmp(record->subsystem, filter->subsystem) == 0);
}

static void record_json(struct json *json, const struct log_record *record)
{
    json_object_begin(json, NULL);
    json_number(json, "sequence", record->sequence);
    json_number(json, "ticks", record->ticks);
    json_string(json, "level", log_level_name(record->level));
    json_number(json, "cpu", record->cpu);
    json_string(json, "subsystem", record->subsystem);
    json_string(json, "text", record->text);
    json_object_end(json);
}

static void show_json(struct log_reader reader, const struct log_filter *filter)
{
    struct json json;
    struct log_record record;
    monitor_json_begin(&json);
    json_object_begin(&json, NULL);
    json_array_begin(&json, "lines");
    while (!monitor_interrupted() && log_read(&reader, &record)) {
        if (passes(filter, &record)) {
            record_json(&json, &record);
        }
    }
    json_array_end(&json);
    json_object_end(&json);
    json_end(&json);
}

static void show(struct log_reader reader, const struct log_filter *filter)
{
    struct log_record record;
    char line[LOG_LINE_BYTES];
    while (!monitor_interrupted() && log_read(&reader, &record)) {
        if (record.lost > 0) {
            monitor_print("... %" PRIu64 " lines have dropped out of the log\n", record.lost);
        }
        if (passes(filter, &record)) {
            log_format_record(&record, line, sizeof line);
            monitor_print("%s\n", line);
        }
    }
}

static void log_run(struct monitor_call *call)
{
    struct log_filter filter = {LOG_DEBUG, call->arguments[0]};
    uint64_t lines = 0;
    const char *level = monitor_option(call, "--level");
    const char *count = monitor_option(call, "-n");
    if (level && !log_level_parse(level, &filter.level)) {
        monitor_error(call, "'%.40s' is not error, warning, info or debug", level);
        return;
    }
    if (count && !monitor_number(call, count, &lines)) {
        return;
    }
    struct log_reader reader = count ? log_reader_last(lines) : log_reader_first();
    if (call->json) {
        show_json(reader, &filter);
    } else {
        show(reader, &filter);
    }
}

MONITOR_COMMAND(
    log, log_run, "[SUBSYSTEM]", "the kernel's log, oldest line first",
    "The log holds the last 512 lines, also those below the level that the console shows.\n"
    "Examples:\n"
    "  log                      all that the log holds\n"
    "  log -n 20                the last 20 lines\n"
    "  log --level=warning      warnings and errors\n"
    "  log acpi                 lines of one subsystem\n"
    "  log -j                   {\"lines\":[{\"sequence\":N,\"ticks\":N,\"level\":...,\"cpu\":N,\n"
    "                            \"subsystem\":...,\"text\":...},...]}\n",
    .options = MONITOR_OPTIONS({"-n", "COUNT", "looks at the last COUNT lines only"},
                               {"--level", "LEVEL", "error, warning, info or debug: these and worse"}),
    .arguments_max = 1, .flags = MONITOR_JSON);
