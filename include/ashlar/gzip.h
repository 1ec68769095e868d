/*
 * Unpacking gzip (RFC 1952): one member, in memory. Pure functions, for input of any kind: each says what is
 * wrong in a fragment of a sentence, or NULL when nothing is.
 */
#pragma once

#include <ashlar/types.h>

#define GZIP_BYTES_MAX ((uint64_t)INT32_MAX) /* packed, and unpacked */

/* Whether it begins as a gzip file does. */
bool gzip_is(const void *packed, uint64_t bytes);

/* Checks the header, and reads how long the contents are: *unpacked. They cannot be longer than what the
 * packed bytes could make, so *unpacked may be allocated. */
const char *gzip_length(const void *packed, uint64_t bytes, uint64_t *unpacked);

/* Unpacks to `to`, with room for the `unpacked` bytes that gzip_length() told, and compares length and
 * CRC-32. work: GZIP_WORK_BYTES, aligned to 8. On failure `to` has anything in it. */
#define GZIP_WORK_BYTES KIB(8)
const char *gzip_unpack(const void *packed, uint64_t bytes, void *to, uint64_t unpacked, void *work);

/* CRC-32 (ISO 3309, as in gzip). */
uint32_t crc32(const void *data, uint64_t bytes);
