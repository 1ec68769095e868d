/*
 * Numbers as people type them: 4096, 0x1000, 4K, 4KiB.
 */
#pragma once

#include <ashlar/types.h>

enum number_status {
    NUMBER_OK,
    NUMBER_MALFORMED, /* not a number */
    NUMBER_TOO_LARGE, /* a number of 2^64 or more */
};

/*
 * Reads the whole of the `bytes` characters at `text` as an unsigned number: decimal digits, or 0x and
 * hexadecimal digits, then at most one suffix K, M, G, T or P (times 1024, 1024^2, ...; either case; "iB" may
 * follow). There is no sign and no space. Stores the number on NUMBER_OK only.
 */
enum number_status number_parse_span(const char *text, size_t bytes, uint64_t *number);

/* The same for a NUL-terminated text. */
enum number_status number_parse(const char *text, uint64_t *number);

/* Room for the longest text of number_format_size(), with its NUL. */
#define NUMBER_SIZE_BYTES 24

/*
 * Writes `bytes` for a person: "0 B", "640 KiB", "1.5 GiB"; at most one decimal, cut, not rounded up, so that
 * a size is never shown larger than it is. Returns `buffer`.
 */
const char *number_format_size(char buffer[NUMBER_SIZE_BYTES], uint64_t bytes);
