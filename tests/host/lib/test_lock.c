/* Locks: who gets in, what stays on, and which waits end in a panic. */
#include <ashlar/lock.h>
#include <ashlar/log.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "tests/host/support/host.h"

static struct host_panic_trap trap;
static bool panicked;

/* What every test finds. */
static int set_up(void **state)
{
    (void)state;
    host_cpu = 0;
    host_preempt_depth = 0;
    host_interrupts_off = false;
    host_in_interrupt = false;
    host_in_nmi = false;
    return 0;
}

#define EXPECT_PANIC(statement, ...)                                                                         \
    do {                                                                                                     \
        CATCH_PANIC(trap, panicked, statement);                                                              \
        assert_true(panicked);                                                                               \
        const char *const says[] = {__VA_ARGS__};                                                            \
        for (size_t i = 0; i < sizeof says / sizeof says[0]; i++) {                                          \
            if (!strstr(trap.message, says[i])) {                                                            \
                fail_msg("\"%s\" is not in \"%s\"", says[i], trap.message);                                  \
            }                                                                                                \
        }                                                                                                    \
    } while (0)

static void a_spinlock_turns_preemption_off_and_leaves_interrupts_on(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct spinlock lock = SPINLOCK_INITIALIZER(LOCK_FRAME_POOL);
    spinlock_acquire(&lock);
    assert_int_equal(host_preempt_depth, 1);
    assert_true(interrupts_enabled());
    assert_false(spinlock_try_acquire(&lock));
    assert_int_equal(host_preempt_depth, 1);
    spinlock_release(&lock);
    assert_int_equal(host_preempt_depth, 0);
    assert_true(spinlock_try_acquire(&lock));
    spinlock_release(&lock);
}

static void an_irq_spinlock_gives_back_the_flag_it_found(void **state)
{
    (void)state;
    struct irq_spinlock outer = {LOCK_ORDER_INITIALIZER(LOCK_IO_APIC, 1).gate = {.both = 0}};
    struct irq_spinlock inner = {LOCK_ORDER_INITIALIZER(LOCK_IO_APIC, 2).gate = {.both = 0}};
    irq_spinlock_acquire(&outer);
    assert_false(interrupts_enabled());
    irq_spinlock_acquire(&inner);
    irq_spinlock_release(&inner);
    assert_false(interrupts_enabled());
    irq_spinlock_release(&outer);
    assert_true(interrupts_enabled());
}

static void a_mutex_knows_its_holder_and_leaves_everything_on(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct mutex mutex;
    mutex_init(&mutex, LOCK_SPACE_CHANGE, 0);
    assert_false(mutex_is_mine(&mutex));
    mutex_acquire(&mutex);
    assert_true(mutex_is_mine(&mutex));
    assert_int_equal(host_preempt_depth, 0);
    assert_true(interrupts_enabled());
    host_cpu = 1;
    assert_false(mutex_is_mine(&mutex));
    assert_false(mutex_try_acquire(&mutex));
    host_cpu = 0;
    mutex_release(&mutex);
    assert_false(mutex_is_mine(&mutex));
    assert_true(mutex_try_acquire(&mutex));
    mutex_release(&mutex);
}

static void a_mutex_taken_twice_or_released_by_another_is_a_bug(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct mutex mutex;
    mutex_init(&mutex, LOCK_SPACE_CHANGE, 0);
    EXPECT_PANIC(mutex_release(&mutex), "mutex_is_mine");
    mutex_acquire(&mutex);
    EXPECT_PANIC(mutex_acquire(&mutex), "CPU 0 waits for the space's change mutex 0x", "a second time");
    host_cpu = 1;
    EXPECT_PANIC(mutex_release(&mutex), "mutex_is_mine");
    host_cpu = 0;
    mutex_release(&mutex);
}

/* Locks that another CPU has taken and never releases. */
static void a_wait_without_end_is_reported_after_a_time(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct spinlock lock = SPINLOCK_INITIALIZER(LOCK_FRAME_POOL);
    struct mutex mutex;
    lock.gate.held = 1;
    mutex_init(&mutex, LOCK_SPACE_CHANGE, 0);
    host_cpu = 3;
    mutex_acquire(&mutex);
    host_cpu = 0;
    uint64_t patience = 1000000;
    lock_set_patience(patience);
    uint64_t start = cpu_ticks();
    EXPECT_PANIC(spinlock_acquire(&lock), "deadlock: CPU 0 waits for the lock at ");
    host_preempt_depth = 0;
    assert_true(cpu_ticks() - start >= patience);
    start = cpu_ticks();
    EXPECT_PANIC(mutex_acquire(&mutex), "deadlock: CPU 0 waits for the mutex at ", "does not release");
    assert_true(cpu_ticks() - start >= MUTEX_PATIENCE * patience);
    host_cpu = 3;
    mutex_release(&mutex);
}

/* A lock kept for a CPU that does not come: newcomers do not just take it, but nobody waits for ever. */
static void a_claim_keeps_newcomers_off_for_a_while(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct spinlock lock = SPINLOCK_INITIALIZER(LOCK_FRAME_POOL);
    lock_set_patience(UINT64_C(100000000000));
    lock.gate.claimed = 8;
    assert_false(lock_gate_take(&lock.gate, 0));
    spinlock_acquire(&lock);
    assert_int_equal(lock.gate.claimed, 0);
    lock.gate.claimed = 8; /* while the lock is held */
    spinlock_release(&lock);
    assert_int_equal(lock.gate.claimed, 8);
    assert_true(spinlock_acquire_in_time(&lock));
    assert_int_equal(host_preempt_depth, 1);
    lock.gate.claimed = 8;
    spinlock_release(&lock);
    assert_true(spinlock_try_acquire(&lock)); /* a try does not wait, so it heeds no claim */
    spinlock_release(&lock);
    assert_true(lock_gate_take(&lock.gate, 0));
}

static void who_gives_up_has_not_got_the_lock(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct spinlock lock = SPINLOCK_INITIALIZER(LOCK_FRAME_POOL);
    lock.gate.held = 1;
    lock_set_patience(1000);
    assert_false(spinlock_acquire_in_time(&lock));
    assert_int_equal(host_preempt_depth, 0);
    assert_int_equal(lock.gate.held, 1);
    lock_set_patience(UINT64_C(100000000000));
    lock_gate_leave(&lock.gate);
    spinlock_acquire(&lock); /* although it was claimed by who gave up */
    spinlock_release(&lock);
}

static struct spinlock claimed = SPINLOCK_INITIALIZER(LOCK_FRAME_POOL);

static void *take_the_claimed_lock(void *unused)
{
    host_cpu = 1;
    spinlock_acquire(&claimed);
    spinlock_release(&claimed);
    return unused;
}

static void who_waits_long_claims_the_lock(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    pthread_t other;
    spinlock_acquire(&claimed);
    assert_int_equal(pthread_create(&other, NULL, take_the_claimed_lock, NULL), 0);
    while (claimed.gate.claimed == 0) {
        cpu_relax();
    }
    assert_int_equal(claimed.gate.claimed, 2);
    spinlock_release(&claimed);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(claimed.gate.claimed, 0);
}

static struct mutex contended;
static _Atomic(bool) is_held;

static void *hold_for_a_while(void *unused) NO_LOCK_ANALYSIS
{
    host_cpu = 1;
    mutex_acquire(&contended);
    atomic_store(&is_held, true);
    nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    mutex_release(&contended);
    return unused;
}

static void who_waits_for_a_mutex_gets_it(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    pthread_t other;
    mutex_init(&contended, LOCK_SPACE_CHANGE, 0);
    lock_set_patience(UINT64_C(100000000000));
    assert_int_equal(pthread_create(&other, NULL, hold_for_a_while, NULL), 0);
    while (!atomic_load(&is_held)) {
        cpu_relax();
    }
    mutex_acquire(&contended);
    assert_true(mutex_is_mine(&contended));
    mutex_release(&contended);
    assert_int_equal(pthread_join(other, NULL), 0);
}

/* ---- What debug builds check ---- */

static struct spinlock low;
static struct spinlock high;
static struct irq_spinlock handlers = IRQ_SPINLOCK_INITIALIZER(LOCK_IO_APIC);
static struct mutex change;

static int set_up_locks(void **state)
{
    spinlock_init(&low, LOCK_SPACE, 0);
    spinlock_init(&high, LOCK_FRAME_POOL, 0);
    mutex_init(&change, LOCK_SPACE_CHANGE, 0);
    return set_up(state);
}

/* "0x" and the lock's address, as panics name it. */
static const char *address_of(const void *lock)
{
    static char texts[2][24];
    static unsigned next;
    char *text = texts[next++ % 2];
    snprintf(text, sizeof texts[0], "0x%" PRIxPTR, (uintptr_t)lock);
    return text;
}

static void the_order_of_ranks_is_kept(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    mutex_acquire(&change);
    spinlock_acquire(&low);
    spinlock_acquire(&high);
    irq_spinlock_acquire(&handlers);
    irq_spinlock_release(&handlers);
    spinlock_release(&low); /* in any order */
    EXPECT_PANIC(spinlock_acquire(&low), "CPU 0 waits for the space's lock", address_of(&low), "wrong order",
                 "it holds the frame pool's lock", address_of(&high), "taken at 0x", "docs/architecture.md");
    assert_true(spinlock_try_acquire(&low)); /* who does not wait cannot be waited for in a circle */
    spinlock_release(&low);
    spinlock_release(&high);
    spinlock_acquire(&low);
    spinlock_release(&low);
    irq_spinlock_acquire(&handlers);
    EXPECT_PANIC(spinlock_acquire(&high), "waits for the frame pool's lock", "it holds the IO-APIC lock");
    irq_spinlock_release(&handlers);
    mutex_release(&change);
}

static void two_of_a_rank_are_taken_by_key(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct spinlock fifth;
    struct spinlock seventh;
    struct spinlock unkeyed;
    spinlock_init(&fifth, LOCK_SPACE, 5);
    spinlock_init(&seventh, LOCK_SPACE, 7);
    spinlock_init(&unkeyed, LOCK_FRAME_POOL, 0);
    spinlock_acquire(&fifth);
    spinlock_acquire(&seventh);
    spinlock_release(&fifth);
    EXPECT_PANIC(spinlock_acquire(&fifth), "wrong order", "(key 5)", "(key 7)");
    spinlock_release(&seventh);
    spinlock_acquire(&high);
    EXPECT_PANIC(spinlock_acquire(&unkeyed), "wrong order", address_of(&unkeyed), address_of(&high));
    spinlock_release(&high);
}

static void a_lock_is_not_taken_twice(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    spinlock_acquire(&low);
    EXPECT_PANIC(spinlock_acquire(&low), "a second time: it holds the space's lock", address_of(&low));
    spinlock_release(&low);
    EXPECT_PANIC(spinlock_release(&low), "releases the space's lock", "which it does not hold");
    irq_spinlock_acquire(&handlers);
    EXPECT_PANIC(irq_spinlock_acquire(&handlers), "a second time");
    irq_spinlock_release(&handlers);
}

static void handlers_take_irq_spinlocks_only(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    host_in_interrupt = true;
    irq_spinlock_acquire(&handlers);
    irq_spinlock_release(&handlers);
    EXPECT_PANIC(spinlock_acquire(&low), "waits for the space's lock", "in an interrupt handler");
    EXPECT_PANIC(mutex_acquire(&change), "waits for the space's change mutex", "in an interrupt handler");
    assert_true(spinlock_try_acquire(&low)); /* as the log tries the console's */
    spinlock_release(&low);
}

static void a_mutex_is_not_waited_for_where_nobody_may_wait(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    spinlock_acquire(&high);
    EXPECT_PANIC(mutex_acquire(&change), "waits for the space's change mutex",
                 "may not wait: it holds the frame pool's lock", "taken at 0x");
    assert_true(mutex_try_acquire(&change));
    mutex_release(&change);
    spinlock_release(&high);
    preempt_disable();
    EXPECT_PANIC(mutex_acquire(&change), "with preemption or interrupts off");
    preempt_enable();
    bool were_on = interrupts_disable();
    EXPECT_PANIC(mutex_acquire(&change), "with preemption or interrupts off");
    interrupts_restore(were_on);
    mutex_acquire(&change);
    mutex_release(&change);
}

static void a_cpu_holds_so_many_locks_at_most(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct spinlock locks[LOCKS_HELD_MAX + 1];
    for (unsigned i = 0; i <= LOCKS_HELD_MAX; i++) {
        spinlock_init(&locks[i], LOCK_SPACE, i + 1);
    }
    for (unsigned i = 0; i < LOCKS_HELD_MAX; i++) {
        spinlock_acquire(&locks[i]);
    }
    EXPECT_PANIC(spinlock_acquire(&locks[LOCKS_HELD_MAX]), "CPU 0 holds more than 16 locks");
    for (unsigned i = 0; i < LOCKS_HELD_MAX; i++) {
        spinlock_release(&locks[i]);
    }
}

/* Once there is a panic, nothing is checked any more: its report takes what locks it can. The last test, as
 * there is no way back. */
static void a_panic_ends_the_checks(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    lock_checks_end();
    spinlock_acquire(&high);
    spinlock_acquire(&low); /* in the wrong order */
    assert_int_equal(cpu_locks_held()->count, 0);
    host_in_interrupt = true;
    lock_check_allocate();
    host_in_interrupt = false;
    spinlock_release(&low);
    spinlock_release(&high);
}

static void a_lock_is_initialised_before_it_is_taken(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct spinlock lock = {0};
    EXPECT_PANIC(spinlock_acquire(&lock), "never initialised");
}

static void the_class_of_a_lock_is_that_of_its_rank(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct irq_spinlock irq = IRQ_SPINLOCK_INITIALIZER(LOCK_CONSOLE);
    struct spinlock spin = SPINLOCK_INITIALIZER(LOCK_IO_APIC);
    struct mutex mutex = MUTEX_INITIALIZER(LOCK_SPACE);
    EXPECT_PANIC(irq_spinlock_acquire(&irq), "waits for the console's lock", "the rank of another class");
    EXPECT_PANIC(spinlock_acquire(&spin), "waits for the IO-APIC lock", "the rank of another class");
    EXPECT_PANIC(mutex_acquire(&mutex), "waits for the space's lock", "the rank of another class");
}

static void nobody_logs_under_an_irq_spinlock(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    log_write(LOG_DEBUG, "test", "before");
    mutex_acquire(&change);
    spinlock_acquire(&high);
    log_write(LOG_DEBUG, "test", "the other classes allow it");
    irq_spinlock_acquire(&handlers);
    EXPECT_PANIC(log_write(LOG_DEBUG, "test", "never"), "CPU 0 logs while it holds the IO-APIC lock 0x",
                 address_of(&handlers), "taken at 0x");
    host_in_nmi = true; /* which interrupted the holder, and is no part of it */
    log_write(LOG_DEBUG, "test", "an NMI says so");
    host_in_nmi = false;
    irq_spinlock_release(&handlers);
    log_write(LOG_DEBUG, "test", "after");
    spinlock_release(&high);
    mutex_release(&change);
    host_in_interrupt = true;
    log_write(LOG_DEBUG, "test", "a handler may");
    struct log_reader reader = log_reader_first();
    struct log_record record;
    unsigned lines = 0;
    while (log_read(&reader, &record)) {
        assert_string_not_equal(record.text, "never");
        lines++;
    }
    assert_int_equal(lines, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_spinlock_turns_preemption_off_and_leaves_interrupts_on, set_up),
        cmocka_unit_test_setup(an_irq_spinlock_gives_back_the_flag_it_found, set_up),
        cmocka_unit_test_setup(a_mutex_knows_its_holder_and_leaves_everything_on, set_up),
        cmocka_unit_test_setup(a_mutex_taken_twice_or_released_by_another_is_a_bug, set_up),
        cmocka_unit_test_setup(a_wait_without_end_is_reported_after_a_time, set_up),
        cmocka_unit_test_setup(a_claim_keeps_newcomers_off_for_a_while, set_up),
        cmocka_unit_test_setup(who_gives_up_has_not_got_the_lock, set_up),
        cmocka_unit_test_setup(who_waits_long_claims_the_lock, set_up),
        cmocka_unit_test_setup(who_waits_for_a_mutex_gets_it, set_up),
        cmocka_unit_test_setup(the_order_of_ranks_is_kept, set_up_locks),
        cmocka_unit_test_setup(two_of_a_rank_are_taken_by_key, set_up_locks),
        cmocka_unit_test_setup(a_lock_is_not_taken_twice, set_up_locks),
        cmocka_unit_test_setup(handlers_take_irq_spinlocks_only, set_up_locks),
        cmocka_unit_test_setup(a_mutex_is_not_waited_for_where_nobody_may_wait, set_up_locks),
        cmocka_unit_test_setup(a_lock_is_initialised_before_it_is_taken, set_up_locks),
        cmocka_unit_test_setup(the_class_of_a_lock_is_that_of_its_rank, set_up_locks),
        cmocka_unit_test_setup(nobody_logs_under_an_irq_spinlock, set_up_locks),
        cmocka_unit_test_setup(a_cpu_holds_so_many_locks_at_most, set_up_locks),
        cmocka_unit_test_setup(a_panic_ends_the_checks, set_up_locks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
