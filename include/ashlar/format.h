/*
 * Text formatting, by stb_sprintf (Debian's libstb-dev), without floating point.
 *
 * The conversions are printf's: %d %u %x %s %c %p %zu, PRIu64 and the like for 64 bits, widths, and the
 * flag ' for thousands separators.
 */
#pragma once

#include <ashlar/types.h>
#include <stdarg.h>

/*
 * Writes at most `bytes` characters, the final NUL included, to `buffer`; what does not fit is cut.
 * Returns the length that the whole text has, without the NUL.
 */
size_t format(char *buffer, size_t bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));
size_t format_list(char *buffer, size_t bytes, const char *format, va_list arguments)
    __attribute__((format(printf, 3, 0)));
