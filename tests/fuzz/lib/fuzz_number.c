/*
 * Any text as a number, held to the grammar in <ashlar/number.h>; and the first eight bytes as a size for
 * people, whose text must stand for at most the size, and less than a tenth of its unit below it.
 */
#include <ashlar/number.h>
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char letters[] = "KMGTP";

/* The power of 1024 that the end of the text stands for; the end is cut off. */
static unsigned take_suffix(const char *text, size_t *size)
{
    size_t rest = *size >= 3 && memcmp(text + *size - 2, "iB", 2) == 0 ? *size - 2 : *size;
    for (unsigned i = 0; rest > 0 && i < sizeof letters - 1; i++) {
        if (text[rest - 1] == letters[i] || text[rest - 1] == letters[i] + ('a' - 'A')) {
            *size = rest - 1;
            return i + 1;
        }
    }
    return 0;
}

static enum number_status expected(const char *text, size_t size, uint64_t *number)
{
    const unsigned __int128 limit = (unsigned __int128)1 << 64;
    unsigned power = take_suffix(text, &size);
    unsigned base = size >= 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
    unsigned __int128 value = 0;
    size_t first = base == 16 ? 2 : 0;
    for (size_t i = first; i < size; i++) {
        const char *digits = "0123456789abcdefABCDEF";
        const char *digit = memchr(digits, text[i], base == 16 ? 22 : 10);
        if (!digit) {
            return NUMBER_MALFORMED;
        }
        unsigned worth = (unsigned)(digit - digits);
        value = value * base + (worth < 16 ? worth : worth - 6);
        value = value < limit ? value : limit;
    }
    for (; power > 0; power--) {
        value = value * 1024 < limit ? value * 1024 : limit;
    }
    *number = (uint64_t)value;
    return size == first ? NUMBER_MALFORMED : value < limit ? NUMBER_OK : NUMBER_TOO_LARGE;
}

static void check_parse(const char *text, size_t size)
{
    uint64_t wanted = 0;
    uint64_t number = 0xbad;
    enum number_status status = expected(text, size, &wanted);
    require(number_parse_span(text, size, &number) == status);
    require(number == (status == NUMBER_OK ? wanted : 0xbad));
}

static void check_size(uint64_t bytes)
{
    char text[NUMBER_SIZE_BYTES];
    char letter = 0;
    unsigned long long whole;
    unsigned tenths = 0;
    require(number_format_size(text, bytes) == text && memchr(text, '\0', sizeof text));
    if (bytes < 1024) {
        require(sscanf(text, "%llu %c", &whole, &letter) == 2 && letter == 'B' && whole == bytes);
        return;
    }
    if (sscanf(text, "%llu.%u %ciB", &whole, &tenths, &letter) != 3) {
        tenths = 0;
        require(sscanf(text, "%llu %ciB", &whole, &letter) == 2);
    }
    const char *unit = strchr(letters, letter);
    require(unit && letter && tenths <= 9 && whole >= 1 && (whole < 1024 || letter == 'P'));
    unsigned shift = 10 * (unsigned)(unit - letters + 1);
    unsigned __int128 shown = ((unsigned __int128)whole * 10 + tenths) << shift;
    require(shown <= (unsigned __int128)bytes * 10 &&
            (unsigned __int128)bytes * 10 < shown + ((unsigned __int128)1 << shift));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_parse((const char *)data, size);
    if (size >= sizeof(uint64_t)) {
        uint64_t bytes;
        memcpy(&bytes, data, sizeof bytes);
        check_size(bytes);
        check_size(bytes >> data[0] % 64);
    }
    return 0;
}
