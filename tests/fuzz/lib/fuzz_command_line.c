/*
 * Any text as a command line: the iterator ends, stays inside the line, and agrees with get, has and check.
 */
#include <ashlar/command_line.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void count_complaint(void *context, const char *complaint)
{
    require(strlen(complaint) > 0);
    ++*(size_t *)context;
}

/* A well-formed option's name has to be found; its last value is what get gives. */
static void check_option(const char *line, const struct command_line_option *option, bool is_last)
{
    char *name = strndup(option->name, option->name_bytes);
    char *value = malloc(strlen(line) + 1);
    require(name && value && command_line_has(line, name));
    require(command_line_get(line, name, value, strlen(line) + 1));
    if (is_last) {
        require(strlen(value) == option->value_bytes);
        require(option->value_bytes == 0 || memcmp(value, option->value, option->value_bytes) == 0);
        require(!command_line_get(line, name, value, option->value_bytes) || option->value_bytes == 0);
    }
    free(value);
    free(name);
}

static size_t walk(const char *line)
{
    const char *cursor = line;
    const char *end = line + strlen(line);
    size_t malformed = 0;
    struct command_line_option option;
    while (command_line_next(&cursor, &option)) {
        require(option.word >= line && option.word_bytes > 0 && option.word + option.word_bytes == cursor);
        require(cursor <= end);
        if (option.malformed) {
            malformed++;
        } else {
            const char *rest = cursor + strspn(cursor, " \t");
            check_option(line, &option, *rest == '\0');
        }
    }
    require(cursor == end);
    return malformed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 1000) {
        return 0;
    }
    char *line = strndup((const char *)data, size);
    require(line);
    size_t reported = 0;
    size_t malformed = walk(line);
    size_t complaints =
        command_line_check(line, command_line_options, command_line_option_count, count_complaint, &reported);
    require(complaints == reported && complaints >= malformed);
    free(line);
    return 0;
}
