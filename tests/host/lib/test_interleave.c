/* The dice of <ashlar/interleave.h>: what a seed decides, it decides again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include <ashlar/interleave.h>

#include "tests/host/support/host.h"

#define POINTS 5000

/* The digest of a run in which CPU 0 and CPU `other` take turns. Not inlined: a point's place counts. */
__attribute__((noinline)) static uint64_t run(uint64_t seed, unsigned other)
{
    interleave_begin(seed);
    for (unsigned i = 0; i < POINTS; i++) {
        host_cpu = i % 2 == 0 ? 0 : other;
        interleave_point();
    }
    host_cpu = 0;
    const struct interleave_facts facts = interleave_facts();
    assert_int_equal(facts.seed, seed);
    assert_int_equal(facts.points, POINTS);
    return facts.digest;
}

static void nothing_happens_before_dice_are_thrown(void **state)
{
    (void)state;
    interleave_point();
    const struct interleave_facts facts = interleave_facts();
    assert_int_equal(facts.seed | facts.points | facts.digest, 0);
}

static void the_same_seed_gives_the_same_run(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 48; seed++) {
        assert_int_equal(run(seed, 1), run(seed, 1));
    }
}

static void another_seed_or_another_cpu_gives_another(void **state)
{
    (void)state;
    uint64_t before = 0;
    for (uint64_t seed = 1; seed <= 48; seed++) {
        uint64_t digest = run(seed, 1);
        assert_int_not_equal(digest, before);
        assert_int_not_equal(digest, run(seed, 2));
        before = digest;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_happens_before_dice_are_thrown),
        cmocka_unit_test(the_same_seed_gives_the_same_run),
        cmocka_unit_test(another_seed_or_another_cpu_gives_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
