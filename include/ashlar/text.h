/*
 * Where the characters of UTF-8 text (RFC 3629) begin and end, and how much two words differ.
 */
#pragma once

#include <ashlar/types.h>

#define TEXT_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD in UTF-8, shown in place of what is not UTF-8 */

/* Bytes of a character that begins with `lead`: 1 to 4; 0 when no character begins so. */
unsigned text_lead_length(uint8_t lead);

static inline bool text_is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/*
 * Length of the valid character at the start of text[0..bytes): 1 to 4; 0 when there is none: a stray or
 * missing continuation byte, an overlong form, a surrogate, or a number above 0x10ffff.
 */
unsigned text_character_length(const char *text, size_t bytes);

/*
 * Writes `first` and then `second` to `buffer`, at most `bytes` characters, not 0, with the final NUL; what
 * does not fit is cut. For what is done often, as format() takes several times as long.
 */
void text_join(char *buffer, size_t bytes, const char *first, const char *second);

/*
 * How many insertions, deletions, replacements and swaps of neighbours turn `a` into `b` (the optimal string
 * alignment distance). UINT_MAX when one of them is longer than TEXT_DISTANCE_LENGTH_MAX.
 */
#define TEXT_DISTANCE_LENGTH_MAX 31
unsigned text_distance(const char *a, const char *b);
