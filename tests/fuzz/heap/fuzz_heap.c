/* The heap against its model; the input's first byte chooses the debug rules, the rest are operations. */
#include "tests/host/heap/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const rules[] = {NULL, "*:all", "heap-6*:redzone,poison", "typed:quarantine"};
    machine_keep_memory();
    if (size == 0) {
        return 0;
    }
    heap_model_start(rules[data[0] % 4]);
    for (size_t i = 1; i + 2 < size; i += 3) {
        heap_model_operate(data[i], data[i + 1], data[i + 2]);
    }
    heap_model_stop();
    return 0;
}
