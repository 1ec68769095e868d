/*
 * The monitor: the prompt `ashlar> ` on serial line and screen, and what a subsystem needs to add a command.
 *
 * A command is one function and one entry, found by the linker; there is no list to keep:
 *
 *     static void frames_run(struct monitor_call *call) { ... }
 *
 *     MONITOR_COMMAND(frames, frames_run, "[ZONE]", "state of the frame allocator",
 *                     "frames       all zones\n"
 *                     "frames dma   one zone\n",
 *                     .flags = MONITOR_JSON, .arguments_max = 1);
 *
 * The checks of what was typed, `help`, the usage line and tab completion are made from the entry. A command
 * prints with monitor_print(), which pages, and asks monitor_interrupted() in every loop that may take long.
 */
#pragma once

#include <ashlar/json.h>
#include <ashlar/line_editor.h>
#include <ashlar/types.h>

#define MONITOR_WORDS_MAX   16
#define MONITOR_OPTIONS_MAX 8

/* An option of a command: "-n COUNT", "--all". Typed as "-n 5" or "--count=5". */
struct monitor_option {
    const char *name;  /* with its dashes */
    const char *value; /* what help calls its value; NULL for a switch */
    const char *help;  /* one line */
};

#define MONITOR_OPTIONS(...) ((const struct monitor_option[]){__VA_ARGS__, {NULL, NULL, NULL}})
#define MONITOR_WORDS(...)   ((const char *const[]){__VA_ARGS__, NULL})

enum monitor_flags {
    MONITOR_JSON = 1 << 0,          /* takes -j: one line of JSON */
    MONITOR_FORMAT = 1 << 1,        /* the name may carry a format, as in x/8 */
    MONITOR_SYMBOLS = 1 << 2,       /* symbols complete its arguments */
    MONITOR_OPTIONS_FIRST = 1 << 3, /* options end at the first argument: what follows is somebody else's */
};

struct monitor_call;

struct monitor_command {
    const char *name;                       /* what is typed */
    const char *arguments;                  /* as usage shows them after the options; "" for none */
    const char *summary;                    /* one line, lower case, no full stop */
    const char *help;                       /* what it shows, and examples; lines that end in '\n'; or "" */
    void (*run)(struct monitor_call *call); /* carries the command out */
    const struct monitor_option *options;   /* MONITOR_OPTIONS(...), or NULL; -j is not listed here */
    const char *const *words;               /* MONITOR_WORDS(...) that its first argument can be, or NULL */
    void (*complete)(struct line_completion *completion); /* offers more words for arguments, or NULL */
    uint16_t arguments_min;                               /* fewer arguments are refused before run() */
    uint16_t arguments_max;                               /* so are more; at most MONITOR_WORDS_MAX - 1 */
    uint32_t flags;                                       /* enum monitor_flags */
};

/* A command as it was typed, already checked against its entry. */
struct monitor_call {
    const struct monitor_command *command;
    const char *format;                       /* what followed the name's slash; "" when nothing did */
    bool json;                                /* -j was given */
    bool failed;                              /* monitor_error() was called */
    unsigned argument_count;                  /* used entries of `arguments` */
    const char *arguments[MONITOR_WORDS_MAX]; /* without options; the rest is NULL */
    /* By place in command->options: an option's value, "" for a switch, NULL where it was not given. */
    const char *options[MONITOR_OPTIONS_MAX];
};

#define MONITOR_COMMAND(command, function, command_arguments, command_summary, command_help, ...)            \
    __attribute__((used, section("ashlar_commands"),                                                         \
                   aligned(8))) static const struct monitor_command monitor_command_##command = {            \
        .name = #command,                                                                                    \
        .arguments = (command_arguments),                                                                    \
        .summary = (command_summary),                                                                        \
        .help = (command_help),                                                                              \
        .run = (function),                                                                                   \
        __VA_ARGS__}

/* The prompt: reads lines and runs commands for ever. */
_Noreturn void monitor_run(void);

/* The same while a program runs, until the key is pressed that leads back to it (<ashlar/console_input.h>).
 */
void monitor_interlude(void);

/* Runs one line as if it had been typed, and overwrites `line` with its words. Returns whether the command
 * did what was asked. */
bool monitor_execute(char *line);

/* ---- For commands ---- */

/* printf to the terminal, page by page; prints nothing once the command is interrupted. Lines end in '\n'. */
void monitor_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/*
 * Answers that the command cannot do what was asked: one line "NAME: text", as JSON {"error":"text"} after
 * -j. The command returns after it.
 */
void monitor_error(struct monitor_call *call, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* From here on the command's output is not paged: for one that prints where it may not wait for a key, as the
 * world stands still or somebody waits for what it has. */
void monitor_page_no_more(void);

/* Whether ctrl-c was pressed, or q at the pager: then the command should stop and return. */
bool monitor_interrupted(void);

/* Begins the line of JSON that answers -j; json_end() ends it. */
void monitor_json_begin(struct json *json);

/* The value given with option `name`: "" for a switch, NULL when it was not given. Panics when it is not
 * declared. */
const char *monitor_option(const struct monitor_call *call, const char *name);

/*
 * Reads a number or an address (a number, a symbol, or a sum as in `frame_alloc+0x10`). On failure answers
 * with monitor_error(), stores nothing and returns false.
 */
bool monitor_number(struct monitor_call *call, const char *text, uint64_t *number);
bool monitor_address(struct monitor_call *call, const char *text, uint64_t *address);
