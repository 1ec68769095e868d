/*
 * Long random runs of address spaces against their model, the same each time.
 *     space_long_space [OPERATIONS [FIRST_SEED]]
 */
#include <stdio.h>
#include <stdlib.h>

#include "model.h"
#include "tests/host/support/random.h"

#define STEPS_PER_RUN 400

int main(int argc, char **argv)
{
    uint64_t wanted = argc > 1 ? strtoull(argv[1], NULL, 0) : 16000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    uint64_t done = 0;
    for (; done < wanted; done += STEPS_PER_RUN, seed++) {
        uint64_t state = seed * 0x9e3779b97f4a7c15ULL;
        space_model_start(seed % MODEL_KINDS, 1);
        for (unsigned i = 0; i < STEPS_PER_RUN; i++) {
            uint8_t bytes[4];
            random_fill(&state, bytes, sizeof bytes);
            space_model_operate(bytes);
        }
        space_model_stop();
    }
    printf("%" PRIu64 " operations\n", done);
    for (unsigned i = 0; i < VM_ERROR_COUNT; i++) {
        printf("%10" PRIu64 " %s\n", space_model_seen_errors[i], vm_error_name((enum vm_error)i));
    }
    /* A run that never came to one of the cases of a fault has proved less than it says. */
    bool all = true;
    for (unsigned i = 0; i < VM_FAULT_COUNT; i++) {
        printf("%10" PRIu64 " faults: %s\n", space_model_seen_faults[i], vm_fault_name((enum vm_fault)i));
        all = all && (space_model_seen_faults[i] > 0 || i == VM_FAULT_SPURIOUS);
    }
    return all ? 0 : 1;
}
