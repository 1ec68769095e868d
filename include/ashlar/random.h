/*
 * Random bytes for programs and for the kernel's own choices: the stream cipher ChaCha20 (RFC 8439), keyed
 * with the seed of the boot. As hard to predict as that seed; what was given out does not tell what comes.
 * Any context, any CPU; no lock.
 */
#pragma once

#include <ashlar/types.h>

#define RANDOM_KEY_BYTES   32
#define RANDOM_BLOCK_BYTES 64

/* Sets the key. Once, before anything is asked for. */
void random_start(const uint8_t key[RANDOM_KEY_BYTES]);

/* Fills `bytes` bytes at `to`. */
void random_bytes(void *to, size_t bytes);

/* A number in 0 .. limit - 1; `limit` is a power of two. */
uint64_t random_below(uint64_t limit);

/* One block of the cipher's stream (RFC 8439, 2.3), with a counter and a nonce of 64 bits each. */
void chacha20_block(const uint8_t key[RANDOM_KEY_BYTES], uint64_t counter, uint64_t nonce,
                    uint8_t block[RANDOM_BLOCK_BYTES]);
