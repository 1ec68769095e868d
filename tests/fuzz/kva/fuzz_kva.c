/* An arena against its model; the first bytes choose its place and size, the rest are operations. */
#include "tests/host/kva/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    machine_keep_memory();
    if (size < 2) {
        return 0;
    }
    uint64_t pages = 1 + (uint64_t)(data[0] & 63) * (data[0] & 64 ? 64 : 3);
    arena_model_start(arena_model_base(data[1], pages), pages);
    for (size_t i = 2; i + 3 < size; i += 4) {
        arena_model_operate(data[i], data[i + 1], data[i + 2], data[i + 3]);
    }
    arena_model_stop();
    return 0;
}
