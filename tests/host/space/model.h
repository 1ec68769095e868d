/*
 * Address spaces against a model with one entry for each page. One language of operations, four bytes each,
 * for the fuzzer and for long seeded runs: map, place, unmap, protect, read, write, execute, clone, destroy,
 * copy, sync, and let memory fail in what follows. Each page holds a value; what an access finds must be what
 * the model says, through the model of the TLB; what cannot be done must be refused with the model's error,
 * and then nothing has changed.
 */
#pragma once

#include "reference.h"

void space_model_operate(const uint8_t bytes[4]);
void space_model_start(unsigned kind);
void space_model_stop(void);
