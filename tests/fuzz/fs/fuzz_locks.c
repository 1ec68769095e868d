/* Any changes of a file's locks: what the list says is what a model says, byte by byte. */
#include "tests/host/fs/lock_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lock_model_run(data, size);
    return 0;
}
