/*
 * See checksum.h. It works word by word, because a CRC by tables costs ten times as much and the kernel is
 * some hundred thousand words long. Each step is one-to-one in the sum so far and in the word: two sums that
 * differ go on to differ as long as the words that follow are the same.
 */
#include "checksum.h"

#include <ashlar/string.h>

/* 2^64 divided by the golden ratio: its bits have no pattern. */
#define ODD_MULTIPLIER 0x9e3779b97f4a7c15ULL

uint64_t checksum(const void *data, size_t bytes)
{
    const uint8_t *at = data;
    uint64_t sum = bytes;
    for (size_t i = 0; i + sizeof(uint64_t) <= bytes; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, at + i, sizeof word);
        sum = (sum ^ word) * ODD_MULTIPLIER;
        sum ^= sum >> 32; /* a multiplication carries only upwards: this brings high bits down again */
    }
    return sum;
}
