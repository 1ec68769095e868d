/*
 * vmalloc against a model: a table of blocks, each page of which holds a mark that is verified through the
 * model MMU before the block goes. One language of operations, three bytes each, for the fuzzer and for long
 * seeded runs. A lost mark, a stale translation that could be used, a mistake that is not named, a failure
 * though there is memory, or anything that does not validate is a bug.
 */
#pragma once

#include "vmalloc_fixture.h"

void vmalloc_model_operate(uint8_t operation, uint8_t a, uint8_t b);
void vmalloc_model_start(void);
void vmalloc_model_stop(void);
