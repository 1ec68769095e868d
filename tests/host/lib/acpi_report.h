/* What the parser complained of, for tests that expect it to. After cmocka. */
#pragma once

#include <string.h>

#include "acpi_image.h"

/* The test fails unless a complaint about these tables has the text in it. */
static inline void expect_report(const struct acpi_image *image, const char *text)
{
    if (strstr(image->reports, text) == NULL) {
        fail_msg("no report \"%s\" in: %s", text, image->reports);
    }
}
