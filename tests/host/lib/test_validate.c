/* Validators at random moments: how often, and never one inside another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ashlar/validate.h>
#include <string.h>

#include "tests/host/support/host.h"

static void none_until_it_is_asked_for(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        assert_false(validate_begin());
    }
    assert_int_equal(validate_runs(), 0);
}

static void about_one_in_so_many(void **state)
{
    (void)state;
    validate_at_random(10);
    unsigned count = 0;
    for (unsigned i = 0; i < 10000; i++) {
        if (validate_begin()) {
            count++;
            validate_end();
        }
    }
    assert_in_range(count, 800, 1200);
    assert_int_equal(validate_runs(), count);
}

static void none_inside_another(void **state)
{
    (void)state;
    validate_at_random(1);
    assert_true(validate_begin());
    assert_false(validate_begin());
    validate_end();
    assert_true(validate_begin());
    validate_end();
    validate_at_random(0);
    assert_false(validate_begin());
}

struct thing_problem {
    const char *what;
    uint64_t found;
    uint64_t expected;
};

static unsigned looks;

/* The validator of something; it itself uses what is validated. */
static bool thing_check(const bool *sound, struct thing_problem *problem)
{
    looks++;
    VALIDATE_AT_RANDOM(thing, thing_check, sound);
    *problem = (struct thing_problem){"what was said", 3, 4};
    return *sound;
}

static unsigned stops;
static unsigned resumes;

static void stop(void)
{
    stops++;
}

static void resume(void)
{
    resumes++;
}

static void others_stand_still_meanwhile(void **state)
{
    (void)state;
    validate_alone(stop, resume);
    validate_at_random(1);
    assert_true(validate_begin());
    assert_int_equal(stops, 1);
    assert_int_equal(resumes, 0);
    validate_end();
    assert_int_equal(resumes, 1);
    preempt_disable(); /* as who holds a lock has it, for whom another CPU may wait */
    assert_false(validate_begin());
    preempt_enable();
    assert_int_equal(stops, 1);
    validate_alone(NULL, NULL);
    validate_at_random(0);
}

static void the_macro_runs_it_and_panics(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    bool sound = true;
    bool panicked;
    validate_at_random(0);
    VALIDATE_AT_RANDOM(thing, thing_check, &sound);
    assert_int_equal(looks, 0);
    validate_at_random(1);
    VALIDATE_AT_RANDOM(thing, thing_check, &sound);
    assert_int_equal(looks, 1);
    sound = false;
    CATCH_PANIC(trap, panicked, VALIDATE_AT_RANDOM(thing, thing_check, &sound));
    assert_true(panicked);
    assert_non_null(strstr(trap.message, "thing_check: what was said: 0x3 instead of 0x4"));
    assert_non_null(strstr(trap.message, "test_validate.c"));
    validate_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(none_until_it_is_asked_for),   cmocka_unit_test(about_one_in_so_many),
        cmocka_unit_test(none_inside_another),          cmocka_unit_test(others_stand_still_meanwhile),
        cmocka_unit_test(the_macro_runs_it_and_panics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
