/* Lines to calls; see parse.h. */
#include "parse.h"

#include <ashlar/format.h>
#include <ashlar/number.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>
#include <ashlar/text.h>
#include <stdarg.h>

/* Where monitor_split() is. The text is moved towards the start of the line as quotes fall away. */
struct splitter {
    const char *from; /* next character to read */
    char *to;         /* where it goes */
};

bool monitor_refuse(char error[MONITOR_ERROR_BYTES], const char *text_format, ...)
{
    va_list arguments;
    va_start(arguments, text_format);
    format_list(error, MONITOR_ERROR_BYTES, text_format, arguments);
    va_end(arguments);
    for (char *at = error; *at != '\0'; at++) {
        if ((uint8_t)*at < ' ' || *at == 0x7f) {
            *at = '?';
        }
    }
    return false;
}

/* Copies up to the closing quote. */
static bool copy_quoted(struct splitter *splitter, char error[MONITOR_ERROR_BYTES])
{
    char quote = *splitter->from++;
    while (*splitter->from != quote) {
        if (quote == '"' && *splitter->from == '\\') {
            splitter->from++;
        }
        if (*splitter->from == '\0') {
            return monitor_refuse(error, "no closing %c", quote);
        }
        *splitter->to++ = *splitter->from++;
    }
    splitter->from++;
    return true;
}

static bool is_blank(char character)
{
    return character == ' ' || character == '\t';
}

static bool copy_word(struct splitter *splitter, char error[MONITOR_ERROR_BYTES])
{
    while (*splitter->from != '\0' && !is_blank(*splitter->from)) {
        char next = *splitter->from;
        if (next == '\'' || next == '"') {
            if (!copy_quoted(splitter, error)) {
                return false;
            }
            continue;
        }
        if (next == '\\' && *++splitter->from == '\0') {
            return monitor_refuse(error, "nothing after the last \\");
        }
        *splitter->to++ = *splitter->from++;
    }
    return true;
}

bool monitor_split(char *line, struct monitor_words *words, char error[MONITOR_ERROR_BYTES])
{
    struct splitter splitter = {line, line};
    words->count = 0;
    for (;;) {
        while (is_blank(*splitter.from)) {
            splitter.from++;
        }
        if (*splitter.from == '\0' || *splitter.from == '#') {
            return true;
        }
        if (words->count == MONITOR_WORDS_MAX) {
            return monitor_refuse(error, "more than %u words", MONITOR_WORDS_MAX);
        }
        words->words[words->count++] = splitter.to;
        if (!copy_word(&splitter, error)) {
            return false;
        }
        bool last = *splitter.from == '\0';
        *splitter.to++ = '\0';
        if (last) {
            return true;
        }
        splitter.from++;
    }
}

const struct monitor_command *monitor_find(const struct monitor_table *table, const char *name)
{
    for (size_t i = 0; i < table->count; i++) {
        if (strcmp(table->commands[i].name, name) == 0) {
            return &table->commands[i];
        }
    }
    return NULL;
}

const struct monitor_command *monitor_next(const struct monitor_table *table,
                                           const struct monitor_command *previous)
{
    const struct monitor_command *next = NULL;
    for (size_t i = 0; i < table->count; i++) {
        const struct monitor_command *command = &table->commands[i];
        bool after = !previous || strcmp(command->name, previous->name) > 0;
        if (after && (!next || strcmp(command->name, next->name) < 0)) {
            next = command;
        }
    }
    return next;
}

/* The command whose name is nearest to `name`; NULL when none is within two typing errors, one in a short
 * word. */
static const struct monitor_command *nearest_command(const struct monitor_table *table, const char *name)
{
    const struct monitor_command *nearest = NULL;
    unsigned least = strlen(name) < 4 ? 2 : 3;
    for (size_t i = 0; i < table->count; i++) {
        unsigned distance = text_distance(table->commands[i].name, name);
        if (distance < least && distance < strlen(name)) {
            least = distance;
            nearest = &table->commands[i];
        }
    }
    return nearest;
}

/* Finds "x" for "x/8" and points call->format at what follows the slash. */
static const struct monitor_command *find_with_format(const struct monitor_table *table, const char *word,
                                                      struct monitor_call *call)
{
    const char *slash = strchr(word, '/');
    for (size_t i = 0; slash && i < table->count; i++) {
        const struct monitor_command *command = &table->commands[i];
        size_t bytes = (size_t)(slash - word);
        if ((command->flags & MONITOR_FORMAT) && strlen(command->name) == bytes &&
            strncmp(command->name, word, bytes) == 0) {
            call->format = slash + 1;
            return command;
        }
    }
    return monitor_find(table, word);
}

static bool find_command(const struct monitor_table *table, const char *word, struct monitor_call *call,
                         char error[MONITOR_ERROR_BYTES])
{
    call->command = find_with_format(table, word, call);
    if (call->command) {
        return true;
    }
    const struct monitor_command *nearest = nearest_command(table, word);
    if (nearest) {
        monitor_refuse(error, "unknown command '%.40s'; did you mean '%s'?", word, nearest->name);
    } else {
        monitor_refuse(error, "unknown command '%.40s'; 'help' lists all", word);
    }
    return false;
}

static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0' && !(word[1] >= '0' && word[1] <= '9');
}

/* Place in command->options of the option that `word` names, up to its '='; -1 when it names none. */
static int option_place(const struct monitor_command *command, const char *word)
{
    const char *equals = strchr(word, '=');
    size_t bytes = equals ? (size_t)(equals - word) : strlen(word);
    for (int i = 0; command->options && command->options[i].name; i++) {
        if (strlen(command->options[i].name) == bytes &&
            strncmp(command->options[i].name, word, bytes) == 0) {
            return i;
        }
    }
    return -1;
}

/* Takes the option at words[*at], and the word after it when that is its value. */
static bool take_option(const struct monitor_words *words, unsigned *at, struct monitor_call *call,
                        char error[MONITOR_ERROR_BYTES])
{
    const char *word = words->words[*at];
    if ((call->command->flags & MONITOR_JSON) && strcmp(word, "-j") == 0) {
        return true; /* seen by json_wanted() */
    }
    int place = option_place(call->command, word);
    if (place < 0) {
        monitor_refuse(error, "no option '%.40s'; see 'help %s'", word, call->command->name);
        return false;
    }
    const struct monitor_option *option = &call->command->options[place];
    const char *equals = strchr(word, '=');
    if (call->options[place] || (equals && !option->value)) {
        return monitor_refuse(
            error, call->options[place] ? "option %s given twice" : "option %s takes no value", option->name);
    }
    if (option->value && !equals && *at + 1 == words->count) {
        return monitor_refuse(error, "option %s needs a %s", option->name, option->value);
    }
    if (!option->value) {
        call->options[place] = "";
    } else {
        call->options[place] = equals ? equals + 1 : words->words[++*at];
    }
    return true;
}

/* Whether options end at a word, which stands where one may be. */
static bool ends_options(const struct monitor_command *command, const char *word)
{
    return strcmp(word, "--") == 0 || ((command->flags & MONITOR_OPTIONS_FIRST) && !is_option(word));
}

/* Whether -j is among the options: asked first, so that every error can be answered in JSON. */
static bool json_wanted(const struct monitor_command *command, const struct monitor_words *words)
{
    for (unsigned at = 1; at < words->count && (command->flags & MONITOR_JSON); at++) {
        if (ends_options(command, words->words[at])) {
            return false;
        }
        if (strcmp(words->words[at], "-j") == 0) {
            return true;
        }
    }
    return false;
}

static bool check_argument_count(const struct monitor_call *call, char error[MONITOR_ERROR_BYTES])
{
    const struct monitor_command *command = call->command;
    bool few = call->argument_count < command->arguments_min;
    if (!few && call->argument_count <= command->arguments_max) {
        return true;
    }
    char usage[MONITOR_USAGE_BYTES];
    monitor_refuse(error, "too %s arguments (%u); usage: %s", few ? "few" : "many", call->argument_count,
                   monitor_usage(command, usage));
    return false;
}

bool monitor_parse_call(const struct monitor_table *table, const struct monitor_words *words,
                        struct monitor_call *call, char error[MONITOR_ERROR_BYTES])
{
    memset(call, 0, sizeof *call);
    call->format = "";
    if (!find_command(table, words->words[0], call, error)) {
        return false;
    }
    call->json = json_wanted(call->command, words);
    bool options = true;
    for (unsigned at = 1; at < words->count; at++) {
        const char *word = words->words[at];
        bool end = options && ends_options(call->command, word);
        options = options && !end;
        if (end && strcmp(word, "--") == 0) {
            continue;
        }
        if (options && is_option(word)) {
            if (!take_option(words, &at, call, error)) {
                return false;
            }
        } else {
            call->arguments[call->argument_count++] = word;
        }
    }
    return check_argument_count(call, error);
}

const char *monitor_option(const struct monitor_call *call, const char *name)
{
    int place = option_place(call->command, name);
    if (place < 0) {
        panic("monitor: command %s has no option %s", call->command->name, name);
    }
    return call->options[place];
}

/* Adds "[-n COUNT]" for one option to a usage line; returns its new length. */
static size_t add_usage(char text[MONITOR_USAGE_BYTES], size_t length, const char *name, const char *value)
{
    if (length < MONITOR_USAGE_BYTES) {
        length +=
            format(text + length, MONITOR_USAGE_BYTES - length, value ? " [%s %s]" : " [%s]", name, value);
    }
    return length;
}

const char *monitor_usage(const struct monitor_command *command, char text[MONITOR_USAGE_BYTES])
{
    size_t length = format(text, MONITOR_USAGE_BYTES,
                           (command->flags & MONITOR_FORMAT) ? "%s[/FORMAT]" : "%s", command->name);
    if (command->flags & MONITOR_JSON) {
        length = add_usage(text, length, "-j", NULL);
    }
    for (const struct monitor_option *option = command->options; option && option->name; option++) {
        length = add_usage(text, length, option->name, option->value);
    }
    if (command->arguments[0] != '\0' && length < MONITOR_USAGE_BYTES) {
        format(text + length, MONITOR_USAGE_BYTES - length, " %s", command->arguments);
    }
    return text;
}
