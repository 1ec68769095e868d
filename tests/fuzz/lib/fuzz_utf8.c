/*
 * Any bytes as UTF-8, read by the decoder of the terminal, by the one of texts, and by the one of keys: each
 * must agree with the definition.
 */
#include "tests/host/lib/utf8_model.h"

#include <ashlar/key_decoder.h>
#include <ashlar/text.h>
#include <ashlar/utf8.h>
#include <string.h>

#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many bytes a lead announces, by table 3-7; 0 for none. */
static size_t announced(uint8_t lead)
{
    return lead >= 0xc2 && lead <= 0xdf   ? 2
           : lead >= 0xe0 && lead <= 0xef ? 3
           : lead >= 0xf0 && lead <= 0xf4 ? 4
                                          : 0;
}

/* What begins at data[0..size), of which there is a byte at least: its length in *length, and its code point;
 * or UINT32_MAX when the text ends within it. */
static uint32_t expected(const uint8_t *data, size_t size, size_t *length)
{
    uint32_t value;
    size_t whole = announced(data[0]);
    *length = 1;
    if (whole == 0) {
        return data[0] < 0x80 ? data[0] : UTF8_REPLACEMENT;
    }
    while (*length < whole && *length < size && (data[*length] & 0xc0) == 0x80) {
        ++*length;
    }
    if (*length < whole) {
        return *length == size ? UINT32_MAX : UTF8_REPLACEMENT;
    }
    return utf8_model_character(data, whole, &value) == whole ? value : UTF8_REPLACEMENT;
}

/* The decoder gives one code point after the other, none early and none late. */
static void check_decoder(const uint8_t *data, size_t size)
{
    struct utf8_decoder decoder = {0};
    uint32_t found[2];
    unsigned pending = 0; /* code points that came with the byte that the next one begins with */
    for (size_t at = 0, length; at < size; at += length) {
        uint32_t value = expected(data + at, size - at, &length);
        uint32_t late = pending ? found[1] : UINT32_MAX;
        for (size_t i = pending ? 1 : 0; i < length; i++) {
            require(late == UINT32_MAX);
            unsigned count = utf8_decode(&decoder, data[at + i], found);
            require(count <= 1);
            late = count == 1 ? found[0] : UINT32_MAX;
        }
        pending = 0;
        if (value == UTF8_REPLACEMENT && late == UINT32_MAX) { /* the next byte breaks the sequence off */
            require(at + length < size);
            unsigned count = utf8_decode(&decoder, data[at + length], found);
            require(count >= 1 && found[0] == UTF8_REPLACEMENT);
            pending = 1;
            found[1] = count == 2 ? found[1] : UINT32_MAX;
            continue;
        }
        require(late == value);
    }
}

/* The length of the character at every place. Returns whether the whole text is well-formed. */
static bool check_lengths(const uint8_t *data, size_t size)
{
    bool whole = true;
    size_t next = 0;
    for (size_t at = 0; at < size; at++) {
        uint32_t value;
        unsigned length = utf8_model_character(data + at, size - at, &value);
        require(text_character_length((const char *)data + at, size - at) == length);
        require(text_is_continuation(data[at]) == ((data[at] & 0xc0) == 0x80));
        whole = whole && (at != next || length != 0);
        next += at == next ? length : 0;
    }
    return whole;
}

/* Text that is whole and without control characters comes out of the decoder of keys as it went in. */
static void check_keys(const uint8_t *data, size_t size)
{
    struct key_decoder decoder;
    size_t at = 0;
    key_decoder_init(&decoder);
    for (size_t i = 0; i < size; i++) {
        key_decoder_feed(&decoder, data[i]);
        for (enum key key; (key = key_decoder_next(&decoder)) != KEY_NONE; at += decoder.text_bytes) {
            require(key == KEY_TEXT && at + decoder.text_bytes <= size);
            require(memcmp(decoder.text, data + at, decoder.text_bytes) == 0);
        }
    }
    require(at == size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool printable = true;
    check_decoder(data, size);
    bool whole = check_lengths(data, size);
    for (size_t i = 0; i < size; i++) {
        printable = printable && data[i] >= ' ' && data[i] != 0x7f;
    }
    if (whole && printable) {
        check_keys(data, size);
    }
    return 0;
}
