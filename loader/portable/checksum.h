/* A checksum against damage by bad media and bad memory; against malice there is Secure Boot. */
#pragma once

#include <ashlar/types.h>

/*
 * The checksum of `bytes` bytes (a multiple of 8) at `data` (any alignment). Damage within one aligned 8-byte
 * word always changes it, any other all but once in 2^64. tools/lib/checksum.py computes the same.
 */
uint64_t checksum(const void *data, size_t bytes);
