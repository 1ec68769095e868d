/*
 * Reference model of memory-map normalisation: one cell per frame, each looked at on its own.
 *
 * A case is decoded from a string of bytes, random in the property test and chosen by libFuzzer in the fuzz
 * target. Its entries begin and end in the lowest or the highest MODEL_EDGE frames of the physical address
 * space; the frames between these are all alike and are one cell.
 */
#pragma once

#include "loader/portable/memory_map.h"
#include <ashlar/memory_type.h>

struct map_model_descriptor {
    uint32_t type;
    uint64_t start;
    uint64_t pages;
    uint64_t attribute;
};

/*
 * Decodes a case, normalises it in buffers of exactly the promised size (the address sanitizer watches their
 * ends), and compares. Returns NULL, or what differs.
 */
const char *map_model_check(const uint8_t *data, size_t length);
