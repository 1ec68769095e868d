/* Long seeded runs of page tables against the reference model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model.h"
#include "tests/host/support/random.h"

static struct table_model model;

static void random_operations_agree_with_the_model(void **state)
{
    (void)state;
    uint64_t refused = 0;
    for (unsigned seed = 1; seed <= 12; seed++) {
        uint64_t random = seed;
        table_model_make(&model, 4 + seed % 2, PAGE_LEVEL_2M + seed / 2 % 2, 1);
        for (unsigned i = 0; i < 150; i++) {
            uint64_t x = random_next(&random);
            uint8_t what = (uint8_t)(x >> 56);
            table_model_step(&model, (unsigned)(x >> 48) & 0xff, what, (uint32_t)(x >> 8),
                             (uint32_t)random_next(&random));
        }
        refused += model.refused;
        table_model_finish(&model);
    }
    assert_true(refused > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_agree_with_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
