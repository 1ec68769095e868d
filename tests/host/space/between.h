/*
 * What another CPU does in the midst of an operation: whenever the one under test has let go of its last
 * lock, CPU 1 finds that no TLB holds anything stale and that every space is sound, reads ahead all it can,
 * and does what the test says.
 */
#pragma once

#include "steps.h"

#include "tests/host/support/random.h"

/* From now on, until between_end(); the test's part is done only where its operation holds `change` of
 * `space`. */
void between_begin(void (*act)(void));
void between_end(void);

/* How often the test's part was done since between_begin(): an operation in one hold has no midst. */
unsigned between_times(void);

/* CPUs 0 and 1, memory for some more pages, one space. */
int between_start(void **state);

/* Runs `call`, which changes `space`, with `act` in its midst, which must have its turn at least 3 times. */
#define BETWEEN(act, call)                                                                                   \
    do {                                                                                                     \
        between_begin(act);                                                                                  \
        enum vm_error error_ = (call);                                                                       \
        between_end();                                                                                       \
        assert_string_equal(vm_error_name(error_), vm_error_name(VM_OK));                                    \
        assert_true(between_times() >= 3);                                                                   \
        mmu_model_check();                                                                                   \
        vm_fixture_check(&vm);                                                                               \
    } while (0)

#define BETWEEN_TEST(function) cmocka_unit_test_setup_teardown(function, between_start, stop)
