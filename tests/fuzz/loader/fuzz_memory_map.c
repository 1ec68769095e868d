/* Maps that libFuzzer makes, normalised and compared with the model, frame by frame. */
#include "tests/host/loader/memory_map_model.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *difference = map_model_check(data, size);
    if (difference) {
        (void)fprintf(stderr, "memory map: %s\n", difference);
        abort();
    }
    return 0;
}
