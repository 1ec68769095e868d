/* What threads cost. Under -icount shift=0 a tick is one guest instruction; the two threads share a CPU. */
#include <ashlar/bench.h>
#include <ashlar/thread.h>
#include <ashlar/wait.h>

#define TURNS 200
#define PAIRS 50

static struct thread *start_here(const char *name, thread_entry *entry, void *argument)
{
    const struct thread_request request = {
        .name = name, .entry = entry, .argument = argument, .level = THREAD_NORMAL, .cpu = cpu_number()};
    struct thread *thread = thread_create(&request);
    if (thread) {
        thread_start(thread);
    }
    return thread;
}

static uint64_t yield_often(void *argument)
{
    (void)argument;
    for (unsigned i = 0; i < TURNS; i++) {
        thread_yield();
    }
    return 0;
}

/* From one thread to another, which are both ready. */
KERNEL_BENCH(thread_switch_row, "thread.switch")
{
    struct thread *other = start_here("turns", yield_often, NULL);
    if (!other) {
        bench_skip(bench, "no memory");
        return;
    }
    thread_yield();
    bench_start(bench);
    for (unsigned i = 0; i < TURNS / 2; i++) {
        thread_yield();
    }
    bench_stop(bench, TURNS);
    thread_join(other, NULL);
}

static uint64_t do_nothing(void *argument)
{
    (void)argument;
    return 0;
}

/* Made, run, ended, joined, freed. */
KERNEL_BENCH(thread_pair_row, "thread.pair")
{
    bench_start(bench);
    for (unsigned i = 0; i < PAIRS; i++) {
        struct thread *thread = start_here("nothing", do_nothing, NULL);
        if (!thread) {
            bench_skip(bench, "no memory");
            return;
        }
        thread_join(thread, NULL);
    }
    bench_stop(bench, PAIRS);
}

/* A mutex that nobody else wants. */
KERNEL_BENCH(mutex_pair_row, "mutex.pair")
{
    static struct mutex mutex = MUTEX_INITIALIZER(LOCK_SPACE_CHANGE);
    bench_start(bench);
    for (unsigned i = 0; i < TURNS; i++) {
        mutex_acquire(&mutex);
        mutex_release(&mutex);
    }
    bench_stop(bench, TURNS);
}

static struct wait_queue queues[2] = {WAIT_QUEUE_INITIALIZER, WAIT_QUEUE_INITIALIZER};
static _Atomic(unsigned) turn;

static void pass_turn(unsigned from)
{
    atomic_store(&turn, !from);
    wake_one(&queues[!from]);
    (void)WAIT_UNTIL(&queues[from], atomic_load(&turn) == from, "a turn", WAIT_PATIENTLY);
}

static uint64_t answer_often(void *argument)
{
    (void)argument;
    (void)WAIT_UNTIL(&queues[1], atomic_load(&turn) == 1, "a turn", WAIT_PATIENTLY);
    for (unsigned i = 1; i < TURNS; i++) {
        pass_turn(1);
    }
    atomic_store(&turn, 0);
    wake_one(&queues[0]);
    return 0;
}

/* Wakes another thread and sleeps until it wakes this one. */
KERNEL_BENCH(wake_round_row, "wake.round")
{
    atomic_store(&turn, 0);
    struct thread *other = start_here("answers", answer_often, NULL);
    if (!other) {
        bench_skip(bench, "no memory");
        return;
    }
    bench_start(bench);
    for (unsigned i = 0; i < TURNS; i++) {
        pass_turn(0);
    }
    bench_stop(bench, TURNS);
    thread_join(other, NULL);
}
