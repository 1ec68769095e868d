/*
 * Any bytes as a line for the monitor: splitting, parsing against a table of commands, evaluating addresses,
 * and completing never read or write out of bounds, and what they give keeps their promises.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel/lib/monitor/parse.h"
#include "tests/fuzz/require.h"

static void no_run(struct monitor_call *call)
{
    (void)call;
}

static const struct monitor_command command_list[] = {
    {.name = "mem", .arguments = "", .run = no_run, .flags = MONITOR_JSON},
    {.name = "log",
     .arguments = "[TEXT]",
     .run = no_run,
     .options = MONITOR_OPTIONS({"-n", "COUNT", ""}, {"--level", "LEVEL", ""}, {"--raw", NULL, ""}),
     .words = MONITOR_WORDS("boot", "frames"),
     .arguments_max = 1,
     .flags = MONITOR_JSON},
    {.name = "x",
     .arguments = "ADDRESS",
     .run = no_run,
     .arguments_min = 1,
     .arguments_max = MONITOR_WORDS_MAX - 1,
     .flags = MONITOR_FORMAT | MONITOR_SYMBOLS},
};

static const struct monitor_table table = {command_list, sizeof command_list / sizeof command_list[0]};

static bool find_symbol(const char *name, size_t bytes, uint64_t *value)
{
    *value = 0xffffffff80000000;
    return bytes == 5 && memcmp(name, "start", 5) == 0;
}

static void add_symbols(struct line_completion *completion)
{
    line_completion_add(completion, "start");
    line_completion_add(completion, "stack_top");
}

static void check_call(const struct monitor_call *call, const char *line, size_t bytes)
{
    require(call->argument_count >= call->command->arguments_min);
    require(call->argument_count <= call->command->arguments_max);
    for (unsigned i = 0; i < call->argument_count; i++) {
        require(call->arguments[i] >= line && call->arguments[i] <= line + bytes);
        uint64_t value;
        char error[MONITOR_ERROR_BYTES] = "";
        bool good = monitor_evaluate(call->arguments[i], find_symbol, &value, error);
        require(good == (error[0] == '\0'));
    }
    require(call->arguments[call->argument_count] == NULL || call->argument_count == MONITOR_WORDS_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *line = malloc(bytes + 1); /* of exactly this size, so that the sanitizer sees one byte too far */
    char error[MONITOR_ERROR_BYTES] = "";
    struct monitor_words words;
    struct monitor_call call;
    struct line_completion completion = {0};
    memcpy(line, data, bytes);
    line[bytes] = '\0';
    size_t length = strlen(line);
    monitor_complete(&table, line, length, add_symbols, &completion);
    require(completion.prefix_bytes <= length &&
            completion.prefix + completion.prefix_bytes == line + length);
    require(completion.count == 0 || completion.common_bytes >= completion.prefix_bytes);
    if (!monitor_split(line, &words, error)) {
        require(error[0] != '\0');
    } else if (words.count > 0) {
        require(error[0] == '\0' && words.count <= MONITOR_WORDS_MAX);
        if (monitor_parse_call(&table, &words, &call, error)) {
            require(error[0] == '\0');
            check_call(&call, line, bytes);
        } else {
            require(error[0] != '\0' && strchr(error, '\n') == NULL);
        }
    }
    free(line);
    return 0;
}
