/*
 * The kernel command line: what it looks like, how to ask it, and which options there are.
 *
 *     line   = { blank } { option blank { blank } }
 *     option = name [ "=" value ]
 *     name   = one or more of a-z 0-9 . _ -
 *     value  = characters without blank and quote | '"' characters without quote '"'
 *
 * The value of the option `init` is all the rest of the line: a program, and its arguments.
 *
 * A blank is a space or a tab. When an option is there more than once, the last one counts. A word that
 * breaks the grammar is skipped by all but command_line_check(), which complains about it. A value whose
 * closing quote is missing ends at the next blank, so that it does not take in the rest of the line.
 *
 * Pure functions: no locks, no state; the loader and the kernel share them. Lines are NUL-terminated.
 */
#pragma once

#include <ashlar/types.h>

/* The longest value that counts, with its NUL; command_line_check() complains about longer ones. */
#define COMMAND_LINE_VALUE_BYTES 256

/* One word of a command line; points into the line. */
struct command_line_option {
    const char *word;      /* the whole word, for messages */
    size_t word_bytes;     /* its length */
    const char *name;      /* the part before '=' */
    size_t name_bytes;     /* its length */
    const char *value;     /* the value without its quotes; NULL when there is no '=' */
    size_t value_bytes;    /* its length */
    const char *malformed; /* NULL, or what is wrong with the word; then name and value mean nothing */
};

/*
 * Splits the next word at `*cursor` into the parts of `*option` and moves the cursor behind it.
 * Returns false, with the cursor at the final NUL, when there is no further word.
 */
bool command_line_next(const char **cursor, struct command_line_option *option);

/* Whether the option is there, with a value or without. */
bool command_line_has(const char *line, const char *name);

/*
 * Copies the value of the option's last occurrence to `value`, which has room for `value_bytes` (at least 1);
 * an option without '=' has the value "". Returns false, and makes `value` empty, when the option is not
 * there or its value with the NUL does not fit.
 */
bool command_line_get(const char *line, const char *name, char *value, size_t value_bytes);

/*
 * Reads a number: decimal, or hexadecimal after "0x"; no sign, no blanks. Returns false when the `bytes`
 * characters at `text` are anything else or do not fit 64 bits; `*number` is then unchanged.
 */
bool command_line_number(const char *text, size_t bytes, uint64_t *number);

enum command_line_kind {
    OPTION_FLAG,          /* name alone */
    OPTION_CHOICE,        /* name=one of `choices` */
    OPTION_NUMBER,        /* name=number in [minimum, maximum] */
    OPTION_TEXT,          /* name=anything */
    OPTION_OPTIONAL_TEXT, /* name or name=anything */
};

/* An option that exists. */
struct command_line_known {
    const char *name;
    enum command_line_kind kind;
    const char *choices; /* OPTION_CHOICE: the values with '|' between them, such as "on|off"; else NULL */
    uint64_t minimum;    /* OPTION_NUMBER: least value */
    uint64_t maximum;    /* OPTION_NUMBER: greatest value */
    const char *help;    /* one line for a person */
};

/* Every option that the loader or the kernel knows (kernel/lib/command_line_options.c). */
extern const struct command_line_known command_line_options[];
extern const size_t command_line_option_count;

/* Receives one complaint: a line, without a newline, that names the option and its value. */
typedef void command_line_report(void *context, const char *complaint);

/*
 * Checks every word of `line` against `count` known options: grammar, name, and value. Calls `report` with
 * `context` once for each word that is wrong. Returns the number of complaints.
 */
size_t command_line_check(const char *line, const struct command_line_known *known, size_t count,
                          command_line_report *report, void *context);
