/* The program that the command line names: init=PATH ARGUMENT..., the last word of the line. */
#define LOG_SUBSYSTEM "init"
#include <ashlar/boot.h>
#include <ashlar/command_line.h>
#include <ashlar/console.h>
#include <ashlar/format.h>
#include <ashlar/log.h>
#include <ashlar/power.h>
#include <ashlar/string.h>

#include "process.h"

#define LINE_BYTES 64

/* Words, each with its terminator, one after the other. */
struct words {
    struct program_strings strings;
    char bytes[2 * COMMAND_LINE_VALUE_BYTES + 128];
};

static void add(struct words *words, char character)
{
    words->bytes[words->strings.length++] = character;
}

/* Takes one word: up to a blank, quotes aside, which keep blanks together. Returns where it ends. */
static const char *add_word(struct words *words, const char *at)
{
    bool quoted = false;
    while (*at && (quoted || (*at != ' ' && *at != '\t'))) {
        if (*at == '"') {
            quoted = !quoted;
        } else {
            add(words, *at);
        }
        at++;
    }
    add(words, 0);
    return at;
}

static void add_text(struct words *words, const char *text)
{
    memcpy(words->bytes + words->strings.length, text, strlen(text) + 1);
    words->strings.length += strlen(text) + 1;
}

/* Arguments, environment, and the path once more: what it was found by. */
static void make_words(struct words *words, const char *line)
{
    static const char *const environment[] = {"PATH=/bin:/sbin:/usr/bin:/usr/sbin", "HOME=/", "TERM=vt100"};
    words->strings =
        (struct program_strings){.bytes = words->bytes, .variable_count = ARRAY_LENGTH(environment)};
    for (;;) {
        while (*line == ' ' || *line == '\t') {
            line++;
        }
        if (*line == 0) {
            break;
        }
        line = add_word(words, line);
        words->strings.argument_count++;
    }
    for (size_t i = 0; i < ARRAY_LENGTH(environment); i++) {
        add_text(words, environment[i]);
    }
    char path[COMMAND_LINE_VALUE_BYTES];
    memcpy(path, words->bytes, strlen(words->bytes) + 1);
    add_text(words, path);
}

/* One line for people and tools: "exit 7", "signal 11", "error 2". */
static void tell_end(const char *path, int error, uint64_t status)
{
    char end[LINE_BYTES];
    char line[LINE_BYTES];
    unsigned signal = status & 0x7f;
    if (error) {
        format(end, sizeof end, "error %d", -error);
        log_error("%s cannot be run: error %d", path, -error);
    } else {
        format(end, sizeof end, "%s %u", signal ? "signal" : "exit",
               signal ? signal : (unsigned)(status >> 8 & 0xff));
        log_info("%s ended: %s", path, end);
    }
    format(line, sizeof line, "program: %s\n", end);
    power_debug_line(line);
}

void init_run_if_asked(void)
{
    char value[COMMAND_LINE_VALUE_BYTES];
    char after[8];
    struct words words;
    struct program_report report;
    const char *line = boot_command_line();
    if (!command_line_get(line, "init", value, sizeof value)) {
        return;
    }
    make_words(&words, value);
    int error =
        words.strings.argument_count == 0 ? -ENOENT : program_run(words.bytes, &words.strings, &report);
    tell_end(words.bytes, error, error ? 0 : report.status);
    if (command_line_get(line, "init-end", after, sizeof after) && strcmp(after, "off") == 0) {
        console_flush();
        power_off();
    }
}
