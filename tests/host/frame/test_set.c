/* The set of small numbers behind the pool's indexes, against an array of flags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mm/frame/policy/set.h"

static uint64_t naive_find(const bool *members, uint64_t size, uint64_t from)
{
    while (from < size && !members[from]) {
        from++;
    }
    return from < size ? from : SET_NONE;
}

static void compare(uint64_t size, unsigned density)
{
    uint64_t *words = malloc(set_words(size) * sizeof *words);
    bool *members = calloc(size, sizeof *members);
    struct set set;
    assert_ptr_equal(set_init(&set, size, words), words + set_words(size));
    uint64_t random = size;
    for (unsigned i = 0; i < 4000; i++) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        uint64_t number = (random >> 33) % size;
        if (i % density == 0) {
            set_add(&set, number);
            members[number] = true;
        } else {
            number = i % 2 ? number : naive_find(members, size, number);
            if (number != SET_NONE) {
                set_remove(&set, number);
                members[number] = false;
            }
        }
        uint64_t from = (random >> 20) % size;
        assert_int_equal(set_find(&set, size, from), naive_find(members, size, from));
        assert_int_equal(set_has(&set, from), members[from]);
    }
    free(members);
    free(words);
}

static void finds_what_a_search_would(void **state)
{
    (void)state;
    static const uint64_t sizes[] = {1, 2, 63, 64, 65, 960, 4095, 4096, 4097, 65536, SET_MAXIMUM};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        compare(sizes[i], 2);
        compare(sizes[i], 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_what_a_search_would)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
