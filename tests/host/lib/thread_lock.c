/*
 * Many threads count under one lock of each class: the thread sanitizer sees whether it keeps them apart. And
 * a wait in which the machine stands still.
 */
#include <ashlar/lock.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

enum { THREADS = 4, ROUNDS = 2000 };

static struct spinlock spinlock = SPINLOCK_INITIALIZER(LOCK_FRAME_POOL);
static struct irq_spinlock irq_spinlock = IRQ_SPINLOCK_INITIALIZER(LOCK_IO_APIC);
static struct mutex mutex;
static uint64_t spinlock_count GUARDED_BY(spinlock);
static uint64_t irq_spinlock_count GUARDED_BY(irq_spinlock);
static uint64_t mutex_count GUARDED_BY(mutex);

static void *count(void *number)
{
    host_cpu = (unsigned)(uintptr_t)number;
    for (unsigned i = 0; i < ROUNDS; i++) {
        mutex_acquire(&mutex);
        mutex_count++;
        spinlock_acquire(&spinlock);
        spinlock_count++;
        irq_spinlock_acquire(&irq_spinlock);
        irq_spinlock_count++;
        irq_spinlock_release(&irq_spinlock);
        spinlock_release(&spinlock);
        mutex_release(&mutex);
        while (!mutex_try_acquire(&mutex)) {
            cpu_relax();
        }
        mutex_count++;
        mutex_release(&mutex);
    }
    return NULL;
}

static void one_at_a_time(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    pthread_t threads[THREADS];
    mutex_init(&mutex, LOCK_SPACE_CHANGE, 0);
    for (uintptr_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, count, (void *)i), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    assert_int_equal(spinlock_count, THREADS * ROUNDS);
    assert_int_equal(irq_spinlock_count, THREADS * ROUNDS);
    assert_int_equal(mutex_count, 2 * THREADS * ROUNDS);
}

/* ---- A machine that stands still ---- */

static atomic_bool held;

/* Holds the lock while hours pass in which no CPU runs, and a moment more. */
static void *hold_for_hours(void *hours)
{
    host_cpu = 1;
    spinlock_acquire(&spinlock);
    atomic_store(&held, true);
    usleep(20000);
    atomic_fetch_add(&host_ticks_ahead, (uint64_t)(uintptr_t)hours);
    usleep(20000);
    spinlock_release(&spinlock);
    return NULL;
}

static void time_in_which_nobody_runs_is_no_wait(void **state)
{
    (void)state;
    pthread_t thread;
    host_cpu = 0;
    assert_int_equal(pthread_create(&thread, NULL, hold_for_hours, (void *)(1ULL << 50)), 0);
    while (!atomic_load(&held)) {
        cpu_relax();
    }
    spinlock_acquire(&spinlock);
    spinlock_release(&spinlock);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_at_a_time),
        cmocka_unit_test(time_in_which_nobody_runs_is_no_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
