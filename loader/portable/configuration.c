/* See configuration.h. One pass over the bytes, with a small state: where the line is, and whether inside
 * quotes. */
#include "configuration.h"

#include <ashlar/string.h>

struct parser {
    char *out;             /* the line so far */
    size_t capacity;       /* of out, one kept for the NUL */
    size_t length;         /* characters in out */
    size_t line;           /* number of the line, from 1 */
    bool in_quotes;        /* between two quotes */
    bool in_comment;       /* behind a '#' */
    size_t pending_blanks; /* seen, but not written: blanks at a line's start and end do not count */
    bool line_has_text;    /* something of this line has been written */
};

static bool append(struct parser *parser, char character, struct loader_error *error)
{
    if (parser->length + 1 >= parser->capacity) {
        return loader_fail(error, "configuration: line %zu does not fit the %zu bytes of the command line",
                           parser->line, parser->capacity);
    }
    parser->out[parser->length++] = character;
    return true;
}

/* Writes a character that is not a blank, and the blanks that turned out to stand before it. */
static bool append_text(struct parser *parser, char character, struct loader_error *error)
{
    if (!parser->line_has_text) {
        parser->pending_blanks = parser->length > 0 ? 1 : 0;
        parser->line_has_text = true;
    }
    for (; parser->pending_blanks > 0; parser->pending_blanks--) {
        if (!append(parser, ' ', error)) {
            return false;
        }
    }
    return append(parser, character, error);
}

static bool end_line(struct parser *parser, struct loader_error *error)
{
    if (parser->in_quotes) {
        return loader_fail(error, "configuration: line %zu has a quote that is not closed", parser->line);
    }
    parser->in_comment = false;
    parser->line_has_text = false;
    parser->pending_blanks = 0;
    parser->line++;
    return true;
}

static bool check_byte(const struct parser *parser, uint8_t byte, size_t offset, struct loader_error *error)
{
    if ((byte < ' ' && byte != '\t') || byte == 0x7f) {
        return loader_fail(error, "configuration: byte 0x%02x at offset %zu is not text", byte, offset);
    }
    if (byte >= 0x80 && !parser->in_comment) {
        return loader_fail(error, "configuration: byte 0x%02x at offset %zu is not ASCII", byte, offset);
    }
    return true;
}

static bool take_byte(struct parser *parser, uint8_t byte, size_t offset, struct loader_error *error)
{
    if (!check_byte(parser, byte, offset, error)) {
        return false;
    }
    if (parser->in_comment) {
        return true;
    }
    if (byte == '#' && !parser->in_quotes) {
        parser->in_comment = true;
        return true;
    }
    if (byte == ' ' || byte == '\t') {
        parser->pending_blanks++;
        return true;
    }
    if (byte == '"') {
        parser->in_quotes = !parser->in_quotes;
    }
    return append_text(parser, (char)byte, error);
}

static bool parse_bytes(struct parser *parser, const uint8_t *file, size_t bytes, struct loader_error *error)
{
    size_t offset = bytes >= 3 && memcmp(file, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    for (; offset < bytes; offset++) {
        uint8_t byte = file[offset];
        bool is_second_of_pair = byte == '\n' && offset > 0 && file[offset - 1] == '\r';
        if (is_second_of_pair) {
            continue;
        }
        bool taken =
            byte == '\n' || byte == '\r' ? end_line(parser, error) : take_byte(parser, byte, offset, error);
        if (!taken) {
            return false;
        }
    }
    return end_line(parser, error);
}

bool configuration_parse(const void *file, size_t bytes, char *out, size_t capacity,
                         struct loader_error *error)
{
    out[0] = '\0';
    if (bytes > CONFIGURATION_BYTES_MAX) {
        return loader_fail(error, "configuration: %zu bytes are more than %d", bytes,
                           CONFIGURATION_BYTES_MAX);
    }
    if (bytes >= 2 && (memcmp(file, "\xff\xfe", 2) == 0 || memcmp(file, "\xfe\xff", 2) == 0)) {
        return loader_fail(error, "configuration: the file is UTF-16 (mark at offset 0), not UTF-8 or ASCII");
    }
    struct parser parser = {.out = out, .capacity = capacity, .line = 1};
    if (!parse_bytes(&parser, file, bytes, error)) {
        out[0] = '\0';
        return false;
    }
    out[parser.length] = '\0';
    return true;
}

bool configuration_join(const char *file, const char *options, char *out, size_t capacity,
                        struct loader_error *error)
{
    size_t file_length = strlen(file);
    size_t options_length = strlen(options);
    size_t blank = file_length > 0 && options_length > 0 ? 1 : 0;
    out[0] = '\0';
    if (file_length + blank + options_length >= capacity) {
        return loader_fail(error, "command line: %zu bytes from the file and %zu from load options pass %zu",
                           file_length, options_length, capacity);
    }
    memcpy(out, file, file_length);
    if (blank) {
        out[file_length] = ' ';
    }
    memcpy(out + file_length + blank, options, options_length + 1);
    return true;
}
