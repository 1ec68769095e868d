/* SHA-256 (FIPS 180-4), of what is in memory as a whole. */
#pragma once

#include <ashlar/types.h>

#define SHA256_BYTES 32

void sha256(const void *data, uint64_t bytes, uint8_t hash[SHA256_BYTES]);
