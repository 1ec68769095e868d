/* What a fuzz target holds the product to: libFuzzer keeps the input for which it is false. */
#pragma once

#include <stdbool.h>
#include <stdlib.h>

static inline void require(bool condition)
{
    if (!condition) {
        abort();
    }
}
