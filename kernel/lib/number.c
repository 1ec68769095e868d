/* Numbers as people type and read them; see <ashlar/number.h>. */
#include <ashlar/format.h>
#include <ashlar/number.h>
#include <ashlar/string.h>

static const char size_letters[] = "KMGTP";

/* Value of one digit, or 16 when it is none. */
static unsigned digit_value(char character)
{
    if (character >= '0' && character <= '9') {
        return (unsigned)(character - '0');
    }
    char lower = (char)(character | 0x20);
    return lower >= 'a' && lower <= 'f' ? (unsigned)(lower - 'a') + 10 : 16;
}

/* Bits that the suffix text[0..bytes) shifts a number by; 0 for no suffix, -1 when it is not one. */
static int suffix_shift(const char *text, size_t bytes)
{
    if (bytes == 0) {
        return 0;
    }
    bool whole = bytes == 1 || (bytes == 3 && text[1] == 'i' && text[2] == 'B');
    const char *letter = strchr(size_letters, text[0] & ~0x20);
    if (!whole || !letter || *letter == '\0') {
        return -1;
    }
    return 10 * (int)(letter - size_letters + 1);
}

enum number_status number_parse_span(const char *text, size_t bytes, uint64_t *number)
{
    unsigned base = 10;
    size_t at = 0;
    if (bytes > 2 && text[0] == '0' && (text[1] | 0x20) == 'x') {
        base = 16;
        at = 2;
    }
    uint64_t value = 0;
    bool overflow = false;
    size_t first = at;
    for (; at < bytes && digit_value(text[at]) < base; at++) {
        overflow |= __builtin_mul_overflow(value, base, &value);
        overflow |= __builtin_add_overflow(value, digit_value(text[at]), &value);
    }
    int shift = suffix_shift(text + at, bytes - at);
    if (at == first || shift < 0) {
        return NUMBER_MALFORMED;
    }
    if (overflow || (value << shift) >> shift != value) {
        return NUMBER_TOO_LARGE;
    }
    *number = value << shift;
    return NUMBER_OK;
}

enum number_status number_parse(const char *text, uint64_t *number)
{
    return number_parse_span(text, strlen(text), number);
}

const char *number_format_size(char buffer[NUMBER_SIZE_BYTES], uint64_t bytes)
{
    unsigned shift = 0;
    const char *unit = "";
    for (const char *letter = size_letters; *letter && bytes >> shift >= 1024; letter++) {
        shift += 10;
        unit = letter;
    }
    if (shift == 0) {
        format(buffer, NUMBER_SIZE_BYTES, "%" PRIu64 " B", bytes);
        return buffer;
    }
    uint64_t whole = bytes >> shift;
    uint64_t tenths = (bytes - (whole << shift)) * 10 >> shift; /* below 10 << 50: it fits */
    if (tenths == 0) {
        format(buffer, NUMBER_SIZE_BYTES, "%" PRIu64 " %ciB", whole, *unit);
    } else {
        format(buffer, NUMBER_SIZE_BYTES, "%" PRIu64 ".%" PRIu64 " %ciB", whole, tenths, *unit);
    }
    return buffer;
}
