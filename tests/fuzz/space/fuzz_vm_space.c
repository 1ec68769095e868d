/* Address spaces against their model: the input is a list of operations, four bytes each. How many bytes are
 * left over says what kind of spaces it is about. */
#include "tests/host/space/model.h"

#define CHECK_EVERY 12 /* operations */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    machine_keep_memory();
    space_model_start(size % MODEL_KINDS, CHECK_EVERY);
    for (size_t i = 0; i + 4 <= size && i < 400; i += 4) {
        space_model_operate(data + i);
    }
    space_model_stop();
    return 0;
}
