/* Sets of CPUs, against an array of bools: sizes on both sides of a word's border, and a large one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include <ashlar/cpu_set.h>

#include "tests/host/support/host.h"
#include "tests/host/support/random.h"

#define STEPS 20000

static const unsigned sizes[] = {1, 2, 63, 64, 65, 128, 300};

/* A set in words of its own, so that the sanitizer sees an access beyond them. */
static struct cpu_set make(unsigned cpus)
{
    struct cpu_set set;
    _Atomic(uint64_t) *words = malloc(cpu_set_words(cpus) * sizeof *words);
    cpu_set_init(&set, words, cpus);
    return set;
}

static void drop(struct cpu_set *set)
{
    free((void *)set->words);
}

static void a_set_has_just_the_words_it_needs(void **state)
{
    (void)state;
    assert_int_equal(cpu_set_words(1), 1);
    assert_int_equal(cpu_set_words(64), 1);
    assert_int_equal(cpu_set_words(65), 2);
    assert_int_equal(cpu_set_words(300), 5);
}

static void a_new_set_is_empty(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LENGTH(sizes); i++) {
        struct cpu_set set = make(sizes[i]);
        assert_int_equal(cpu_set_count(&set), 0);
        assert_int_equal(cpu_set_next(&set, 0), sizes[i]);
        drop(&set);
    }
}

static void each_cpu_alone_is_found_from_everywhere(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LENGTH(sizes); i++) {
        struct cpu_set set = make(sizes[i]);
        for (unsigned cpu = 0; cpu < sizes[i]; cpu++) {
            assert_true(cpu_set_add(&set, cpu));
            assert_false(cpu_set_add(&set, cpu));
            for (unsigned from = 0; from <= sizes[i]; from++) {
                assert_int_equal(cpu_set_next(&set, from), from <= cpu ? cpu : sizes[i]);
            }
            assert_true(cpu_set_remove(&set, cpu));
            assert_false(cpu_set_remove(&set, cpu));
        }
        drop(&set);
    }
}

static void expect_same(const struct cpu_set *set, const bool *in)
{
    unsigned next = cpu_set_next(set, 0);
    unsigned count = 0;
    for (unsigned cpu = 0; cpu < set->cpus; cpu++) {
        assert_int_equal(cpu_set_has(set, cpu), in[cpu]);
        if (in[cpu]) {
            assert_int_equal(next, cpu);
            next = cpu_set_next(set, cpu + 1);
            count++;
        }
    }
    assert_int_equal(next, set->cpus);
    assert_int_equal(cpu_set_count(set), count);
}

static void random_changes_agree_with_an_array(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LENGTH(sizes); i++) {
        struct cpu_set set = make(sizes[i]);
        bool in[300] = {false};
        uint64_t random = 7 + i;
        for (unsigned step = 0; step < STEPS / sizes[i]; step++) {
            uint64_t dice = random_next(&random);
            unsigned cpu = (unsigned)((dice >> 8) % sizes[i]);
            if (dice & 1) {
                assert_int_equal(cpu_set_add(&set, cpu), !in[cpu]);
            } else {
                assert_int_equal(cpu_set_remove(&set, cpu), in[cpu]);
            }
            in[cpu] = dice & 1;
            expect_same(&set, in);
        }
        drop(&set);
    }
}

static void a_cpu_that_there_is_not_panics(void **state)
{
    (void)state;
    struct cpu_set set = make(65);
    struct host_panic_trap trap;
    bool panicked;
    CATCH_PANIC(trap, panicked, cpu_set_add(&set, 65));
    assert_true(panicked);
    drop(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_set_has_just_the_words_it_needs),
        cmocka_unit_test(a_new_set_is_empty),
        cmocka_unit_test(each_cpu_alone_is_found_from_everywhere),
        cmocka_unit_test(random_changes_agree_with_an_array),
        cmocka_unit_test(a_cpu_that_there_is_not_panics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
