/* Sets of interrupt vectors: alignment, exhaustion, vectors on their way out, and random runs against a
 * model. */
#include <ashlar/vectors.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/host/support/random.h"

#define FIRST      0x30
#define END        0xe0
#define RUNS_MAX   (END - FIRST)
#define OPERATIONS 200000

static bool pending[VECTORS]; /* as the local APIC would say */

static bool is_pending(unsigned vector)
{
    return pending[vector];
}

static struct vector_set make_set(void)
{
    struct vector_set set;
    memset(pending, 0, sizeof pending);
    vector_set_init(&set, FIRST, END, is_pending);
    return set;
}

static void all_are_given_out_once_then_none(void **state)
{
    (void)state;
    struct vector_set set = make_set();
    bool seen[VECTORS] = {false};
    for (unsigned i = 0; i < END - FIRST; i++) {
        unsigned vector = vector_set_take(&set, 1);
        assert_in_range(vector, FIRST, END - 1);
        assert_false(seen[vector]);
        seen[vector] = true;
    }
    assert_int_equal(vector_set_free_count(&set), 0);
    assert_int_equal(vector_set_take(&set, 1), 0);
    vector_set_give_back(&set, 0x77, 1);
    assert_int_equal(vector_set_take(&set, 1), 0x77);
    assert_int_equal(vector_set_take(&set, 1), 0);
}

static void longest_runs_are_aligned_until_none_is_left(void **state)
{
    (void)state;
    struct vector_set set = make_set();
    for (unsigned first = 0x40; first < 0xe0; first += VECTOR_RUN_MAX) {
        assert_int_equal(vector_set_take(&set, VECTOR_RUN_MAX), first);
    }
    assert_int_equal(vector_set_take(&set, VECTOR_RUN_MAX), 0);
    assert_int_equal(vector_set_take(&set, 16), 0x30); /* too short for the others, not for this */
    assert_int_equal(vector_set_take(&set, 1), 0);
}

static void single_vectors_leave_long_stretches_whole(void **state)
{
    (void)state;
    struct vector_set set = make_set();
    for (unsigned i = 0; i < 16; i++) {
        assert_in_range(vector_set_take(&set, 1), 0x30, 0x3f);
    }
    for (unsigned i = 0; i < (END - 0x40) / VECTOR_RUN_MAX; i++) {
        assert_int_not_equal(vector_set_take(&set, VECTOR_RUN_MAX), 0);
    }
}

static void vector_on_its_way_is_not_given_out(void **state)
{
    (void)state;
    struct vector_set set;
    memset(pending, 0, sizeof pending);
    vector_set_init(&set, 0x40, 0x42, is_pending);
    assert_int_equal(vector_set_take(&set, 2), 0x40);
    pending[0x41] = true;
    vector_set_give_back(&set, 0x40, 2);
    assert_int_equal(vector_set_free_count(&set), 2);
    assert_int_equal(vector_set_take(&set, 2), 0);
    assert_int_equal(vector_set_take(&set, 1), 0x40);
    assert_int_equal(vector_set_take(&set, 1), 0);
    pending[0x41] = false;
    assert_int_equal(vector_set_take(&set, 1), 0x41);
}

/* ---- Against a model ---- */

struct model {
    bool taken[VECTORS];
    bool leaving[VECTORS];
    struct {
        unsigned first;
        unsigned count;
    } runs[RUNS_MAX];
    unsigned run_count;
};

static bool model_is_free(const struct model *model, unsigned vector)
{
    return vector >= FIRST && vector < END && !model->taken[vector] &&
           !(model->leaving[vector] && pending[vector]);
}

static bool model_run_is_free(const struct model *model, unsigned first, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (!model_is_free(model, first + i)) {
            return false;
        }
    }
    return true;
}

/* How long the longest free stretch is, of those that a run of `count` at `first` would cut up. */
static unsigned stretch_around(const struct model *model, unsigned first, unsigned count)
{
    unsigned length = count;
    while (length < VECTOR_RUN_MAX && model_run_is_free(model, first & ~(2 * length - 1), 2 * length)) {
        length *= 2;
    }
    return length;
}

static unsigned shortest_stretch(const struct model *model, unsigned count)
{
    unsigned shortest = UINT32_MAX;
    for (unsigned first = 0; first < VECTORS; first += count) {
        if (model_run_is_free(model, first, count)) {
            unsigned length = stretch_around(model, first, count);
            shortest = length < shortest ? length : shortest;
        }
    }
    return shortest;
}

static void take(struct vector_set *set, struct model *model, unsigned count)
{
    unsigned shortest = shortest_stretch(model, count);
    unsigned first = vector_set_take(set, count);
    assert_int_equal(first == 0, shortest == UINT32_MAX);
    for (unsigned vector = FIRST; vector < END; vector++) { /* the set looked which ones have left */
        model->leaving[vector] = model->leaving[vector] && pending[vector];
    }
    if (first == 0) {
        return;
    }
    assert_int_equal(first % count, 0);
    assert_true(model_run_is_free(model, first, count));
    assert_int_equal(stretch_around(model, first, count), shortest);
    memset(model->taken + first, true, count);
    model->runs[model->run_count].first = first;
    model->runs[model->run_count++].count = count;
}

static void give_back(struct vector_set *set, struct model *model, unsigned which)
{
    unsigned first = model->runs[which].first;
    unsigned count = model->runs[which].count;
    model->runs[which] = model->runs[--model->run_count];
    vector_set_give_back(set, first, count);
    memset(model->taken + first, false, count);
    for (unsigned vector = FIRST; vector < END; vector++) {
        bool came = vector >= first && vector < first + count;
        model->leaving[vector] = (model->leaving[vector] || came) && pending[vector];
    }
}

static void check_counts(const struct vector_set *set, const struct model *model)
{
    unsigned free = 0;
    for (unsigned vector = FIRST; vector < END; vector++) {
        free += !model->taken[vector];
    }
    assert_int_equal(vector_set_free_count(set), free);
    assert_true(vector_set_is_valid(set));
}

static void a_damaged_set_is_not_valid(void **state)
{
    (void)state;
    struct vector_set set = make_set();
    assert_true(vector_set_is_valid(&set));
    uint64_t free = set.free[0];
    set.free[0] |= ~set.own[0]; /* vectors that are not its own */
    assert_false(vector_set_is_valid(&set));
    set.free[0] = free;
    set.leaving[3] = set.free[3]; /* free and leaving at once */
    assert_int_equal(vector_set_is_valid(&set), set.free[3] == 0);
}

static void random_use_is_as_in_the_model(void **state)
{
    (void)state;
    static struct model model;
    struct vector_set set = make_set();
    uint64_t seed = 20;
    for (unsigned i = 0; i < OPERATIONS; i++) {
        uint64_t random = random_next(&seed);
        unsigned what = random % 8;
        if (what < 3 + (i / 1000) % 2) { /* waves: now more are taken, now more are given back */
            take(&set, &model, 1u << (random >> 32) % 6);
        } else if (what < 7 && model.run_count > 0) {
            give_back(&set, &model, (unsigned)((random >> 32) % model.run_count));
        } else {
            pending[(random >> 32) % VECTORS] = (random >> 60) < 4;
        }
        check_counts(&set, &model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_given_out_once_then_none),
        cmocka_unit_test(longest_runs_are_aligned_until_none_is_left),
        cmocka_unit_test(single_vectors_leave_long_stretches_whole),
        cmocka_unit_test(vector_on_its_way_is_not_given_out),
        cmocka_unit_test(a_damaged_set_is_not_valid),
        cmocka_unit_test(random_use_is_as_in_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
