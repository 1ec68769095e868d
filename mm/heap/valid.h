/* What is always true of a heap and seen in constant time; asserted by its operations. */
#pragma once

#include <ashlar/assert.h>
#include <ashlar/validate.h>

#include "internal.h"
#include "mm/slab/valid.h"

/* A heap that was made. Reads what never changes: from any context, with or without locks. */
static inline bool heap_is_valid(const struct heap *heap)
{
    return slab_pool_is_valid(&heap->slabs) && heap->large_note != 0 &&
           heap->classes[0].pool == &heap->slabs && heap->classes[HEAP_CLASSES - 1].pool == &heap->slabs;
}
