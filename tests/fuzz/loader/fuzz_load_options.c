/* Any bytes as load options, in an output of any size: a clean line or a reason, and nothing outside the
 * output. */
#include "loader/portable/load_options.h"
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1) {
        return 0;
    }
    size_t capacity = 1 + data[0];
    char *line = malloc(capacity);
    struct loader_error error;
    require(line);
    bool fits = load_options_parse(data + 1, size - 1, line, capacity, &error);
    size_t length = strnlen(line, capacity);
    require(length < capacity);
    require(length == 0 || (fits && error.text[0] == '\0'));
    require(fits || error.text[0] != '\0');
    for (size_t i = 0; i < length; i++) {
        require(line[i] >= ' ' && line[i] < 0x7f);
    }
    require(length == 0 || (line[0] != ' ' && line[length - 1] != ' '));
    free(line);
    return 0;
}
