/* UTF-8, one byte at a time (Unicode 15, 3.9). */
#pragma once

#include <ashlar/types.h>

#define UTF8_REPLACEMENT 0xfffdU /* what a malformed sequence becomes */

/* State between two bytes; all zero is the start. */
struct utf8_decoder {
    uint32_t value;   /* bits collected so far */
    uint32_t least;   /* smallest value that needs this many bytes; a smaller one is an overlong form */
    uint32_t missing; /* continuation bytes still to come */
};

/*
 * Takes the next byte. Writes the code points it completes to `out` and returns their number, 0 to 2: for a
 * byte that cannot continue the sequence before it, first the replacement for that sequence, then what the
 * byte gives by itself. Surrogates, overlong forms and values above 0x10ffff are malformed.
 */
unsigned utf8_decode(struct utf8_decoder *decoder, uint8_t byte, uint32_t out[static 2]);
