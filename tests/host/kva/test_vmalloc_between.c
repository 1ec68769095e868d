/*
 * The midst of allocating and freeing virtual blocks: whenever the CPU under test has let go of its last
 * lock, another one finds that blocks and ranges are sound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/host/support/host.h"
#include "vmalloc_fixture.h"
#include <ashlar/assert.h>

static struct vmalloc_fixture fixture;
static unsigned looks;

static void others_turn(void)
{
    struct host_cpu here = host_play(1);
    struct vmalloc_problem problem;
    struct kva_problem kva_problem;
    if (!vmalloc_check(&fixture.vmalloc, &problem)) {
        panic("in the midst: %s at %#" PRIx64 ": %#" PRIx64 ", not %#" PRIx64, problem.what,
              problem.where.raw, problem.found, problem.expected);
    }
    if (!kva_check(&fixture.arena, &kva_problem)) {
        panic("in the midst: %s", kva_problem.what);
    }
    looks++;
    host_play_end(here);
}

static void make_and_free(uint64_t bytes, unsigned looks_at_least)
{
    looks = 0;
    host_meanwhile = others_turn;
    void *block = vmalloc_alloc(&fixture.vmalloc, bytes);
    host_meanwhile = NULL;
    assert_non_null(block);
    assert_true(looks >= looks_at_least);
    assert_int_equal(vmalloc_bytes(&fixture.vmalloc, block), bytes);
    looks = 0;
    host_meanwhile = others_turn;
    vmalloc_free(&fixture.vmalloc, block);
    host_meanwhile = NULL;
    assert_true(looks >= 2);
}

static void blocks_are_whole_or_nobodys(void **state)
{
    (void)state;
    vmalloc_fixture_start(&fixture, MIB(32), GIB(1), 2, false);
    for (unsigned i = 0; i < VMALLOC_RETIRED_RANGES + 2; i++) {
        make_and_free(FRAME_BYTES, 2);
    }
    make_and_free(VMALLOC_RETIRED_PAGES / 2 * FRAME_BYTES, 3);
    make_and_free(1000 * FRAME_BYTES, 10);
    make_and_free(MIB(6) + FRAME_BYTES, 4);
    vmalloc_fixture_stop(&fixture);
}

/* What memory does not suffice for is given up in the midst. */
static void so_are_those_that_fail(void **state)
{
    (void)state;
    vmalloc_fixture_start(&fixture, MIB(32), GIB(1), 2, false);
    void *kept = vmalloc_alloc(&fixture.vmalloc, FRAME_BYTES);
    for (uint64_t frames = 0; frames < 40; frames++) {
        vmalloc_starve(&fixture, frames);
        host_meanwhile = others_turn;
        void *block = vmalloc_alloc(&fixture.vmalloc, 47 * FRAME_BYTES);
        host_meanwhile = NULL;
        assert_null(block);
        vmalloc_feed(&fixture);
    }
    vmalloc_free(&fixture.vmalloc, kept);
    vmalloc_fixture_stop(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_whole_or_nobodys),
        cmocka_unit_test(so_are_those_that_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
