/* See loader_error.h. */
#include "loader_error.h"

#include <ashlar/format.h>
#include <stdarg.h>

bool loader_fail(struct loader_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    format_list(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    return false;
}
