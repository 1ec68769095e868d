#include "fixed_blocks.h"

static void **first;
static size_t length;    /* of each block */
static size_t allocated; /* blocks */

void fixed_blocks_start(void *memory, size_t bytes, size_t block_bytes)
{
    first = NULL;
    length = block_bytes;
    allocated = bytes / length; /* until they have been put into the list */
    for (char *block = memory; block + length <= (char *)memory + bytes; block += length) {
        fixed_blocks_free(block);
    }
}

void *fixed_blocks_alloc(size_t bytes)
{
    void **block = bytes <= length ? first : NULL;
    if (block) {
        first = *block;
        allocated++;
    }
    return block;
}

void fixed_blocks_free(void *pointer)
{
    *(void **)pointer = first;
    first = pointer;
    allocated--;
}

size_t fixed_blocks_held(void)
{
    return allocated * length;
}
