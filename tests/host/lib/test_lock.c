/* Locks: who gets in, what stays on, and which waits end in a panic. */
#include <ashlar/lock.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
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
    struct spinlock lock = SPINLOCK_INITIALIZER;
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
    struct irq_spinlock outer = IRQ_SPINLOCK_INITIALIZER;
    struct irq_spinlock inner = IRQ_SPINLOCK_INITIALIZER;
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
    EXPECT_PANIC(mutex_acquire(&mutex), "CPU 0 takes the mutex", "a second time");
    host_cpu = 1;
    EXPECT_PANIC(mutex_release(&mutex), "mutex_is_mine");
}

/* Locks that another CPU has taken and never releases. */
static void a_wait_without_end_is_reported_after_a_time(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct spinlock lock = SPINLOCK_INITIALIZER;
    struct mutex mutex;
    lock.queue.next++;
    mutex_init(&mutex, LOCK_SPACE_CHANGE, 0);
    host_cpu = 3;
    mutex_acquire(&mutex);
    host_cpu = 0;
    uint64_t patience = 1000000;
    lock_set_patience(patience);
    uint64_t start = cpu_ticks();
    EXPECT_PANIC(spinlock_acquire(&lock), "deadlock: CPU 0 waits for the lock at ");
    assert_true(cpu_ticks() - start >= patience);
    start = cpu_ticks();
    EXPECT_PANIC(mutex_acquire(&mutex), "deadlock: CPU 0 waits for the mutex at ", "CPU 3 does not release");
    assert_true(cpu_ticks() - start >= MUTEX_PATIENCE * patience);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_spinlock_turns_preemption_off_and_leaves_interrupts_on, set_up),
        cmocka_unit_test_setup(an_irq_spinlock_gives_back_the_flag_it_found, set_up),
        cmocka_unit_test_setup(a_mutex_knows_its_holder_and_leaves_everything_on, set_up),
        cmocka_unit_test_setup(a_mutex_taken_twice_or_released_by_another_is_a_bug, set_up),
        cmocka_unit_test_setup(a_wait_without_end_is_reported_after_a_time, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
