/* Tab completion; see parse.h. */
#include "parse.h"

#include <ashlar/string.h>

/* What the completed part of the line says about the word under way. */
struct context {
    const char *word;                      /* the word under way */
    size_t word_bytes;                     /* typed of it */
    unsigned place;                        /* words before it */
    char first[32];                        /* first word of the line, "" when it is longer */
    const struct monitor_command *command; /* named by it, or NULL */
};

/* Finds the word under way. Quotes are ignored: nothing that can be completed needs any. */
static struct context find_word(const struct monitor_table *table, const char *line, size_t cursor)
{
    struct context context = {.word = line, .word_bytes = cursor};
    for (size_t at = 0; at < cursor; at++) {
        if (line[at] != ' ') {
            continue;
        }
        size_t bytes = (size_t)(line + at - context.word);
        if (context.place == 0 && bytes > 0 && bytes < sizeof context.first) {
            memcpy(context.first, context.word, bytes);
        }
        context.place += bytes > 0;
        context.word = line + at + 1;
    }
    context.word_bytes = (size_t)(line + cursor - context.word);
    char *slash = strchr(context.first, '/');
    if (slash) {
        *slash = '\0';
    }
    context.command = context.place > 0 ? monitor_find(table, context.first) : NULL;
    return context;
}

static void add_options(const struct monitor_command *command, struct line_completion *completion)
{
    if (command->flags & MONITOR_JSON) {
        line_completion_add(completion, "-j");
    }
    for (const struct monitor_option *option = command->options; option && option->name; option++) {
        line_completion_add(completion, option->name);
    }
}

static void add_arguments(const struct context *context,
                          void (*add_symbols)(struct line_completion *completion),
                          struct line_completion *completion)
{
    const struct monitor_command *command = context->command;
    for (const char *const *word = command->words; word && *word && context->place == 1; word++) {
        line_completion_add(completion, *word);
    }
    if (command->complete) {
        command->complete(completion);
    }
    if (command->flags & MONITOR_SYMBOLS) {
        add_symbols(completion);
    }
}

void monitor_complete(const struct monitor_table *table, const char *line, size_t cursor,
                      void (*add_symbols)(struct line_completion *completion),
                      struct line_completion *completion)
{
    struct context context = find_word(table, line, cursor);
    completion->prefix = context.word;
    completion->prefix_bytes = context.word_bytes;
    if (context.place == 0) {
        const struct monitor_command *command = NULL;
        while ((command = monitor_next(table, command))) {
            line_completion_add(completion, command->name);
        }
    } else if (context.command && context.word_bytes > 0 && context.word[0] == '-') {
        add_options(context.command, completion);
    } else if (context.command && context.command->arguments_max > 0) {
        add_arguments(&context, add_symbols, completion);
    }
}
