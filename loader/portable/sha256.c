/*
 * SHA-256; see sha256.h. Written out here because no firmware has to have a service for it, and no library of
 * Debian's can be built without vector instructions for a UEFI program.
 */
#include "sha256.h"

#include <ashlar/string.h>

#define BLOCK_BYTES 64
#define ROUNDS      64

struct state {
    uint32_t words[8];
};

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes (FIPS 180-4, 4.2.2). */
static const uint32_t constants[ROUNDS] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotate(uint32_t word, unsigned bits)
{
    return word >> bits | word << (32 - bits);
}

static uint32_t word_at(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* The message schedule (6.2.2, step 1). */
static void expand(const uint8_t *block, uint32_t words[ROUNDS])
{
    for (unsigned i = 0; i < 16; i++) {
        words[i] = word_at(block + 4 * (size_t)i);
    }
    for (unsigned i = 16; i < ROUNDS; i++) {
        uint32_t early = rotate(words[i - 15], 7) ^ rotate(words[i - 15], 18) ^ words[i - 15] >> 3;
        uint32_t late = rotate(words[i - 2], 17) ^ rotate(words[i - 2], 19) ^ words[i - 2] >> 10;
        words[i] = words[i - 16] + early + words[i - 7] + late;
    }
}

/* Adds a block (6.2.2). */
static void add_block(struct state *state, const uint8_t *block)
{
    uint32_t words[ROUNDS];
    struct state now = *state;
    uint32_t *w = now.words;
    expand(block, words);
    for (unsigned i = 0; i < ROUNDS; i++) {
        uint32_t mixed = rotate(w[4], 6) ^ rotate(w[4], 11) ^ rotate(w[4], 25);
        uint32_t chosen = (w[4] & w[5]) ^ (~w[4] & w[6]);
        uint32_t first = w[7] + mixed + chosen + constants[i] + words[i];
        uint32_t most = (w[0] & w[1]) ^ (w[0] & w[2]) ^ (w[1] & w[2]);
        uint32_t second = (rotate(w[0], 2) ^ rotate(w[0], 13) ^ rotate(w[0], 22)) + most;
        memmove(w + 1, w, 7 * sizeof *w);
        w[4] += first;
        w[0] = first + second;
    }
    for (unsigned i = 0; i < 8; i++) {
        state->words[i] += w[i];
    }
}

void sha256(const void *data, uint64_t bytes, uint8_t hash[SHA256_BYTES])
{
    struct state state = {
        {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
    uint8_t tail[2 * BLOCK_BYTES] = {0};
    const uint8_t *at = data;
    uint64_t rest = bytes % BLOCK_BYTES;
    for (const uint8_t *end = at + (bytes - rest); at < end; at += BLOCK_BYTES) {
        add_block(&state, at);
    }
    memcpy(tail, at, rest);
    tail[rest] = 0x80;
    size_t length = rest < BLOCK_BYTES - 8 ? BLOCK_BYTES : 2 * BLOCK_BYTES;
    for (unsigned i = 0; i < 8; i++) {
        tail[length - 1 - i] = (uint8_t)(bytes * 8 >> 8 * i);
    }
    for (size_t done = 0; done < length; done += BLOCK_BYTES) {
        add_block(&state, tail + done);
    }
    for (unsigned i = 0; i < SHA256_BYTES; i++) {
        hash[i] = (uint8_t)(state.words[i / 4] >> (24 - 8 * (i % 4)));
    }
}
