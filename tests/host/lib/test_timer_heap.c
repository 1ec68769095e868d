/* The heap of timers against a reference model, an unsorted array, and against its own promise of few steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include <ashlar/timer_heap.h>

#include "tests/host/support/host.h"
#include "tests/host/support/random.h"

#define MOST  300
#define STEPS 60000
#define MANY  10000

static struct timer timers[MANY];

/* ---- The heap's shape ---- */

static uint32_t distance(const struct timer *timer)
{
    return timer ? timer->distance : 0;
}

static void check_one(const struct timer *timer)
{
    const struct timer *children[] = {timer->left, timer->right};
    for (unsigned i = 0; i < ARRAY_LENGTH(children); i++) {
        if (children[i]) {
            assert_ptr_equal(children[i]->above, timer);
            assert_true(children[i]->deadline >= timer->deadline);
        }
    }
    assert_true(distance(timer->left) >= distance(timer->right));
    assert_int_equal(timer->distance, distance(timer->right) + 1);
}

/* A walk by the links upwards; returns how many there are. */
static unsigned check_all(const struct timer *heap)
{
    unsigned count = 0;
    const struct timer *from = NULL;
    const struct timer *at = heap;
    assert_true(!heap || !heap->above);
    while (at) {
        const struct timer *next = at->above;
        if (from == at->above) {
            check_one(at);
            count++;
            next = at->left ? at->left : at->right ? at->right : at->above;
        } else if (from == at->left && at->right) {
            next = at->right;
        }
        from = at;
        at = next;
    }
    return count;
}

/* ---- Against the model ---- */

struct model {
    bool in[MOST];
    unsigned count;
};

static uint64_t earliest(const struct model *model)
{
    uint64_t first = UINT64_MAX;
    for (unsigned i = 0; i < MOST; i++) {
        if (model->in[i] && timers[i].deadline < first) {
            first = timers[i].deadline;
        }
    }
    return first;
}

/* One step: adds a timer that is not in, or takes out one that is: any, or the first. */
static void step(struct model *model, struct timer **heap, uint64_t *state, uint32_t range)
{
    unsigned chosen = random_number(state) % MOST;
    if (*heap && random_number(state) % 4 == 0) {
        chosen = (unsigned)(*heap - timers);
    }
    if (model->in[chosen]) {
        timer_heap_remove(heap, &timers[chosen]);
    } else {
        timers[chosen].deadline = random_number(state) % range;
        timer_heap_add(heap, &timers[chosen]);
    }
    model->in[chosen] = !model->in[chosen];
    model->count += model->in[chosen] ? 1 : -1U;
}

static void heap_is_what_the_model_is(void **unused)
{
    (void)unused;
    uint64_t state = 2463534242ULL;
    static const uint32_t ranges[] = {1, 5, 1000, UINT32_MAX};
    for (unsigned r = 0; r < ARRAY_LENGTH(ranges); r++) {
        struct model model = {.count = 0};
        struct timer *heap = NULL;
        for (unsigned i = 0; i < STEPS / ARRAY_LENGTH(ranges); i++) {
            step(&model, &heap, &state, ranges[r]);
            assert_int_equal(check_all(heap), model.count);
            assert_int_equal(heap ? heap->deadline : UINT64_MAX, earliest(&model));
        }
    }
}

/* ---- Few steps ---- */

static unsigned logarithm(unsigned count)
{
    unsigned bits = 0;
    for (; count != 0; count >>= 1) {
        bits++;
    }
    return bits;
}

/* What a merge goes along, and how far upwards a removal may have to correct: all are as short as promised.
 */
static void expect_short_ways(const struct timer *heap, unsigned count)
{
    unsigned steps = 0;
    for (const struct timer *at = heap; at; at = at->right) {
        steps++;
    }
    assert_true(steps <= logarithm(count));
    for (unsigned i = 0; i < MANY; i++) {
        assert_true(timers[i].distance <= logarithm(count));
    }
}

static void ten_thousand_come_out_in_order(uint64_t (*deadline)(unsigned number))
{
    struct timer *heap = NULL;
    for (unsigned i = 0; i < MANY; i++) {
        timers[i] = (struct timer){.deadline = deadline(i)};
        timer_heap_add(&heap, &timers[i]);
    }
    expect_short_ways(heap, MANY);
    uint64_t last = 0;
    for (unsigned count = MANY; count != 0; count--) {
        assert_non_null(heap);
        assert_true(heap->deadline >= last);
        last = heap->deadline;
        timer_heap_remove(&heap, heap);
        unsigned steps = 0;
        for (const struct timer *at = heap; at; at = at->right) {
            steps++;
        }
        assert_true(steps <= logarithm(count));
    }
    assert_null(heap);
}

static uint64_t ascending(unsigned number)
{
    return number;
}

static uint64_t descending(unsigned number)
{
    return MANY - number;
}

static uint64_t same(unsigned number)
{
    (void)number;
    return 7;
}

static uint64_t scattered(unsigned number)
{
    return number * 2654435761U;
}

static void all_orders(void **unused)
{
    (void)unused;
    ten_thousand_come_out_in_order(ascending);
    ten_thousand_come_out_in_order(descending);
    ten_thousand_come_out_in_order(same);
    ten_thousand_come_out_in_order(scattered);
}

/* From the deepest on: corrections must end soon, or this takes for ever. */
static void removal_from_anywhere(void **unused)
{
    (void)unused;
    struct timer *heap = NULL;
    for (unsigned i = 0; i < MANY; i++) {
        timers[i] = (struct timer){.deadline = MANY - i};
        timer_heap_add(&heap, &timers[i]);
    }
    for (unsigned i = 0; i < MANY; i++) {
        timer_heap_remove(&heap, &timers[i]);
        if (i % 100 == 0) {
            assert_int_equal(check_all(heap), MANY - i - 1);
        }
    }
    assert_null(heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_is_what_the_model_is),
        cmocka_unit_test(all_orders),
        cmocka_unit_test(removal_from_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
