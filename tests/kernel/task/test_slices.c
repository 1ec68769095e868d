/* Time slices on a CPU to which another CPU sends threads. */
#include <ashlar/clock.h>
#include <ashlar/lock.h>
#include <ashlar/processor.h>
#include <ashlar/test.h>
#include <ashlar/thread.h>

#define TURN_PATIENCES 3 /* of a spinlock: much more than a time slice, also where the host runs others */

static _Atomic(bool) holder_runs;
static _Atomic(bool) other_ran;

/* Never waits: it goes only when its time slice is over. */
static uint64_t hold_the_cpu(void *argument)
{
    struct lock_wait patience = lock_wait_begin(TURN_PATIENCES);
    (void)argument;
    atomic_store(&holder_runs, true);
    while (!atomic_load(&other_ran) && lock_wait_goes_on(&patience)) {
    }
    return atomic_load(&other_ran);
}

static uint64_t note_run(void *argument)
{
    atomic_store(&other_ran, argument != NULL || atomic_load(&other_ran));
    return 0;
}

static struct thread *start_on(uint32_t cpu, enum thread_level level, thread_entry *entry, void *argument)
{
    const struct thread_request request = {
        .name = "slice", .entry = entry, .argument = argument, .level = level, .cpu = cpu};
    struct thread *thread = thread_create(&request);
    if (thread) {
        thread_start(thread);
    }
    return thread;
}

/* The queue of the other CPU has a thread of the idle level, which begins no slice: a second normal one has
 * to begin it although it is not the only one there. */
KERNEL_TEST(threads_of_one_level_take_turns_beside_one_of_a_lower)
{
    uint32_t here = cpu_number();
    uint32_t there = here == 0 ? 1 : 0;
    uint64_t turned = 0;
    if (processors_online() < 2 || !timer_available()) {
        kernel_test_skip("one CPU, or no timer");
        return;
    }
    atomic_store(&holder_runs, false);
    atomic_store(&other_ran, false);
    struct thread *holder = start_on(there, THREAD_NORMAL, hold_the_cpu, NULL);
    EXPECT(holder != NULL);
    while (!atomic_load(&holder_runs)) {
        thread_sleep(1000000, false);
    }
    struct thread *low = start_on(there, THREAD_IDLE, note_run, NULL);
    struct thread *other = start_on(there, THREAD_NORMAL, note_run, (void *)1);
    EXPECT(low != NULL && other != NULL);
    thread_join(holder, &turned);
    thread_join(other, NULL);
    thread_join(low, NULL);
    EXPECT_EQUAL(turned, 1);
}
