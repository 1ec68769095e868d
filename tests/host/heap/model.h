/*
 * The heap against a model: a table of blocks, each filled with a pattern that is verified before it changes
 * hands. One language of operations, three bytes each, for the fuzzer and for long seeded runs. A report
 * without a mistake, a damaged block, an overlap, a mistake that is not named, or a heap that does not
 * validate is a bug.
 */
#pragma once

#include "fixture.h"
#include "guard_fixture.h"
#include "tests/host/support/random.h"
#include "virtual_fixture.h"
#include <stdint.h>

void heap_model_operate(uint8_t operation, uint8_t a, uint8_t b);
void heap_model_start(const char *rules);
void heap_model_stop(void);

/* Makes `operations` random operations, seeded, with the debug rules `rules` (or NULL). */
void heap_model_run(const char *rules, unsigned operations, unsigned validate_every, uint64_t seed);
