/* Any bytes as ashlar.cfg, in an output of any size: a clean line or a reason, and nothing outside the
 * output. */
#include "loader/portable/configuration.h"
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a good line looks like: ASCII, not blank at its ends, quotes in pairs, no comment, unchanged when
 * parsed again. */
static void check_line(const char *line)
{
    size_t length = strlen(line);
    size_t quotes = 0;
    for (size_t i = 0; i < length; i++) {
        require(line[i] >= ' ' && line[i] < 0x7f);
        quotes += line[i] == '"';
        require(line[i] != '#' || quotes % 2 == 1);
    }
    require(quotes % 2 == 0);
    require(length == 0 || (line[0] != ' ' && line[length - 1] != ' '));
    char again[CONFIGURATION_BYTES_MAX + 1];
    struct loader_error error;
    require(configuration_parse(line, length, again, sizeof again, &error) && strcmp(line, again) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    size_t capacity = 1 + (data[0] | data[1] << 8) % (CONFIGURATION_BYTES_MAX + 8);
    char *line = malloc(capacity);
    struct loader_error error = {""};
    require(line);
    if (configuration_parse(data + 2, size - 2, line, capacity, &error)) {
        check_line(line);
    } else {
        require(line[0] == '\0' && error.text[0] != '\0');
    }
    free(line);
    return 0;
}
