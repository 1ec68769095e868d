/* What builds note of locks: which a CPU holds, since when, and what all of a rank have cost. */
#include <ashlar/lock.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#include "tests/host/support/host.h"

#define LONG_HOLD UINT64_C(1000000000000) /* ticks: longer than a test takes */

static struct spinlock lock = SPINLOCK_INITIALIZER(LOCK_FRAME_POOL);

static int set_up(void **state)
{
    (void)state;
    host_cpu = 0;
    memset(host_lock_counts, 0, sizeof host_lock_counts);
    lock_set_patience(LONG_HOLD);
    return 0;
}

static uint64_t count_of(_Atomic(uint64_t) *count)
{
    return atomic_load(count);
}

static void each_rank_and_cpu_is_counted_for_itself(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    struct spinlock other = SPINLOCK_INITIALIZER(LOCK_SPACE);
    struct mutex mutex = MUTEX_INITIALIZER(LOCK_FIRMWARE);
    for (unsigned i = 0; i < 3; i++) {
        spinlock_acquire(&lock);
        assert_false(spinlock_try_acquire(&lock)); /* who does not get it takes nothing */
        spinlock_release(&lock);
    }
    assert_true(spinlock_try_acquire(&other));
    spinlock_release(&other);
    mutex_acquire(&mutex);
    mutex_release(&mutex);
    host_cpu = 1;
    spinlock_acquire(&lock);
    spinlock_release(&lock);
    assert_int_equal(count_of(&host_lock_counts[0][LOCK_FRAME_POOL].acquisitions), 3);
    assert_int_equal(count_of(&host_lock_counts[0][LOCK_SPACE].acquisitions), 1);
    assert_int_equal(count_of(&host_lock_counts[0][LOCK_FIRMWARE].acquisitions), 1);
    assert_int_equal(count_of(&host_lock_counts[1][LOCK_FRAME_POOL].acquisitions), 1);
    assert_int_equal(count_of(&host_lock_counts[0][LOCK_FRAME_POOL].contended), 0);
}

static void hold_for(uint64_t ticks) NO_LOCK_ANALYSIS
{
    spinlock_acquire(&lock);
    host_ticks_ahead += ticks;
    spinlock_release(&lock);
}

static void the_longest_hold_stays(void **state)
{
    (void)state;
    struct lock_counts *counts = &host_lock_counts[0][LOCK_FRAME_POOL];
    hold_for(LONG_HOLD);
    uint64_t most = count_of(&counts->hold_most);
    assert_in_range(most, LONG_HOLD, 2 * LONG_HOLD);
    assert_int_not_equal(atomic_load(&counts->hold_where), 0);
    hold_for(LONG_HOLD / 2);
    assert_int_equal(count_of(&counts->hold_most), most);
    hold_for(3 * LONG_HOLD);
    assert_in_range(count_of(&counts->hold_most), 3 * LONG_HOLD, 4 * LONG_HOLD);
}

static void who_holds_a_lock_knows_since_when(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    uint64_t before = cpu_ticks();
    spinlock_acquire(&lock);
    const struct lock_held *held = &cpu_locks_held()->held[0];
    assert_int_equal(cpu_locks_held()->count, 1);
    assert_ptr_equal(held->lock, &lock.order);
    assert_in_range(held->since, before, cpu_ticks());
    spinlock_release(&lock);
    assert_int_equal(cpu_locks_held()->count, 0);
}

static void *take_the_lock(void *unused) NO_LOCK_ANALYSIS
{
    host_cpu = 1;
    spinlock_acquire(&lock);
    spinlock_release(&lock);
    return unused;
}

static void who_has_to_wait_is_counted(void **state) NO_LOCK_ANALYSIS
{
    (void)state;
    pthread_t other;
    spinlock_acquire(&lock);
    assert_int_equal(pthread_create(&other, NULL, take_the_lock, NULL), 0);
    while (lock.gate.claimed == 0) {
        cpu_relax();
    }
    spinlock_release(&lock);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(count_of(&host_lock_counts[1][LOCK_FRAME_POOL].contended), 1);
    assert_int_equal(count_of(&host_lock_counts[0][LOCK_FRAME_POOL].contended), 0);
}

static void every_rank_has_a_name(void **state)
{
    (void)state;
    for (unsigned rank = 0; rank < LOCK_RANKS; rank++) {
        assert_non_null(lock_rank_name((enum lock_rank)rank));
    }
    assert_string_equal(lock_rank_name(LOCK_FRAME_POOL), "frame pool's lock");
    assert_string_equal(lock_rank_name(LOCK_RANKS), "lock of no known rank");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(each_rank_and_cpu_is_counted_for_itself, set_up),
        cmocka_unit_test_setup(the_longest_hold_stays, set_up),
        cmocka_unit_test_setup(who_holds_a_lock_knows_since_when, set_up),
        cmocka_unit_test_setup(who_has_to_wait_is_counted, set_up),
        cmocka_unit_test_setup(every_rank_has_a_name, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
