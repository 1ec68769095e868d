/* Unpacking gzip; see <ashlar/gzip.h>. What is inside the frame of RFC 1952 is unpacked by stb_image's
 * decoder. */
#define STBI_ASSERT(condition)       ((void)0)
#define STBI_MALLOC(bytes)           NULL /* the output has its length from the start: nothing is allocated */
#define STBI_REALLOC(pointer, bytes) NULL
#define STBI_FREE(pointer)           ((void)0)
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_NO_PNG
#define STBI_SUPPORT_ZLIB
#define STBI_NO_STDIO
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_NO_SIMD
#define STBI_NO_FAILURE_STRINGS
#define STBI_NO_THREAD_LOCALS
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wunused-function"
#pragma clang diagnostic ignored "-Wunused-parameter"
#pragma clang diagnostic ignored "-Wsign-compare"
#pragma clang diagnostic ignored "-Wshadow"
#include <stb_image.h>
#pragma clang diagnostic pop

#include <ashlar/gzip.h>
#include <ashlar/string.h>

enum {
    HEADER_BYTES = 10,
    TRAILER_BYTES = 8,
    RATIO_MOST = 1032, /* a pair of bits makes 258 bytes */
};

/* Bits of the header's flags (RFC 1952, 2.3.1). */
enum {
    HAS_HEADER_CRC = 1 << 1,
    HAS_EXTRA = 1 << 2,
    HAS_NAME = 1 << 3,
    HAS_COMMENT = 1 << 4,
    UNKNOWN_FLAGS = 0xe0,
};

_Static_assert(sizeof(stbi__zbuf) <= GZIP_WORK_BYTES, "what callers provide");

uint32_t crc32(const void *data, uint64_t bytes)
{
    uint32_t crc = UINT32_MAX;
    for (const uint8_t *at = data, *end = at + bytes; at < end; at++) {
        /* Half a byte at a time, by a table of 16: small, and fast enough for what is read once. */
        static const uint32_t table[16] = {
            0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
            0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
        crc ^= *at;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

static uint32_t word_at(const uint8_t *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

bool gzip_is(const void *packed, uint64_t bytes)
{
    const uint8_t *at = packed;
    return bytes >= 2 && at[0] == 0x1f && at[1] == 0x8b;
}

/* Where a text that begins at `at` ends; `end` and more when it does not. */
static uint64_t behind_text(const uint8_t *packed, uint64_t at, uint64_t end)
{
    while (at < end && packed[at] != 0) {
        at++;
    }
    return at + 1;
}

/* Where the contents begin, or why they do not. */
static const char *read_header(const uint8_t *packed, uint64_t bytes, uint64_t *start)
{
    if (bytes < HEADER_BYTES + TRAILER_BYTES || bytes > GZIP_BYTES_MAX) {
        return bytes > GZIP_BYTES_MAX ? "is longer than 2 GiB" : "is cut short";
    }
    if (!gzip_is(packed, bytes) || packed[2] != 8) {
        return "is packed by a method other than deflate";
    }
    unsigned flags = packed[3];
    uint64_t end = bytes - TRAILER_BYTES;
    uint64_t at = HEADER_BYTES;
    if (flags & UNKNOWN_FLAGS) {
        return "has flags in its header that mean nothing";
    }
    if (flags & HAS_EXTRA) {
        at += 2 + (packed[at] | (uint64_t)packed[at + 1] << 8);
    }
    if (flags & HAS_NAME) {
        at = behind_text(packed, at, end);
    }
    if (flags & HAS_COMMENT) {
        at = behind_text(packed, at, end);
    }
    if (flags & HAS_HEADER_CRC) {
        if (at + 2 > end) {
            return "is cut short";
        }
        if ((crc32(packed, at) & 0xffff) != (packed[at] | (unsigned)packed[at + 1] << 8)) {
            return "has a damaged header";
        }
        at += 2;
    }
    *start = at;
    return at < end ? NULL : "is cut short";
}

const char *gzip_length(const void *packed, uint64_t bytes, uint64_t *unpacked)
{
    uint64_t start;
    const char *wrong = read_header(packed, bytes, &start);
    if (wrong) {
        return wrong;
    }
    *unpacked = word_at((const uint8_t *)packed + bytes - 4);
    if (*unpacked > GZIP_BYTES_MAX) {
        return "is longer than 2 GiB when it is unpacked";
    }
    return *unpacked <= (bytes - TRAILER_BYTES - start) * RATIO_MOST
               ? NULL
               : "has a length that its packed bytes cannot have";
}

const char *gzip_unpack(const void *packed, uint64_t bytes, void *to, uint64_t unpacked, void *work)
{
    const uint8_t *trailer = (const uint8_t *)packed + bytes - TRAILER_BYTES;
    stbi__zbuf *decoder = work;
    uint64_t start;
    const char *wrong = read_header(packed, bytes, &start);
    if (wrong) {
        return wrong;
    }
    memset(decoder, 0, sizeof *decoder);
    decoder->zbuffer = (stbi_uc *)(uintptr_t)packed + start;
    decoder->zbuffer_end = decoder->zbuffer + (bytes - start); /* the decoder looks ahead: into the trailer */
    if (!stbi__do_zlib(decoder, to, (int)unpacked, 0, 0)) {
        return "is damaged";
    }
    const uint8_t *end = decoder->zbuffer - decoder->num_bits / 8; /* whole bytes it has not used */
    if (end != trailer) {
        return end < trailer ? "has something behind its contents" : "is cut short";
    }
    if ((uint64_t)(decoder->zout - decoder->zout_start) != unpacked) {
        return "has not the length that it says";
    }
    return crc32(to, unpacked) == word_at(trailer) ? NULL : "is damaged: its CRC-32 is another";
}
