#include "fixed_blocks.h"

static void **first;

void fixed_blocks_start(void *memory, size_t bytes)
{
    first = NULL;
    for (char *block = memory; block + FIXED_BLOCK_BYTES <= (char *)memory + bytes;
         block += FIXED_BLOCK_BYTES) {
        fixed_blocks_free(block);
    }
}

void *fixed_blocks_alloc(size_t bytes)
{
    void **block = bytes <= FIXED_BLOCK_BYTES ? first : NULL;
    if (block) {
        first = *block;
    }
    return block;
}

void fixed_blocks_free(void *pointer)
{
    *(void **)pointer = first;
    first = pointer;
}
