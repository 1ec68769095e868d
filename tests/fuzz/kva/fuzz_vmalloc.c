/* vmalloc against its model and the model MMU; the input is operations. */
#include "tests/host/kva/vmalloc_model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    machine_keep_memory();
    vmalloc_model_start();
    for (size_t i = 0; i + 2 < size; i += 3) {
        vmalloc_model_operate(data[i], data[i + 1], data[i + 2]);
    }
    vmalloc_model_stop();
    return 0;
}
