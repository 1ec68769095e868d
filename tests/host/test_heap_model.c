/* Long seeded runs of the heap against its model: ten million operations, validated on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "heap_model.h"
#include "random.h"

#define OPERATIONS       10000000
#define DEBUG_OPERATIONS 500000
#define VALIDATE_EVERY   100000

static void run(const char *rules, unsigned operations, uint64_t seed)
{
    model_start(rules);
    for (unsigned i = 0; i < operations; i++) {
        uint64_t random = random_next(&seed);
        /* Mostly small blocks: filling and verifying them is what takes the time. */
        uint8_t a = (uint8_t)(random & (random >> 32 & 63 ? 0xfe : 0xff));
        model_operate((uint8_t)(random >> 8), a, (uint8_t)(random >> 16));
        if (i % VALIDATE_EVERY == 0) {
            fixture_check(&fixture);
        }
    }
    model_stop();
}

static void ten_million_operations(void **state)
{
    (void)state;
    run(NULL, OPERATIONS, 0x1234567);
}

static void with_all_policies(void **state)
{
    (void)state;
    run("*:all", DEBUG_OPERATIONS, 0x7654321);
}

static void with_some_policies(void **state)
{
    (void)state;
    run("kmalloc-6*:redzone,poison;typed:quarantine", DEBUG_OPERATIONS, 0xabcdef);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_million_operations),
        cmocka_unit_test(with_all_policies),
        cmocka_unit_test(with_some_policies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
