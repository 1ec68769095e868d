/* The stream cipher behind random bytes, by the numbers of RFC 8439, and what is made of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include <ashlar/random.h>

static uint8_t key[RANDOM_KEY_BYTES];

static int make_key(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof key; i++) {
        key[i] = (uint8_t)i;
    }
    random_start(key);
    return 0;
}

/* RFC 8439, 2.3.2: its nonce of 96 bits and counter of 32 are our two of 64. */
static void a_block_is_the_rfcs(void **state)
{
    (void)state;
    static const uint8_t wanted[RANDOM_BLOCK_BYTES] = {
        0x10, 0xf1, 0xe7, 0xe4, 0xd1, 0x3b, 0x59, 0x15, 0x50, 0x0f, 0xdd, 0x1f, 0xa3, 0x20, 0x71, 0xc4,
        0xc7, 0xd1, 0xf4, 0xc7, 0x33, 0xc0, 0x68, 0x03, 0x04, 0x22, 0xaa, 0x9a, 0xc3, 0xd4, 0x6c, 0x4e,
        0xd2, 0x82, 0x64, 0x46, 0x07, 0x9f, 0xaa, 0x09, 0x14, 0xc2, 0xd7, 0x05, 0xd9, 0x8b, 0x02, 0xa2,
        0xb5, 0x12, 0x9c, 0xd1, 0xde, 0x16, 0x4e, 0xb9, 0xcb, 0xd0, 0x83, 0xe8, 0xa2, 0x50, 0x3c, 0x4e};
    uint8_t block[RANDOM_BLOCK_BYTES];
    chacha20_block(key, 0x0900000000000001ULL, 0x4a000000ULL, block);
    assert_memory_equal(block, wanted, sizeof wanted);
}

static void calls_differ_and_fill_exactly(void **state)
{
    (void)state;
    uint8_t first[200];
    uint8_t second[200];
    for (size_t bytes = 0; bytes < sizeof first - 1; bytes++) {
        memset(first, 0, sizeof first);
        memset(second, 0, sizeof second);
        random_bytes(first, bytes);
        random_bytes(second, bytes);
        assert_int_equal(first[bytes], 0);
        if (bytes >= 8) {
            assert_memory_not_equal(first, second, bytes);
            assert_memory_not_equal(first + bytes - 8, (uint8_t[8]){0}, 8);
        }
        assert_true(random_below(16) < 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_block_is_the_rfcs),
                                       cmocka_unit_test(calls_differ_and_fill_exactly)};
    return cmocka_run_group_tests(tests, make_key, NULL);
}
