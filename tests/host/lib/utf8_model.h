/* UTF-8 by its definition (Unicode 15, table 3-7), one character at a time: what the product's readers are
 * held to. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Length of the well-formed character at the start of text[0..bytes), 1 to 4, its code point in *value; or 0.
 */
unsigned utf8_model_character(const uint8_t *text, size_t bytes, uint32_t *value);
