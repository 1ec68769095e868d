/* Long seeded runs of arenas against their model, over many places and sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model.h"
#include "tests/host/support/random.h"

static void run(uint64_t seed, uint64_t base, uint64_t pages, unsigned operations)
{
    arena_model_start(base, pages);
    for (unsigned i = 0; i < operations; i++) {
        uint64_t random = random_next(&seed);
        arena_model_operate((uint8_t)(random >> 8), (uint8_t)(random >> 16), (uint8_t)(random >> 24),
                            (uint8_t)(random >> 32));
        if (i % 4096 == 0) {
            kva_fixture_check(&arena_model_fixture);
        }
    }
    arena_model_stop();
}

static void one_arena_for_long(void **state)
{
    (void)state;
    run(0x1234567, 0xffffd00000000000, MODEL_PAGES_MAX, 1000000);
}

static void many_small_arenas(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 400; seed++) {
        uint64_t pages = 1 + seed * seed % 500;
        run(seed, arena_model_base((unsigned)seed, pages), pages, 1500);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_arena_for_long),
        cmocka_unit_test(many_small_arenas),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
