/* Requests between CPUs, one step after the other; tests/host/explore has what happens when they meet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include <ashlar/cpu_request.h>
#include <ashlar/lock.h>

#include "tests/host/support/host.h"

#define CPUS    300
#define WAITING 70 /* a CPU that a test lets wait */

static void *memory;
static unsigned interrupts[CPUS]; /* by CPU */
static unsigned served[CPUS];
static bool answering; /* at once, when they are interrupted */
static unsigned silent_cpu;

static void interrupt(unsigned number)
{
    interrupts[number]++;
    if (answering) {
        struct host_cpu left = host_play(number);
        cpu_serve_requests();
        host_play_end(left);
    }
}

static void say_silent(unsigned number)
{
    silent_cpu = number;
}

static void count(const void *context)
{
    assert_true(context == &served);
    served[cpu_number()]++;
}

/* A machine of many CPUs, of which the first is online. */
static int setup(void **state)
{
    (void)state;
    static const struct cpu_request_calls calls = {.interrupt = interrupt, .silent = say_silent};
    void *before = memory;
    memory = malloc(cpu_requests_bytes(CPUS));
    cpu_requests_start(memory, CPUS, &calls);
    free(before);
    for (unsigned i = 0; i < CPUS; i++) {
        interrupts[i] = 0;
        served[i] = 0;
    }
    answering = true;
    silent_cpu = CPUS;
    return 0;
}

static void enter(unsigned number)
{
    struct host_cpu left = host_play(number);
    cpu_enter_online();
    host_play_end(left);
}

static void ask(const struct cpu_set *cpus)
{
    preempt_disable();
    cpu_request_send(cpus, count, &served);
    cpu_request_wait();
    preempt_enable();
}

static void who_is_online_is_asked_and_nobody_else(void **state)
{
    (void)state;
    assert_int_equal(cpus_present(), CPUS);
    assert_int_equal(cpu_set_count(cpus_online()), 1);
    assert_true(cpus_are_several());
    enter(1);
    enter(64);
    enter(CPUS - 1);
    ask(NULL);
    for (unsigned i = 0; i < CPUS; i++) {
        assert_int_equal(served[i], i == 1 || i == 64 || i == CPUS - 1);
        assert_int_equal(interrupts[i], served[i]);
    }
    const struct cpu_request_counts asking = cpu_request_counts(0);
    const struct cpu_request_counts answering_one = cpu_request_counts(64);
    assert_int_equal(asking.asked, 1); /* three at once */
    assert_int_equal(asking.answered, 0);
    assert_int_equal(answering_one.asked, 0);
    assert_int_equal(answering_one.answered, 1);
    assert_int_equal(cpu_request_counts(2).answered, 0);
    assert_int_equal(cpu_request_counts(CPUS).asked, 0);
}

static void those_of_a_set_are_asked_but_not_who_asks(void **state)
{
    (void)state;
    _Atomic(uint64_t) words[5];
    struct cpu_set set;
    cpu_set_init(&set, words, CPUS);
    cpu_set_add(&set, 0);
    cpu_set_add(&set, 3);
    cpu_set_add(&set, 299);
    ask(&set);
    assert_int_equal(served[0], 0);
    assert_int_equal(served[3] + served[299], 2);
    ask(&set);
    assert_int_equal(served[3] + served[299], 4);
}

static void two_may_ask_each_other_at_once(void **state)
{
    (void)state;
    enter(1);
    answering = false;
    preempt_disable();
    cpu_request_send(NULL, count, &served); /* 0 asks 1, which does not answer yet */
    struct host_cpu left = host_play(1);
    preempt_disable();
    cpu_request_send(NULL, count, &served);
    host_cpu = 0; /* 0 is interrupted, and 1 goes on to wait */
    cpu_serve_requests();
    host_cpu = 1;
    assert_int_equal(served[0], 1);
    cpu_request_wait();
    cpu_serve_requests();
    assert_int_equal(served[1], 1);
    preempt_enable();
    host_play_end(left);
    cpu_request_wait();
    preempt_enable();
}

static void nothing_is_served_twice(void **state)
{
    (void)state;
    enter(1);
    ask(NULL);
    struct host_cpu left = host_play(1);
    cpu_serve_requests();
    host_play_end(left);
    assert_int_equal(served[1], 1);
}

static void who_spins_for_a_lock_answers_unless_it_explains_a_mistake(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct host_panic_trap trap;
    bool panicked;
    struct spinlock lock = SPINLOCK_INITIALIZER(LOCK_FRAME_POOL);
    enter(1);
    answering = false;
    lock.gate.held = 1;
    lock_set_patience(1000);
    preempt_disable();
    cpu_request_send(NULL, count, &served);
    struct host_cpu left = host_play(1);
    assert_false(spinlock_acquire_in_time(&lock));
    assert_int_equal(served[1], 0);
    CATCH_PANIC(trap, panicked, spinlock_acquire(&lock));
    assert_true(panicked);
    assert_int_equal(served[1], 1);
    host_play_end(left);
    cpu_request_wait();
    preempt_enable();
}

static void who_does_not_answer_in_time_is_named(void **state)
{
    (void)state;
    struct host_panic_trap trap;
    bool panicked;
    enter(WAITING);
    answering = false;
    lock_set_patience(1000);
    CATCH_PANIC(trap, panicked, ask(NULL));
    assert_true(panicked);
    assert_string_equal(trap.message, "CPU 70 does not answer what CPU 0 asks of it");
    assert_int_equal(silent_cpu, WAITING);
    assert_int_equal(interrupts[WAITING], 1);
}

static void a_machine_of_one_cpu_asks_nobody(void **state)
{
    (void)state;
    static const struct cpu_request_calls calls = {.interrupt = interrupt};
    static uint64_t words[16];
    assert_in_range(cpu_requests_bytes(1), 1, sizeof words);
    cpu_requests_start(words, 1, &calls);
    assert_false(cpus_are_several());
    assert_int_equal(cpus_present(), 1);
    cpu_serve_requests();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(who_is_online_is_asked_and_nobody_else, setup),
        cmocka_unit_test_setup(those_of_a_set_are_asked_but_not_who_asks, setup),
        cmocka_unit_test_setup(two_may_ask_each_other_at_once, setup),
        cmocka_unit_test_setup(nothing_is_served_twice, setup),
        cmocka_unit_test_setup(who_spins_for_a_lock_answers_unless_it_explains_a_mistake, setup),
        cmocka_unit_test_setup(who_does_not_answer_in_time_is_named, setup),
        cmocka_unit_test(a_machine_of_one_cpu_asks_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
