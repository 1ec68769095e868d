/*
 * Random bytes; see <ashlar/random.h>. Each call has a nonce of its own, so calls on all CPUs have streams of
 * their own without waiting for each other.
 */
#include <ashlar/random.h>
#include <ashlar/string.h>
#include <stdatomic.h>

static uint8_t secret[RANDOM_KEY_BYTES];
static _Atomic(uint64_t) calls;

static uint32_t rotate(uint32_t word, unsigned bits)
{
    return word << bits | word >> (32 - bits);
}

static void quarter_round(uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d)
{
    *a += *b;
    *d = rotate(*d ^ *a, 16);
    *c += *d;
    *b = rotate(*b ^ *c, 12);
    *a += *b;
    *d = rotate(*d ^ *a, 8);
    *c += *d;
    *b = rotate(*b ^ *c, 7);
}

void chacha20_block(const uint8_t key[RANDOM_KEY_BYTES], uint64_t counter, uint64_t nonce,
                    uint8_t block[RANDOM_BLOCK_BYTES])
{
    uint32_t begin[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    memcpy(&begin[4], key, RANDOM_KEY_BYTES);
    memcpy(&begin[12], &counter, sizeof counter);
    memcpy(&begin[14], &nonce, sizeof nonce);
    uint32_t state[16];
    memcpy(state, begin, sizeof state);
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 4; i++) {
            quarter_round(&state[i], &state[4 + i], &state[8 + i], &state[12 + i]);
        }
        for (unsigned i = 0; i < 4; i++) {
            quarter_round(&state[i], &state[4 + (i + 1) % 4], &state[8 + (i + 2) % 4],
                          &state[12 + (i + 3) % 4]);
        }
    }
    for (unsigned i = 0; i < 16; i++) {
        state[i] += begin[i];
    }
    memcpy(block, state, RANDOM_BLOCK_BYTES);
}

void random_start(const uint8_t key[RANDOM_KEY_BYTES])
{
    memcpy(secret, key, sizeof secret);
}

void random_bytes(void *to, size_t bytes)
{
    uint8_t block[RANDOM_BLOCK_BYTES];
    uint64_t nonce = atomic_fetch_add(&calls, 1);
    for (size_t done = 0; done < bytes; done += sizeof block) {
        chacha20_block(secret, done / sizeof block, nonce, block);
        memcpy((uint8_t *)to + done, block, (size_t)min_u64(bytes - done, sizeof block));
    }
    memset(block, 0, sizeof block);
}

uint64_t random_below(uint64_t limit)
{
    uint64_t number;
    random_bytes(&number, sizeof number);
    return number & (limit - 1);
}
