/* The checksum of the kernel's section: what tools/lib/checksum.py computes, and what damage it sees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "loader/portable/checksum.h"

enum { BYTES = 256 };

static void make_data(uint8_t *data)
{
    for (unsigned i = 0; i < BYTES; i++) {
        data[i] = (uint8_t)(i * 7 + 3);
    }
}

/* The same numbers are in tools/lib/test_tools.py. */
static void same_as_the_build_computes(void **state)
{
    (void)state;
    uint8_t data[BYTES];
    make_data(data);
    assert_int_equal(checksum(data, 0), 0);
    assert_int_equal(checksum(data, BYTES), 0x30a8f60f0d6c40f5);
    assert_int_equal(checksum(data + 8, 64), 0x35111efa9db1dac0);
}

static void any_alignment(void **state)
{
    (void)state;
    uint8_t data[BYTES];
    uint8_t shifted[BYTES + 8];
    make_data(data);
    for (unsigned i = 0; i < 8; i++) {
        memcpy(shifted + i, data, BYTES);
        assert_int_equal(checksum(shifted + i, BYTES), checksum(data, BYTES));
    }
}

/* Also two bits: the top bits of two words would cancel out in a plain sum or product. */
static void every_bit_counts(void **state)
{
    (void)state;
    uint8_t data[BYTES];
    make_data(data);
    uint64_t good = checksum(data, BYTES);
    for (unsigned one = 0; one < BYTES * 8; one++) {
        data[one / 8] ^= (uint8_t)(1u << one % 8);
        assert_int_not_equal(checksum(data, BYTES), good);
        for (unsigned other = one + 64; other < BYTES * 8; other += 64) {
            data[other / 8] ^= (uint8_t)(1u << other % 8);
            assert_int_not_equal(checksum(data, BYTES), good);
            data[other / 8] ^= (uint8_t)(1u << other % 8);
        }
        data[one / 8] ^= (uint8_t)(1u << one % 8);
    }
}

static void length_counts(void **state)
{
    (void)state;
    uint8_t zeros[BYTES] = {0};
    for (unsigned bytes = 8; bytes <= BYTES; bytes += 8) {
        assert_int_not_equal(checksum(zeros, bytes), checksum(zeros, bytes - 8));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_as_the_build_computes),
        cmocka_unit_test(any_alignment),
        cmocka_unit_test(every_bit_counts),
        cmocka_unit_test(length_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
