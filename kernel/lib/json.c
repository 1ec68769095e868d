/* A writer of one line of JSON; see <ashlar/json.h>. */
#include <ashlar/format.h>
#include <ashlar/json.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>
#include <ashlar/text.h>

static void flush(struct json *json)
{
    if (json->pending > 0) {
        json->write(json->context, json->buffer, json->pending);
        json->pending = 0;
    }
}

static void put(struct json *json, const char *text, size_t bytes)
{
    if (bytes > sizeof json->buffer - json->pending) {
        flush(json);
    }
    memcpy(json->buffer + json->pending, text, bytes);
    json->pending += bytes;
}

static void put_text(struct json *json, const char *text)
{
    put(json, text, strlen(text));
}

/* Writes one character of a string and returns how many bytes of `text` it was. */
static size_t put_character(struct json *json, const char *text, size_t bytes)
{
    uint8_t byte = (uint8_t)text[0];
    if (byte == '"' || byte == '\\') {
        char escaped[2] = {'\\', (char)byte};
        put(json, escaped, sizeof escaped);
        return 1;
    }
    if (byte < 0x20 || byte == 0x7f) {
        char escaped[8];
        put(json, escaped, format(escaped, sizeof escaped, "\\u%04x", byte));
        return 1;
    }
    unsigned length = text_character_length(text, bytes);
    if (length == 0) {
        put_text(json, TEXT_REPLACEMENT);
        return 1;
    }
    put(json, text, length);
    return length;
}

static void put_string(struct json *json, const char *text)
{
    put_text(json, "\"");
    size_t bytes = strlen(text);
    for (size_t at = 0; at < bytes;) {
        at += put_character(json, text + at, bytes - at);
    }
    put_text(json, "\"");
}

static uint32_t level_bit(const struct json *json)
{
    return (uint32_t)1 << json->depth;
}

/* The comma and the name before a value. */
static void begin_value(struct json *json, const char *name)
{
    bool in_object = json->depth > 0 && !(json->arrays & level_bit(json));
    if (in_object != (name != NULL) || (json->depth == 0 && (json->started & level_bit(json)))) {
        panic("json: value '%s' does not belong here", name ? name : "");
    }
    if (json->started & level_bit(json)) {
        put_text(json, ",");
    }
    json->started |= level_bit(json);
    if (name) {
        put_string(json, name);
        put_text(json, ":");
    }
}

static void open_level(struct json *json, const char *name, bool array)
{
    begin_value(json, name);
    if (json->depth == JSON_DEPTH_MAX) {
        panic("json: nested deeper than %u", JSON_DEPTH_MAX);
    }
    json->depth++;
    json->started &= ~level_bit(json);
    json->arrays = array ? json->arrays | level_bit(json) : json->arrays & ~level_bit(json);
    put_text(json, array ? "[" : "{");
}

static void close_level(struct json *json, bool array)
{
    if (json->depth == 0 || ((json->arrays & level_bit(json)) != 0) != array) {
        panic("json: nothing of this kind to close");
    }
    json->depth--;
    put_text(json, array ? "]" : "}");
}

void json_begin(struct json *json, void (*write)(void *context, const char *text, size_t bytes),
                void *context)
{
    json->write = write;
    json->context = context;
    json->depth = 0;
    json->arrays = 0;
    json->started = 0;
    json->pending = 0;
}

void json_end(struct json *json)
{
    if (json->depth != 0) {
        panic("json: %u levels left open", json->depth);
    }
    put_text(json, "\n");
    flush(json);
}

void json_object_begin(struct json *json, const char *name)
{
    open_level(json, name, false);
}

void json_object_end(struct json *json)
{
    close_level(json, false);
}

void json_array_begin(struct json *json, const char *name)
{
    open_level(json, name, true);
}

void json_array_end(struct json *json)
{
    close_level(json, true);
}

void json_number(struct json *json, const char *name, uint64_t value)
{
    char text[24];
    begin_value(json, name);
    put(json, text, format(text, sizeof text, "%" PRIu64, value));
}

void json_signed(struct json *json, const char *name, int64_t value)
{
    char text[24];
    begin_value(json, name);
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    put(json, text, format(text, sizeof text, value < 0 ? "-%" PRIu64 : "%" PRIu64, magnitude));
}

void json_bool(struct json *json, const char *name, bool value)
{
    begin_value(json, name);
    put_text(json, value ? "true" : "false");
}

void json_hex(struct json *json, const char *name, uint64_t value)
{
    char text[24];
    begin_value(json, name);
    put(json, text, format(text, sizeof text, "\"0x%" PRIx64 "\"", value));
}

void json_string(struct json *json, const char *name, const char *text)
{
    begin_value(json, name);
    put_string(json, text);
}
