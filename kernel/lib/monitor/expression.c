/* Addresses as people type them: numbers and symbols joined by + and -; see parse.h. */
#include "parse.h"

#include <ashlar/number.h>
#include <ashlar/string.h>

static bool is_sign(char character)
{
    return character == '+' || character == '-';
}

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

/* Whether text[0..bytes) is all hexadecimal digits: an address pasted without its 0x. */
static bool looks_hexadecimal(const char *text, size_t bytes)
{
    uint64_t number;
    char with_prefix[24] = "0x";
    if (bytes < 2 || bytes > 16) {
        return false;
    }
    memcpy(with_prefix + 2, text, bytes);
    return number_parse_span(with_prefix, bytes + 2, &number) == NUMBER_OK;
}

static bool term_value(const char *text, size_t bytes,
                       bool (*find_symbol)(const char *name, size_t bytes, uint64_t *value), uint64_t *value,
                       char error[MONITOR_ERROR_BYTES])
{
    int shown = bytes > 40 ? 40 : (int)bytes;
    enum number_status status = number_parse_span(text, bytes, value);
    if (status == NUMBER_OK) {
        return true;
    }
    if (status == NUMBER_TOO_LARGE) {
        return monitor_refuse(error, "'%.*s' is more than 64 bits", shown, text);
    }
    if (!is_digit(text[0]) && find_symbol(text, bytes, value)) {
        return true;
    }
    if (looks_hexadecimal(text, bytes)) {
        monitor_refuse(error, "'%.*s' is neither number nor symbol; did you mean 0x%.*s?", shown, text, shown,
                       text);
    } else {
        monitor_refuse(error, "'%.*s' is neither number nor symbol", shown, text);
    }
    return false;
}

bool monitor_evaluate(const char *text, bool (*find_symbol)(const char *name, size_t bytes, uint64_t *value),
                      uint64_t *value, char error[MONITOR_ERROR_BYTES])
{
    uint64_t sum = 0;
    char sign = '+';
    const char *at = text;
    for (;;) {
        size_t bytes = 0;
        while (at[bytes] != '\0' && !is_sign(at[bytes])) {
            bytes++;
        }
        uint64_t term;
        if (bytes == 0) {
            return monitor_refuse(error, "'%.40s' is neither number nor symbol", text);
        }
        if (!term_value(at, bytes, find_symbol, &term, error)) {
            return false;
        }
        if (sign == '+' ? __builtin_add_overflow(sum, term, &sum) : __builtin_sub_overflow(sum, term, &sum)) {
            return monitor_refuse(error, "'%.40s' leaves the 64-bit address space", text);
        }
        at += bytes;
        if (*at == '\0') {
            *value = sum;
            return true;
        }
        sign = *at++;
    }
}
