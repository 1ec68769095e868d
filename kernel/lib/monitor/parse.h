/*
 * What a person typed, taken apart and checked against the table of commands. Portable: no input, no output.
 * Whatever fails leaves one line that says why in `error`.
 */
#pragma once

#include <ashlar/monitor.h>

#define MONITOR_ERROR_BYTES 200

/*
 * printf to `error`, on one line whatever was typed: control characters become '?'. Returns false, for the
 * caller to return.
 */
bool monitor_refuse(char error[MONITOR_ERROR_BYTES], const char *text_format, ...)
    __attribute__((format(printf, 2, 3)));

/* The commands there are, in any order. */
struct monitor_table {
    const struct monitor_command *commands; /* first */
    size_t count;                           /* commands */
};

/* A line cut into words. */
struct monitor_words {
    unsigned count;                       /* words */
    const char *words[MONITOR_WORDS_MAX]; /* into the line */
};

/*
 * Cuts `line` into words, in place. Blanks separate; 'single' quotes keep all as it is; within "double"
 * quotes and outside a backslash keeps the next character. `#` at the start of a word begins a comment.
 */
bool monitor_split(char *line, struct monitor_words *words, char error[MONITOR_ERROR_BYTES]);

/* The command called `name`, or NULL. */
const struct monitor_command *monitor_find(const struct monitor_table *table, const char *name);

/* The command after `previous` in the order of their names, the first for NULL; NULL at the end. */
const struct monitor_command *monitor_next(const struct monitor_table *table,
                                           const struct monitor_command *previous);

/*
 * Finds the command that `words` (at least one) names and sorts its options from its arguments, which are
 * checked as far as its entry says. On failure call->command is the command, or NULL when there is none of
 * that name.
 */
bool monitor_parse_call(const struct monitor_table *table, const struct monitor_words *words,
                        struct monitor_call *call, char error[MONITOR_ERROR_BYTES]);

/*
 * Value of an address: numbers and symbols joined by + and -. `find_symbol` tells the value of
 * name[0..bytes). Values that leave 64 bits, upwards or downwards, are refused.
 */
bool monitor_evaluate(const char *text, bool (*find_symbol)(const char *name, size_t bytes, uint64_t *value),
                      uint64_t *value, char error[MONITOR_ERROR_BYTES]);

/*
 * Completes line[0..cursor): the command's name, then its options, words, and, where it takes them, symbols,
 * which add_symbols() offers.
 */
void monitor_complete(const struct monitor_table *table, const char *line, size_t cursor,
                      void (*add_symbols)(struct line_completion *completion),
                      struct line_completion *completion);

/* The usage line of a command: "mem [-j]". Returns `text`. */
#define MONITOR_USAGE_BYTES 160
const char *monitor_usage(const struct monitor_command *command, char text[MONITOR_USAGE_BYTES]);
