/*
 * Any calls of the JSON writer that fit together, with any bytes as names and strings: a strict reader (RFC
 * 8259) takes what was written, and reads what the calls said; what was no UTF-8 as U+FFFD.
 */
#include "tests/host/lib/utf8_model.h"

#include <ashlar/json.h>
#include <ashlar/text.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/require.h"

#define TEXT_MAX   (1U << 16)
#define STRING_MAX 24

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct text {
    char bytes[TEXT_MAX];
    size_t count;
};

static struct text written; /* what the writer wrote */
static struct text wanted;  /* the calls in order: kind, value, NUL */
static struct text found;   /* the same, read from what was written */

static void add(struct text *text, const char *bytes, size_t count)
{
    require(count <= TEXT_MAX - text->count);
    memcpy(text->bytes + text->count, bytes, count);
    text->count += count;
}

static void note(struct text *text, char kind, const char *value)
{
    add(text, &kind, 1);
    add(text, value, strlen(value) + 1);
}

static void collect(void *context, const char *bytes, size_t count)
{
    add(context, bytes, count);
}

/* ---- Writing ---- */

/* What is left of the input. */
struct input {
    const uint8_t *at, *end;
};

static uint8_t next(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

static uint64_t next_number(struct input *input)
{
    uint64_t number = 0;
    for (unsigned bytes = next(input) % 9; bytes > 0; bytes--) {
        number = number << 8 | next(input);
    }
    return number;
}

static void next_string(struct input *input, char string[STRING_MAX])
{
    size_t count = next(input) % STRING_MAX;
    for (size_t i = 0; i < count; i++) {
        string[i] = (char)next(input);
    }
    string[count] = '\0';
}

/* Notes a string with U+FFFD in place of each byte that is no part of a character. */
static void note_string(char kind, const char *string)
{
    size_t left = strlen(string);
    add(&wanted, &kind, 1);
    while (left > 0) {
        uint32_t value;
        unsigned length = utf8_model_character((const uint8_t *)string, left, &value);
        add(&wanted, length ? string : TEXT_REPLACEMENT, length ? length : strlen(TEXT_REPLACEMENT));
        string += length ? length : 1;
        left -= length ? length : 1;
    }
    add(&wanted, "", 1);
}

static void write_number(struct json *json, const char *name, struct input *input, unsigned kind)
{
    char digits[32];
    uint64_t number = next_number(input);
    switch (kind) {
    case 0:
        json_number(json, name, number);
        (void)snprintf(digits, sizeof digits, "%" PRIu64, number);
        note(&wanted, 'n', digits);
        break;
    case 1:
        json_signed(json, name, (int64_t)number);
        (void)snprintf(digits, sizeof digits, "%" PRId64, (int64_t)number);
        note(&wanted, 'n', digits);
        break;
    case 2:
        json_hex(json, name, number);
        (void)snprintf(digits, sizeof digits, "0x%" PRIx64, number);
        note(&wanted, 's', digits);
        break;
    default:
        json_bool(json, name, number & 1);
        note(&wanted, number & 1 ? 't' : 'f', "");
        break;
    }
}

/* Writes values, and nests, until the array or object is closed or the input ends. */
static void write_values(struct json *json, struct input *input, bool in_array)
{
    char name[STRING_MAX];
    char string[STRING_MAX];
    for (uint8_t choice; input->at < input->end && (choice = next(input) % 8) != 7;) {
        if (!in_array) {
            next_string(input, name);
            note_string('k', name);
        }
        const char *given = in_array ? NULL : name;
        if (choice < 4) {
            write_number(json, given, input, choice);
        } else if (choice == 4 || json->depth == JSON_DEPTH_MAX) {
            next_string(input, string);
            json_string(json, given, string);
            note_string('s', string);
        } else {
            bool array = choice == 5;
            note(&wanted, array ? '[' : '{', "");
            array ? json_array_begin(json, given) : json_object_begin(json, given);
            write_values(json, input, array);
            array ? json_array_end(json) : json_object_end(json);
            note(&wanted, array ? ']' : '}', "");
        }
    }
}

/* ---- Reading ---- */

static const char *reading;

static bool takes(char character)
{
    bool is_next = *reading == character;
    reading += is_next;
    return is_next;
}

static void read_escape(void)
{
    unsigned value;
    int used = 0;
    if (takes('u')) {
        require(sscanf(reading, "%4x%n", &value, &used) == 1 && used == 4 && value < 0x80);
        reading += 4;
        char byte = (char)value;
        add(&found, &byte, 1);
    } else {
        require(*reading == '"' || *reading == '\\');
        add(&found, reading++, 1);
    }
}

static void read_string(char kind)
{
    add(&found, &kind, 1);
    require(takes('"'));
    while (!takes('"')) {
        uint32_t value;
        if (takes('\\')) {
            read_escape();
            continue;
        }
        unsigned length = utf8_model_character((const uint8_t *)reading, strlen(reading), &value);
        require(length != 0 && value >= 0x20 && value != 0x7f);
        add(&found, reading, length);
        reading += length;
    }
    add(&found, "", 1);
}

static void read_number(void)
{
    char digits[32] = "";
    size_t count = strspn(reading, "-0123456789");
    const char *first = reading + (*reading == '-');
    require(count > 0 && count < sizeof digits && *first >= '0' && *first <= '9');
    require(*first != '0' || count == (size_t)(first - reading) + 1);
    memcpy(digits, reading, count);
    reading += count;
    note(&found, 'n', digits);
}

static void read_value(void)
{
    bool array = *reading == '[';
    if (array || *reading == '{') {
        reading++;
        note(&found, array ? '[' : '{', "");
        for (bool first = true; !takes(array ? ']' : '}'); first = false) {
            require(first || takes(','));
            if (!array) {
                read_string('k');
                require(takes(':'));
            }
            read_value();
        }
        note(&found, array ? ']' : '}', "");
    } else if (*reading == '"') {
        read_string('s');
    } else if (*reading == 't' || *reading == 'f') {
        const char *word = *reading == 't' ? "true" : "false";
        require(strncmp(reading, word, strlen(word)) == 0);
        reading += strlen(word);
        note(&found, *word, "");
    } else {
        read_number();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input input = {data, data + size};
    struct json json;
    written.count = wanted.count = found.count = 0;
    json_begin(&json, collect, &written);
    json_object_begin(&json, NULL);
    note(&wanted, '{', "");
    write_values(&json, &input, false);
    json_object_end(&json);
    note(&wanted, '}', "");
    json_end(&json);
    add(&written, "", 1);
    reading = written.bytes;
    read_value();
    require(strcmp(reading, "\n") == 0);
    require(found.count == wanted.count && memcmp(found.bytes, wanted.bytes, found.count) == 0);
    return 0;
}
