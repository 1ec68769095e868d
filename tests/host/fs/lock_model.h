/*
 * Locks of a file, byte by byte: what each of a few owners has of each of the first bytes. Against it random
 * changes of a list of ranges are compared.
 */
#pragma once

#include "kernel/fs/ranges.h"
#include <stddef.h>

#define LOCK_MODEL_BYTES  48 /* the last one stands for all that follow, to the end */
#define LOCK_MODEL_OWNERS 4

/* Carries the changes out that the bytes stand for, and panics at the first difference. */
void lock_model_run(const uint8_t *bytes, size_t count);
