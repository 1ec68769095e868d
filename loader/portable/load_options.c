/* See load_options.h. Unwrap the boot entry, decode the text, drop the program's name. */
#include "load_options.h"

#include <ashlar/string.h>

/* EFI_LOAD_OPTION (UEFI 2.10, 3.1.3): a packed header, a UTF-16 description, device paths, optional data. */
enum {
    ENTRY_ATTRIBUTES = 0,  /* uint32_t */
    ENTRY_PATHS_BYTES = 4, /* uint16_t */
    ENTRY_DESCRIPTION = 6, /* UTF-16, with its NUL */

    /* ACTIVE, FORCE_RECONNECT, HIDDEN, CATEGORY: every other bit is reserved and 0. */
    ENTRY_ATTRIBUTES_KNOWN = 0x1 | 0x2 | 0x8 | 0x1f00,

    /* EFI_DEVICE_PATH_PROTOCOL (UEFI 2.10, 10.3.1). */
    PATH_TYPE = 0,   /* uint8_t */
    PATH_LENGTH = 2, /* uint16_t, of the node with its header */
    PATH_HEADER_BYTES = 4,
    PATH_TYPE_END = 0x7f
};

#define BYTE_ORDER_MARK 0xfeff

/* Load options, or the part of them that is still of interest. */
struct span {
    const uint8_t *at;
    size_t bytes;
};

static uint16_t read_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] | at[1] << 8);
}

/* Whether the span is a sequence of whole device path nodes that ends with an end node. */
static bool is_device_paths(struct span span)
{
    bool ended = false;
    while (span.bytes >= PATH_HEADER_BYTES) {
        uint16_t length = read_u16(span.at + PATH_LENGTH);
        if (length < PATH_HEADER_BYTES || length > span.bytes) {
            return false;
        }
        ended = span.at[PATH_TYPE] == PATH_TYPE_END;
        span.at += length;
        span.bytes -= length;
    }
    return ended && span.bytes == 0;
}

/* Bytes of the UTF-16 text at the span's start with its NUL; 0 when there is no NUL. */
static size_t terminated_bytes(struct span span)
{
    for (size_t i = 0; i + 1 < span.bytes; i += 2) {
        if (read_u16(span.at + i) == 0) {
            return i + 2;
        }
    }
    return 0;
}

/*
 * If the span is a whole EFI_LOAD_OPTION, narrows it to the optional data. Its structure cannot be met by
 * chance: text sets reserved attribute bits, and the device paths have to add up.
 */
static void unwrap_entry(struct span *span)
{
    if (span->bytes < ENTRY_DESCRIPTION) {
        return;
    }
    uint32_t attributes = read_u16(span->at) | (uint32_t)read_u16(span->at + 2) << 16;
    if (attributes & ~(uint32_t)ENTRY_ATTRIBUTES_KNOWN) {
        return;
    }
    size_t paths_bytes = read_u16(span->at + ENTRY_PATHS_BYTES);
    struct span rest = {span->at + ENTRY_DESCRIPTION, span->bytes - ENTRY_DESCRIPTION};
    size_t description_bytes = terminated_bytes(rest);
    if (description_bytes == 0 || paths_bytes > rest.bytes - description_bytes) {
        return;
    }
    struct span paths = {rest.at + description_bytes, paths_bytes};
    if (is_device_paths(paths)) {
        *span = (struct span){paths.at + paths_bytes, rest.bytes - description_bytes - paths_bytes};
    }
}

static bool is_text(uint32_t character)
{
    return (character >= ' ' && character < 0x7f) || character == '\t' || character == '\r' ||
           character == '\n';
}

/* Bytes per character: 1 when the text is one byte or begins with two ASCII characters of 8 bits, else 2. */
static size_t character_bytes(struct span span)
{
    return span.bytes == 1 || (span.bytes >= 2 && is_text(span.at[0]) && is_text(span.at[1])) ? 1 : 2;
}

static bool ignore(char *out, struct loader_error *error, uint32_t character, size_t offset)
{
    out[0] = '\0';
    loader_fail(error, "load options ignored: character 0x%02x at offset %zu is not ASCII text",
                (unsigned)character, offset);
    return true;
}

/* Decodes the span up to a NUL or its end; half a character at the end is dropped. Returns as
 * load_options_parse(). */
static bool decode(struct span span, char *out, size_t capacity, struct loader_error *error)
{
    size_t width = character_bytes(span);
    size_t at = width == 2 && span.bytes >= 2 && read_u16(span.at) == BYTE_ORDER_MARK ? 2 : 0;
    size_t length = 0;
    for (; at + width <= span.bytes; at += width) {
        uint32_t character = width == 1 ? span.at[at] : read_u16(span.at + at);
        if (character == 0) {
            break;
        }
        if (!is_text(character)) {
            return ignore(out, error, character, at);
        }
        if (length + 1 >= capacity) {
            out[0] = '\0';
            return loader_fail(error, "load options: the text of %zu bytes does not fit %zu characters",
                               span.bytes, capacity - 1);
        }
        out[length++] = (char)(character < ' ' ? ' ' : character);
    }
    out[length] = '\0';
    return true;
}

static char lower(char character)
{
    bool is_upper = character >= 'A' && character <= 'Z';
    return (char)(is_upper ? character - 'A' + 'a' : character);
}

/* Whether the text of `length` characters ends with `ending` (lower case), in any case. */
static bool ends_with(const char *text, size_t length, const char *ending)
{
    size_t ending_length = strlen(ending);
    if (ending_length > length) {
        return false;
    }
    for (size_t i = 0; i < ending_length; i++) {
        if (lower(text[length - ending_length + i]) != ending[i]) {
            return false;
        }
    }
    return true;
}

/*
 * Whether a word without its quotes names a program: it has a path's punctuation, which no option name has,
 * or it is a file name that the shell would start.
 */
static bool is_program(const char *word, size_t length)
{
    for (size_t i = 0; i < length && word[i] != '='; i++) {
        if (word[i] == '\\' || word[i] == '/' || word[i] == ':') {
            return true;
        }
    }
    return ends_with(word, length, ".efi") ||
           (length == strlen("bootx64") && ends_with(word, length, "bootx64"));
}

/* Where the options begin: behind a first word that names a program. */
static size_t skip_program(const char *text)
{
    bool quoted = text[0] == '"';
    size_t start = quoted ? 1 : 0;
    size_t end = start;
    while (text[end] != '\0' && text[end] != (quoted ? '"' : ' ')) {
        end++;
    }
    if (!is_program(text + start, end - start)) {
        return 0;
    }
    return quoted && text[end] == '"' ? end + 1 : end;
}

static size_t skip_blanks(const char *text, size_t at)
{
    while (text[at] == ' ') {
        at++;
    }
    return at;
}

/* Drops the program's name and the blanks at both ends, in place. */
static void trim(char *text)
{
    size_t start = skip_blanks(text, 0);
    start = skip_blanks(text, start + skip_program(text + start));
    size_t length = strlen(text + start);
    while (length > 0 && text[start + length - 1] == ' ') {
        length--;
    }
    memmove(text, text + start, length);
    text[length] = '\0';
}

bool load_options_parse(const void *options, size_t bytes, char *out, size_t capacity,
                        struct loader_error *error)
{
    out[0] = '\0';
    error->text[0] = '\0';
    if (!options || bytes == 0) {
        return true;
    }
    struct span span = {options, bytes};
    unwrap_entry(&span);
    if (!decode(span, out, capacity, error)) {
        return false;
    }
    trim(out);
    return true;
}
