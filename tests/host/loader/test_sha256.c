/* SHA-256: the vectors of FIPS 180-4, and lengths around those of blocks, compared with the host's sha256sum.
 */
#include "loader/portable/sha256.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *text_of(const void *data, uint64_t bytes)
{
    static char text[2 * SHA256_BYTES + 1];
    uint8_t hash[SHA256_BYTES];
    sha256(data, bytes, hash);
    for (unsigned i = 0; i < SHA256_BYTES; i++) {
        sprintf(text + 2 * (size_t)i, "%02x", hash[i]);
    }
    return text;
}

static void test_vectors(void **state)
{
    (void)state;
    assert_string_equal(text_of("", 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_string_equal(text_of("abc", 3),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_string_equal(text_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56),
                        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    assert_string_equal(text_of(million, 1000000),
                        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

static void test_lengths(void **state)
{
    (void)state;
    for (unsigned bytes = 0; bytes <= 200; bytes += bytes == 0 || (bytes + 10) % 64 < 20 ? 1 : 9) {
        char command[200];
        char theirs[2 * SHA256_BYTES + 1] = "";
        char *data = malloc(bytes + !bytes); /* exactly as long: the sanitizer watches its end */
        memset(data, 'x', bytes);
        snprintf(command, sizeof command, "head -c %u /dev/zero | tr '\\0' x | sha256sum", bytes);
        FILE *other = popen(command, "r");
        assert_int_equal(fread(theirs, 1, 2 * SHA256_BYTES, other), 2 * SHA256_BYTES);
        pclose(other);
        assert_string_equal(text_of(data, bytes), theirs);
        free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_lengths)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
