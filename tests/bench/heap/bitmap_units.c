#include "bitmap_units.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define UNITS_MAX ((size_t)1 << 20)

static uint64_t used[UNITS_MAX / 64]; /* one bit per unit: taken */
static uint64_t
    last[UNITS_MAX / 64]; /* one bit per unit: the last one of a block, so that a free finds its end */
static char *base;
static size_t units;
static size_t lowest; /* no unit below is free */

static bool get(const uint64_t *map, size_t unit)
{
    return map[unit / 64] >> unit % 64 & 1;
}

static void set(uint64_t *map, size_t unit)
{
    map[unit / 64] |= 1ULL << unit % 64;
}

static void clear(uint64_t *map, size_t unit)
{
    map[unit / 64] &= ~(1ULL << unit % 64);
}

void bitmap_units_start(void *memory, size_t bytes)
{
    base = memory;
    units = bytes / BITMAP_UNIT_BYTES;
    lowest = 0;
    memset(used, 0, sizeof used);
    memset(last, 0, sizeof last);
}

/* The first free unit from `unit` on; whole words of taken ones are skipped. */
static size_t next_free(size_t unit)
{
    while (unit < units) {
        uint64_t free = ~used[unit / 64] >> unit % 64;
        if (free != 0) {
            return unit + (size_t)__builtin_ctzll(free);
        }
        unit = (unit / 64 + 1) * 64;
    }
    return units;
}

void *bitmap_units_alloc(size_t bytes)
{
    size_t wanted = (bytes + BITMAP_UNIT_BYTES - 1) / BITMAP_UNIT_BYTES;
    size_t first = next_free(lowest);
    lowest = first;
    while (first + wanted <= units) {
        size_t end = first + 1;
        while (end < first + wanted && !get(used, end)) {
            end++;
        }
        if (end == first + wanted) {
            for (size_t unit = first; unit < end; unit++) {
                set(used, unit);
            }
            set(last, end - 1);
            return base + first * BITMAP_UNIT_BYTES;
        }
        first = next_free(end);
    }
    return NULL;
}

void bitmap_units_free(void *pointer)
{
    size_t unit = (size_t)((char *)pointer - base) / BITMAP_UNIT_BYTES;
    lowest = unit < lowest ? unit : lowest;
    while (!get(last, unit)) {
        clear(used, unit++);
    }
    clear(used, unit);
    clear(last, unit);
}

size_t bitmap_units_held(void)
{
    size_t word = units / 64;
    while (word > 0 && used[word - 1] == 0) {
        word--;
    }
    return word == 0 ? 0 : (word * 64 - (size_t)__builtin_clzll(used[word - 1])) * BITMAP_UNIT_BYTES;
}
