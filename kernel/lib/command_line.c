/* The kernel command line: taking it apart and checking it; see <ashlar/command_line.h>. */
#include <ashlar/command_line.h>
#include <ashlar/format.h>
#include <ashlar/string.h>

#define COMPLAINT_BYTES 240
#define SHOWN_MAX       80 /* characters of a word that a complaint repeats */

static bool is_blank(char character)
{
    return character == ' ' || character == '\t';
}

static bool is_name_character(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= '0' && character <= '9') ||
           character == '.' || character == '_' || character == '-';
}

static bool is_word_end(char character)
{
    return character == '\0' || is_blank(character);
}

static const char *skip_word(const char *at)
{
    while (!is_word_end(*at)) {
        at++;
    }
    return at;
}

/* Takes the value that begins at `at` apart. Returns where the word ends. */
static const char *read_value(const char *at, struct command_line_option *option)
{
    bool quoted = *at == '"';
    if (quoted) {
        const char *close = strchr(at + 1, '"');
        if (!close) {
            option->malformed = "the quote is not closed";
            return skip_word(at);
        }
        option->value = at + 1;
        option->value_bytes = (size_t)(close - option->value);
        at = close + 1;
        if (!is_word_end(*at)) {
            option->malformed = "the closing quote is not followed by a blank";
        }
        return skip_word(at);
    }
    const char *end = skip_word(at);
    option->value = at;
    option->value_bytes = (size_t)(end - at);
    for (; at < end; at++) {
        if (*at == '"') {
            option->malformed = "a quote has to follow the '=' at once";
        }
    }
    return end;
}

/* init= stands last: what follows belongs to the program. */
static bool takes_the_rest(const struct command_line_option *option)
{
    static const char name[] = "init";
    return option->name_bytes == sizeof name - 1 && memcmp(option->name, name, sizeof name - 1) == 0;
}

bool command_line_next(const char **cursor, struct command_line_option *option)
{
    const char *at = *cursor;
    while (is_blank(*at)) {
        at++;
    }
    *option = (struct command_line_option){.word = at, .name = at};
    if (*at == '\0') {
        *cursor = at;
        return false;
    }
    while (is_name_character(*at)) {
        at++;
    }
    option->name_bytes = (size_t)(at - option->name);
    if (*at == '=' && takes_the_rest(option)) {
        option->value = at + 1;
        option->value_bytes = strlen(at + 1);
        at += 1 + option->value_bytes;
    } else if (*at == '=' && option->name_bytes > 0) {
        at = read_value(at + 1, option);
    } else if (!is_word_end(*at)) {
        option->malformed = "a name is made of a-z 0-9 . _ -";
        at = skip_word(at);
    }
    option->word_bytes = (size_t)(at - option->word);
    *cursor = at;
    return true;
}

static bool equals(const char *text, size_t bytes, const char *expected)
{
    return strlen(expected) == bytes && memcmp(text, expected, bytes) == 0;
}

/* The last well-formed occurrence of the option; false when there is none. */
static bool find_last(const char *line, const char *name, struct command_line_option *found)
{
    bool present = false;
    struct command_line_option option;
    while (command_line_next(&line, &option)) {
        if (!option.malformed && equals(option.name, option.name_bytes, name)) {
            *found = option;
            present = true;
        }
    }
    return present;
}

bool command_line_has(const char *line, const char *name)
{
    struct command_line_option option;
    return find_last(line, name, &option);
}

bool command_line_get(const char *line, const char *name, char *value, size_t value_bytes)
{
    struct command_line_option option;
    value[0] = '\0';
    if (!find_last(line, name, &option) || option.value_bytes >= value_bytes) {
        return false;
    }
    if (option.value) {
        memcpy(value, option.value, option.value_bytes);
    }
    value[option.value_bytes] = '\0';
    return true;
}

/* The value of a digit, or 16 when it is none. */
static unsigned digit_value(char character)
{
    if (character >= '0' && character <= '9') {
        return (unsigned)(character - '0');
    }
    if (character >= 'a' && character <= 'f') {
        return (unsigned)(character - 'a') + 10;
    }
    if (character >= 'A' && character <= 'F') {
        return (unsigned)(character - 'A') + 10;
    }
    return 16;
}

bool command_line_number(const char *text, size_t bytes, uint64_t *number)
{
    unsigned base = 10;
    if (bytes > 2 && text[0] == '0' && text[1] == 'x') {
        base = 16;
        text += 2;
        bytes -= 2;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < bytes; i++) {
        unsigned digit = digit_value(text[i]);
        if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value)) {
            return false;
        }
    }
    if (bytes == 0) {
        return false;
    }
    *number = value;
    return true;
}

static bool is_choice(const char *choices, const char *value, size_t bytes)
{
    for (;;) {
        const char *bar = strchr(choices, '|');
        size_t length = bar ? (size_t)(bar - choices) : strlen(choices);
        if (length == bytes && memcmp(choices, value, bytes) == 0) {
            return true;
        }
        if (!bar) {
            return false;
        }
        choices = bar + 1;
    }
}

static const struct command_line_known *find_known(const struct command_line_option *option,
                                                   const struct command_line_known *known, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (equals(option->name, option->name_bytes, known[i].name)) {
            return &known[i];
        }
    }
    return NULL;
}

/* What is wrong with a text value, or NULL. */
static const char *text_fault(const struct command_line_option *option, bool needed)
{
    if (needed && option->value_bytes == 0) {
        return "needs a value";
    }
    return option->value_bytes >= COMMAND_LINE_VALUE_BYTES ? "the value is too long" : NULL;
}

/*
 * What is wrong with the value of a known option, or NULL; for some kinds the text goes through `buffer`.
 */
static const char *value_fault(const struct command_line_option *option,
                               const struct command_line_known *known, char *buffer, size_t bytes)
{
    uint64_t number = 0;
    switch (known->kind) {
    case OPTION_FLAG:
        return option->value ? "takes no value" : NULL;
    case OPTION_CHOICE:
        if (option->value && is_choice(known->choices, option->value, option->value_bytes)) {
            return NULL;
        }
        format(buffer, bytes, "has to be one of %s", known->choices);
        return buffer;
    case OPTION_NUMBER:
        if (option->value && command_line_number(option->value, option->value_bytes, &number) &&
            number >= known->minimum && number <= known->maximum) {
            return NULL;
        }
        format(buffer, bytes, "has to be a number from %" PRIu64 " to %" PRIu64, known->minimum,
               known->maximum);
        return buffer;
    case OPTION_TEXT:
        return text_fault(option, true);
    case OPTION_OPTIONAL_TEXT:
        return text_fault(option, false);
    }
    return "is of a kind that cannot be checked";
}

size_t command_line_check(const char *line, const struct command_line_known *known, size_t count,
                          command_line_report *report, void *context)
{
    size_t complaints = 0;
    struct command_line_option option;
    while (command_line_next(&line, &option)) {
        char complaint[COMPLAINT_BYTES];
        char buffer[COMPLAINT_BYTES / 2];
        const char *fault = option.malformed;
        if (!fault) {
            const struct command_line_known *match = find_known(&option, known, count);
            fault = match ? value_fault(&option, match, buffer, sizeof buffer) : "there is no such option";
        }
        if (fault) {
            format(complaint, sizeof complaint, "option %.*s%s: %s",
                   (int)min_u64(option.word_bytes, SHOWN_MAX), option.word,
                   option.word_bytes > SHOWN_MAX ? "..." : "", fault);
            report(context, complaint);
            complaints++;
        }
    }
    return complaints;
}
