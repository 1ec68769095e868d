/* Seeded runs of the heap against its model, validated on the way; long_heap.c makes many more operations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model.h"

#define OPERATIONS       1000000
#define DEBUG_OPERATIONS 200000
#define VALIDATE_EVERY   100000

static void without_policies(void **state)
{
    (void)state;
    heap_model_run(NULL, OPERATIONS, VALIDATE_EVERY, 0x1234567);
}

static void with_all_policies(void **state)
{
    (void)state;
    heap_model_run("*:all", DEBUG_OPERATIONS, VALIDATE_EVERY, 0x7654321);
}

static void with_some_policies(void **state)
{
    (void)state;
    heap_model_run("heap-6*:redzone,poison;typed:quarantine", DEBUG_OPERATIONS, VALIDATE_EVERY, 0xabcdef);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_policies),
        cmocka_unit_test(with_all_policies),
        cmocka_unit_test(with_some_policies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
