/* Complaints about a table; see private.h. */
#include <ashlar/format.h>
#include <stdarg.h>

#include "private.h"

#define COMPLAINT_BYTES 192

void acpi_complain(const struct acpi_view *view, const char *text, ...)
{
    char line[COMPLAINT_BYTES];
    size_t used = format(line, sizeof line, "%s at %#" PRIx64 ": ", view->name, view->address.raw);
    va_list arguments;
    va_start(arguments, text);
    if (used < sizeof line) {
        format_list(line + used, sizeof line - used, text, arguments);
    }
    va_end(arguments);
    view->info->refused++;
    view->source->report(view->source->context, line);
}
