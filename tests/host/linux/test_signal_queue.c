/* Pending signals, against a model of plain lists; and what each signal does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "kernel/linux/signal/queue.h"

#define RECORDS 300
#define STEPS   200000

/* The model: all that is pending in the order in which it came; record -1: nothing is known of it. */
static struct {
    uint32_t signal;
    int record;
} model[RECORDS * 2];
static unsigned model_count;
static struct signal_record records[RECORDS];
static uint64_t seed;

static uint64_t chance(uint64_t limit)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (seed >> 33) % limit;
}

static bool model_has(uint32_t signal)
{
    for (unsigned i = 0; i < model_count; i++) {
        if (model[i].signal == signal) {
            return true;
        }
    }
    return false;
}

static uint64_t model_set(void)
{
    uint64_t set = 0;
    for (unsigned i = 0; i < model_count; i++) {
        set |= SIGNAL_BIT(model[i].signal);
    }
    return set;
}

static bool is_of_fault(uint32_t signal)
{
    return signal == 4 || signal == 5 || signal == 7 || signal == 8 || signal == 11 || signal == 31;
}

/* Those of faults first, then by number; of one signal the oldest. */
static int model_first(uint64_t allowed)
{
    int best = -1;
    for (unsigned i = 0; i < model_count; i++) {
        uint32_t signal = model[i].signal;
        if (!(allowed & SIGNAL_BIT(signal))) {
            continue;
        }
        if (best < 0 || (is_of_fault(signal) && !is_of_fault(model[best].signal)) ||
            (is_of_fault(signal) == is_of_fault(model[best].signal) && signal < model[best].signal)) {
            best = (int)i;
        }
    }
    return best;
}

static void model_remove(unsigned at)
{
    memmove(&model[at], &model[at + 1], (model_count - at - 1) * sizeof model[0]);
    model_count--;
}

/* One of which nothing is known is one with the next of its number. */
static void model_forget_unknown(uint32_t signal)
{
    for (unsigned i = model_count; i-- > 0;) {
        if (model[i].signal == signal && model[i].record < 0) {
            model_remove(i);
        }
    }
}

static bool is_free[RECORDS];

static int free_record(void)
{
    for (int i = 0; i < RECORDS; i++) {
        if (is_free[i]) {
            return i;
        }
    }
    return -1;
}

static void add(struct signal_queue *queue)
{
    uint32_t signal = (uint32_t)chance(SIGNAL_COUNT) + 1;
    bool once = signal < 32;
    int record = chance(8) == 0 ? -1 : free_record();
    if (record < 0 && !once && model_has(signal)) {
        return; /* of a signal that is queued, what has no record says nothing more */
    }
    bool expected = !once || !model_has(signal);
    bool added = signal_queue_add(queue, signal, record < 0 ? NULL : &records[record]);
    assert_int_equal(added, expected);
    if (added) {
        if (record >= 0) {
            is_free[record] = false;
            assert_int_equal(records[record].information.signal, (int)signal);
        }
        model_forget_unknown(signal);
        model[model_count].signal = signal;
        model[model_count++].record = record;
    }
}

static void take(struct signal_queue *queue)
{
    uint64_t allowed = chance(4) == 0 ? UINT64_MAX : SIGNAL_BIT(chance(SIGNAL_COUNT) + 1) * 5;
    struct signal_information information;
    struct signal_record *taken;
    int best = model_first(allowed);
    uint32_t signal = signal_queue_take(queue, allowed, &information, &taken);
    if (best < 0) {
        assert_int_equal(signal, 0);
        assert_null(taken);
        return;
    }
    assert_int_equal(signal, model[best].signal);
    assert_int_equal(information.signal, (int)signal);
    int record = model[best].record;
    if (record < 0) {
        assert_null(taken);
        assert_int_equal(information.code, CODE_USER);
    } else if (records[record].is_owned) {
        assert_null(taken);
        assert_false(records[record].is_queued);
        is_free[record] = true;
    } else {
        assert_ptr_equal(taken, &records[record]);
        is_free[record] = true;
    }
    model_remove((unsigned)best);
}

static void remove_some(struct signal_queue *queue)
{
    uint64_t set = SIGNAL_BIT(chance(SIGNAL_COUNT) + 1) | SIGNAL_BIT(chance(SIGNAL_COUNT) + 1);
    struct signal_record *removed = signal_queue_remove(queue, set);
    for (unsigned i = model_count; i-- > 0;) {
        if (set & SIGNAL_BIT(model[i].signal)) {
            bool found = model[i].record < 0;
            for (struct signal_record *at = removed; at && !found; at = at->after) {
                found = at == &records[model[i].record];
            }
            assert_true(found);
            if (model[i].record >= 0) {
                is_free[model[i].record] = true;
            }
            model_remove(i);
        }
    }
    unsigned count = 0;
    for (struct signal_record *at = removed; at; at = at->after) {
        assert_true(is_free[at - records]);
        count++;
    }
    assert_true(count <= RECORDS);
}

static void queues_are_as_the_model(void **state)
{
    struct signal_queue queue = {.first = NULL};
    (void)state;
    seed = 1;
    memset(is_free, true, sizeof is_free);
    for (int i = 0; i < RECORDS; i++) {
        records[i].is_owned = i % 7 == 0;
    }
    for (int step = 0; step < STEPS; step++) {
        uint64_t what = chance(100);
        if (what < 55 && model_count < RECORDS) {
            add(&queue);
        } else if (what < 98) {
            take(&queue);
        } else {
            remove_some(&queue);
        }
        assert_int_equal(signal_queue_set(&queue), model_set());
    }
}

/* ---- Rules ---- */

static void rules_are_linux(void **state)
{
    const uint32_t ignored[] = {17, 18, 23, 28};
    const uint32_t stopping[] = {19, 20, 21, 22};
    (void)state;
    for (uint32_t signal = 1; signal < SIGNALS_END; signal++) {
        bool ignores = false;
        bool stops = false;
        for (unsigned i = 0; i < 4; i++) {
            ignores |= signal == ignored[i];
            stops |= signal == stopping[i];
        }
        assert_int_equal(signal_is_ignored(signal, ACTION_DEFAULT), ignores);
        assert_true(signal_is_ignored(signal, ACTION_IGNORE));
        assert_false(signal_is_ignored(signal, 0x1000));
        assert_int_equal(signal_default(signal) == EFFECT_STOP, stops);
        assert_int_equal(signal_default(signal) == EFFECT_END, !ignores && !stops);
        assert_true(signal_reaches(signal, ~SIGNAL_BIT(signal), 0));
        assert_false(signal_reaches(signal, SIGNAL_BIT(signal), ~SIGNAL_BIT(signal)));
        assert_true(signal_reaches(signal, UINT64_MAX, SIGNAL_BIT(signal)));
    }
}

static void masks_of_handlers(void **state)
{
    struct signal_action action = {.handler = 0x1000, .mask = UINT64_MAX};
    (void)state;
    assert_int_equal(signal_handler_mask(10, &action, 0), ~SIGNALS_UNMASKABLE);
    action.mask = SIGNAL_BIT(3);
    assert_int_equal(signal_handler_mask(10, &action, SIGNAL_BIT(5)),
                     SIGNAL_BIT(3) | SIGNAL_BIT(5) | SIGNAL_BIT(10));
    action.flags = ACTION_NO_DEFER;
    assert_int_equal(signal_handler_mask(10, &action, SIGNAL_BIT(5)), SIGNAL_BIT(3) | SIGNAL_BIT(5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queues_are_as_the_model),
        cmocka_unit_test(rules_are_linux),
        cmocka_unit_test(masks_of_handlers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
