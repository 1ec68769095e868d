/*
 * An arena against a model that keeps one entry for each page: who has it, and as what. One language of
 * operations, four bytes each, for the fuzzer and for long seeded runs. Overlaps, misplaced guards, a
 * failure though there is room, a mistake that is not named, a look that answers wrongly, or an arena that
 * does not validate is a bug.
 */
#pragma once

#include "fixture.h"

#define MODEL_PAGES_MAX 4096

extern struct kva_fixture arena_model_fixture;

void arena_model_operate(uint8_t operation, uint8_t a, uint8_t b, uint8_t c);
void arena_model_start(uint64_t base, uint64_t pages);
void arena_model_stop(void);

/* Some places for an arena, also those at which carelessness wraps. */
uint64_t arena_model_base(unsigned number, uint64_t pages);
