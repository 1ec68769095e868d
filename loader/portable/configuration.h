/*
 * `ashlar.cfg`: the text file beside the loader that adds to the kernel command line.
 *
 * Lines are joined by one blank; a '#' outside quotes begins a comment. Lines end with LF, CR LF or CR; a
 * UTF-8 byte order mark at the start is skipped. Comments may hold any text that is no control character; all
 * else is ASCII.
 */
#pragma once

#include "loader_error.h"

#define CONFIGURATION_BYTES_MAX 4096

/*
 * Turns the `bytes` bytes of the file into one NUL-terminated line in `out`, which has room for `capacity`
 * bytes, at least 1; the file's size plus 1 is always enough. An empty file gives an empty line.
 *
 * Fails, with an empty line and the reason in `error`, when the file is larger than CONFIGURATION_BYTES_MAX,
 * is UTF-16, has a byte that does not belong in such a text (the offset is named), has a line with an odd
 * number of quotes (the line is named), or when the line does not fit.
 */
bool configuration_parse(const void *file, size_t bytes, char *out, size_t capacity,
                         struct loader_error *error);

/*
 * Joins the file's line and the firmware's load options to the kernel command line in `out`: the file first,
 * so that load options, which a person typed for this start, win. Both are NUL-terminated and neither
 * overlaps `out`. Fails, with an empty line and the reason in `error`, when the result with its NUL needs
 * more than `capacity` (at least 1) bytes.
 */
bool configuration_join(const char *file, const char *options, char *out, size_t capacity,
                        struct loader_error *error);
