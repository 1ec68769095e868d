/* Any bytes as a gzip file; and any bytes as the contents of one, stored, which must come back. */
#include "tests/fuzz/require.h"
#include <ashlar/gzip.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

#define MOST MIB(1)

static _Alignas(8) uint8_t work[GZIP_WORK_BYTES];

static const char *unpack(const uint8_t *packed, size_t bytes, uint8_t **to, uint64_t *unpacked)
{
    *to = NULL;
    const char *wrong = gzip_length(packed, bytes, unpacked);
    if (wrong || *unpacked > MOST) {
        return wrong ? wrong : "too long";
    }
    *to = malloc(*unpacked + 1);
    wrong = gzip_unpack(packed, bytes, *to, *unpacked, work);
    require(wrong ||
            crc32(*to, *unpacked) == *(const uint32_t *)(const void *)memcpy(work, packed + bytes - 8, 4));
    return wrong;
}

static void store(const uint8_t *data, size_t bytes)
{
    static const uint8_t header[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0, 1};
    size_t total = sizeof header + 4 + bytes + 8;
    uint8_t *packed = malloc(total);
    uint32_t trailer[2] = {crc32(data, bytes), (uint32_t)bytes};
    uint16_t lengths[2] = {(uint16_t)bytes, (uint16_t)~bytes};
    uint8_t *to;
    uint64_t unpacked;
    memcpy(packed, header, sizeof header);
    memcpy(packed + sizeof header, lengths, 4);
    memcpy(packed + sizeof header + 4, data, bytes);
    memcpy(packed + total - 8, trailer, 8);
    require(!unpack(packed, total, &to, &unpacked));
    require(unpacked == bytes && memcmp(to, data, bytes) == 0);
    free(to);
    free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint8_t *to;
    uint64_t unpacked;
    unpack(data, bytes, &to, &unpacked);
    free(to);
    if (bytes <= UINT16_MAX) {
        store(data, bytes);
    }
    return 0;
}
