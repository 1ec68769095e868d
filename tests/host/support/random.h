/* A small seeded generator (xorshift64*) for property tests: the same run on every machine. */
#pragma once

#include <stddef.h>
#include <stdint.h>

static inline uint64_t random_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dULL;
}

/* The upper half of it, which is the better one. */
static inline uint32_t random_number(uint64_t *state)
{
    return (uint32_t)(random_next(state) >> 32);
}

static inline void random_fill(uint64_t *state, uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bytes[i] = (uint8_t)(random_next(state) >> 56);
    }
}
