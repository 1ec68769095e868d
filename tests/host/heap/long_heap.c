/*
 * Ten million operations of the heap and its model, every object's contents verified, without sanitizers.
 *     heap_long_heap [OPERATIONS [SEED]]
 */
#include "model.h"

#include <stdio.h>
#include <stdlib.h>

#define VALIDATE_EVERY 100000

int main(int argc, char **argv)
{
    unsigned operations = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 0) : 10000000;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 0x1234567;
    heap_model_run(NULL, operations, VALIDATE_EVERY, seed);
    printf("%u operations\n", operations);
    return 0;
}
