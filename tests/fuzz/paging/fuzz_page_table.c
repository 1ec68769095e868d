/*
 * Fuzz target: a sequence of operations from the input, done by page tables and by their reference model.
 * Input: 1 byte of options, then operations of 10 bytes.
 */
#include "tests/host/paging/model.h"

#define STEPS_MAX   64
#define CHECK_EVERY 8 /* steps */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t word(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct table_model model;
    machine_keep_memory();
    if (size == 0) {
        return 0;
    }
    table_model_make(&model, 4 + data[0] % 2, PAGE_LEVEL_2M + data[0] / 2 % 2, CHECK_EVERY);
    for (size_t i = 1; i + 10 <= size && model.steps < STEPS_MAX; i += 10) {
        table_model_step(&model, data[i], data[i + 1], word(data + i + 2), word(data + i + 6));
    }
    table_model_finish(&model);
    return 0;
}
