/* UTF-8 and the distance of words; see <ashlar/text.h>. */
#include <ashlar/string.h>
#include <ashlar/text.h>
#include <limits.h>

unsigned text_lead_length(uint8_t lead)
{
    if (lead < 0x80) {
        return 1;
    }
    if (lead >= 0xc2 && lead < 0xe0) {
        return 2;
    }
    if (lead >= 0xe0 && lead < 0xf0) {
        return 3;
    }
    return lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
}

/* Whether `second` may follow `lead`: RFC 3629 section 4, which rules out overlong forms and surrogates
 * there. */
static bool second_is_valid(uint8_t lead, uint8_t second)
{
    switch (lead) {
    case 0xe0:
        return second >= 0xa0 && second < 0xc0;
    case 0xed:
        return second >= 0x80 && second < 0xa0;
    case 0xf0:
        return second >= 0x90 && second < 0xc0;
    case 0xf4:
        return second >= 0x80 && second < 0x90;
    default:
        return text_is_continuation(second);
    }
}

unsigned text_character_length(const char *text, size_t bytes)
{
    unsigned length = bytes == 0 ? 0 : text_lead_length((uint8_t)text[0]);
    if (length == 0 || length > bytes) {
        return 0;
    }
    if (length > 1 && !second_is_valid((uint8_t)text[0], (uint8_t)text[1])) {
        return 0;
    }
    for (unsigned at = 2; at < length; at++) {
        if (!text_is_continuation((uint8_t)text[at])) {
            return 0;
        }
    }
    return length;
}

static uint8_t min3(unsigned a, unsigned b, unsigned c)
{
    unsigned least = a < b ? a : b;
    return (uint8_t)(least < c ? least : c);
}

/*
 * Row by row over the table whose cell (i, j) is the distance of the first i letters of `a` from the first j
 * of `b`. A swap looks two rows back, so three rows are kept.
 */
unsigned text_distance(const char *a, const char *b)
{
    uint8_t rows[3][TEXT_DISTANCE_LENGTH_MAX + 1];
    size_t a_length = strlen(a);
    size_t b_length = strlen(b);
    if (a_length > TEXT_DISTANCE_LENGTH_MAX || b_length > TEXT_DISTANCE_LENGTH_MAX) {
        return UINT_MAX;
    }
    for (size_t j = 0; j <= b_length; j++) {
        rows[0][j] = (uint8_t)j;
    }
    for (size_t i = 1; i <= a_length; i++) {
        uint8_t *row = rows[i % 3];
        const uint8_t *above = rows[(i - 1) % 3];
        row[0] = (uint8_t)i;
        for (size_t j = 1; j <= b_length; j++) {
            unsigned replaced = above[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = min3(above[j] + 1U, row[j - 1] + 1U, replaced);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = min3(row[j], rows[(i - 2) % 3][j - 2] + 1U, row[j]);
            }
        }
    }
    return rows[a_length % 3][b_length];
}

void text_join(char *buffer, size_t bytes, const char *first, const char *second)
{
    size_t head = strnlen(first, bytes - 1);
    size_t tail = strnlen(second, bytes - 1 - head);
    memcpy(buffer, first, head);
    memcpy(buffer + head, second, tail);
    buffer[head + tail] = '\0';
}
