/* Why a part of the loader refused its input: one line that names the thing and the value. */
#pragma once

#include <ashlar/types.h>

#define LOADER_ERROR_BYTES 200

struct loader_error {
    char text[LOADER_ERROR_BYTES]; /* NUL-terminated, no line end; cut when it is too long */
};

/*
 * Writes the message (printf's conversions, <ashlar/format.h>) to `error`. Always returns false, so that a
 * check reads `return loader_fail(error, ...)`.
 */
bool loader_fail(struct loader_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));
