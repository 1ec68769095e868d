/* Threads: from their making to their end. */
#include <ashlar/clock.h>
#include <ashlar/kernel_stack.h>
#include <ashlar/lock.h>
#include <ashlar/platform.h>
#include <ashlar/processor.h>
#include <ashlar/test.h>
#include <ashlar/thread.h>
#include <ashlar/wait.h>

#define MANY 200

static uint64_t add_one(void *argument)
{
    return (uintptr_t)argument + 1;
}

KERNEL_TEST(thread_returns_what_its_entry_returns)
{
    struct thread *thread = thread_run("adder", add_one, (void *)41);
    uint64_t value = 0;
    EXPECT(thread != NULL);
    EXPECT_EQUAL(thread_join(thread, &value), WAIT_WOKEN);
    EXPECT_EQUAL(value, 42);
}

static uint64_t end_early(void *argument)
{
    (void)argument;
    thread_exit(7);
}

KERNEL_TEST(thread_may_end_before_its_entry_does)
{
    struct thread *thread = thread_run("early", end_early, NULL);
    uint64_t value = 0;
    EXPECT(thread != NULL);
    thread_join(thread, &value);
    EXPECT_EQUAL(value, 7);
}

/* All are there at once: each waits for the gate. */
static struct wait_queue gate = WAIT_QUEUE_INITIALIZER;
static _Atomic(bool) gate_is_open;
static _Atomic(unsigned) arrived;
static _Atomic(unsigned) passed;

static uint64_t pass_the_gate(void *argument)
{
    atomic_fetch_add(&arrived, 1);
    (void)WAIT_UNTIL(&gate, atomic_load(&gate_is_open), "the gate", WAIT_PATIENTLY);
    atomic_fetch_add(&passed, 1);
    return (uintptr_t)argument;
}

static unsigned join_all(struct thread *threads[], unsigned count)
{
    unsigned right = 0;
    for (unsigned i = 0; i < count; i++) {
        uint64_t value = 0;
        right += threads[i] && thread_join(threads[i], &value) == WAIT_WOKEN && value == i;
    }
    return right;
}

KERNEL_TEST(threads_by_hundreds_wait_and_end)
{
    static struct thread *threads[MANY];
    unsigned before = thread_count();
    atomic_store(&gate_is_open, false);
    atomic_store(&arrived, 0);
    atomic_store(&passed, 0);
    for (unsigned i = 0; i < MANY; i++) {
        threads[i] = thread_run("many", pass_the_gate, (void *)(uintptr_t)i);
    }
    while (atomic_load(&arrived) != MANY) {
        thread_sleep(1000000, false);
    }
    EXPECT_EQUAL(atomic_load(&passed), 0);
    atomic_store(&gate_is_open, true);
    wake_all(&gate);
    EXPECT_EQUAL(join_all(threads, MANY), MANY);
    EXPECT_EQUAL(atomic_load(&passed), MANY);
    EXPECT(thread_count() <= before + 1); /* the boot CPU's own may have been made */
}

KERNEL_TEST(thread_that_is_detached_is_freed)
{
    static struct thread *threads[MANY];
    unsigned before;
    struct thread *first = thread_run("first", add_one, NULL); /* makes what is made once */
    EXPECT(first != NULL);
    thread_join(first, NULL);
    before = thread_count();
    atomic_store(&gate_is_open, true);
    for (unsigned i = 0; i < MANY; i++) {
        threads[i] = thread_run("detached", pass_the_gate, NULL);
        EXPECT(threads[i] != NULL);
        thread_detach(threads[i]);
    }
    struct lock_wait patience = lock_wait_begin(MUTEX_PATIENCE);
    while (thread_count() > before && lock_wait_goes_on(&patience)) {
        thread_sleep(1000000, false);
    }
    EXPECT(thread_count() <= before); /* one that ended earlier may have been freed meanwhile, too */
}

KERNEL_TEST(thread_that_never_ran_can_be_dropped)
{
    const struct thread_request request = {.name = "never",
                                           .entry = add_one,
                                           .level = THREAD_NORMAL,
                                           .cpu = THREAD_ANY_CPU,
                                           .has_user_state = true};
    struct thread *thread = thread_create(&request);
    unsigned count = thread_count();
    EXPECT(thread != NULL);
    thread_detach(thread);
    EXPECT(thread_count() < count);
}

/* ---- Levels and slices ---- */

static _Atomic(unsigned) places; /* given so far */
static _Atomic(bool) over;

static uint64_t take_a_place(void *argument)
{
    *(unsigned *)argument = atomic_fetch_add(&places, 1);
    return 0;
}

/* On one CPU, all made ready while nothing else can run. */
KERNEL_TEST(threads_run_by_level)
{
    unsigned place[THREAD_LEVELS];
    struct thread *threads[THREAD_LEVELS];
    atomic_store(&places, 0);
    for (unsigned i = 0; i < THREAD_LEVELS; i++) {
        const struct thread_request request = {.name = "level",
                                               .entry = take_a_place,
                                               .argument = &place[THREAD_LEVELS - 1 - i],
                                               .level = (enum thread_level)(THREAD_LEVELS - 1 - i),
                                               .cpu = cpu_number()};
        threads[i] = thread_create(&request);
        EXPECT(threads[i] != NULL);
    }
    preempt_disable();
    for (unsigned i = 0; i < THREAD_LEVELS; i++) {
        thread_start(threads[i]);
    }
    EXPECT_EQUAL(atomic_load(&places), 0);
    preempt_enable(); /* the highest goes before this thread */
    unsigned at_once = atomic_load(&places);
    for (unsigned i = 0; i < THREAD_LEVELS; i++) {
        thread_join(threads[i], NULL);
    }
    EXPECT_EQUAL(at_once, 1);
    EXPECT_EQUAL(place[THREAD_INTERRUPT], 0);
    EXPECT_EQUAL(place[THREAD_NORMAL], 1);
    EXPECT_EQUAL(place[THREAD_IDLE], 2);
}

static uint64_t count_on(void *argument)
{
    while (!atomic_load(&over)) {
        atomic_fetch_add((_Atomic(uint64_t) *)argument, 1);
    }
    return 0;
}

/* None of them ever waits, and all are bound to one CPU: only time slices let each run. */
KERNEL_TEST(threads_of_one_level_take_turns)
{
    static _Atomic(uint64_t) counts[3];
    struct thread *threads[3];
    if (!timer_available()) {
        kernel_test_skip("no timer");
        return;
    }
    atomic_store(&over, false);
    for (unsigned i = 0; i < 3; i++) {
        const struct thread_request request = {.name = "turn",
                                               .entry = count_on,
                                               .argument = &counts[i],
                                               .level = THREAD_NORMAL,
                                               .cpu = cpu_number()};
        atomic_store(&counts[i], 0);
        threads[i] = thread_create(&request);
        EXPECT(threads[i] != NULL);
        thread_start(threads[i]);
    }
    struct lock_wait patience = lock_wait_begin(MUTEX_PATIENCE);
    bool all = false;
    while (!all && lock_wait_goes_on(&patience)) {
        all = counts[0] != 0 && counts[1] != 0 && counts[2] != 0;
    }
    atomic_store(&over, true);
    for (unsigned i = 0; i < 3; i++) {
        thread_join(threads[i], NULL);
    }
    EXPECT(all);
}

/* ---- Several CPUs ---- */

static _Atomic(uint64_t) seen_on; /* CPUs, a bit for each of the first 64 */

/* Until `argument` of them have been seen: the host may not let the others run for a while. */
static uint64_t note_cpu(void *argument)
{
    struct lock_wait patience = lock_wait_begin(MUTEX_PATIENCE);
    do {
        preempt_disable();
        atomic_fetch_or(&seen_on, UINT64_C(1) << cpu_number() % 64);
        preempt_enable();
    } while ((unsigned)__builtin_popcountll(atomic_load(&seen_on)) < (uintptr_t)argument &&
             lock_wait_goes_on(&patience));
    return 0;
}

/* The calling CPU is kept busy: the others, which rest, take the threads that were put into its queue. */
KERNEL_TEST(threads_are_taken_by_those_that_rest)
{
    struct thread *threads[8];
    unsigned online = processors_online();
    unsigned count = online < 8 ? online : 8;
    atomic_store(&seen_on, 0);
    preempt_disable();
    for (unsigned i = 0; i < count; i++) {
        preempt_enable();
        threads[i] = thread_run("spread", note_cpu, (void *)(uintptr_t)(online == 1 ? 1 : 2));
        preempt_disable();
    }
    preempt_enable();
    for (unsigned i = 0; i < count; i++) {
        EXPECT(threads[i] != NULL);
        thread_join(threads[i], NULL);
    }
    unsigned seen = (unsigned)__builtin_popcountll(atomic_load(&seen_on));
    EXPECT(online == 1 ? seen == 1 : seen > 1);
}

struct tour {
    unsigned rounds;
    unsigned wrong;
};

static uint64_t go_round(void *argument)
{
    struct tour *tour = argument;
    unsigned online = processors_online();
    for (unsigned i = 0; i < tour->rounds; i++) {
        thread_bind(i % online);
        tour->wrong += cpu_number() != i % online;
    }
    thread_bind(THREAD_ANY_CPU);
    return 0;
}

KERNEL_TEST(thread_goes_where_it_is_bound_to)
{
    struct tour tours[4] = {{200, 0}, {200, 0}, {200, 0}, {200, 0}};
    struct thread *threads[4];
    if (processors_online() != processors_count()) {
        kernel_test_skip("some CPUs are not online");
        return;
    }
    for (unsigned i = 0; i < 4; i++) {
        threads[i] = thread_run("tour", go_round, &tours[i]);
        EXPECT(threads[i] != NULL);
    }
    for (unsigned i = 0; i < 4; i++) {
        thread_join(threads[i], NULL);
        EXPECT_EQUAL(tours[i].wrong, 0);
    }
}

/* ---- The list ---- */

KERNEL_TEST(threads_are_found_and_listed)
{
    struct thread_walk walk;
    struct thread_report report;
    uint64_t last = 0;
    unsigned seen = 0;
    bool found_self = false;
    thread_walk_begin(&walk);
    while (thread_walk_next(&walk, &report)) {
        EXPECT(report.number > last);
        last = report.number;
        seen++;
        found_self =
            found_self || (report.number == thread_current()->number && report.state == THREAD_RUNNING);
    }
    thread_walk_end(&walk);
    EXPECT(found_self);
    EXPECT(seen >= thread_count()); /* one that had ended may have been freed since */
    struct thread *self = thread_find(thread_current()->number);
    EXPECT(self == thread_current());
    thread_put(self);
    EXPECT(thread_find(last + 1000000) == NULL);
}

/* ---- No memory ---- */

KERNEL_TEST(thread_without_memory_is_none)
{
    const struct thread_request request = {.name = "huge",
                                           .entry = add_one,
                                           .level = THREAD_NORMAL,
                                           .cpu = THREAD_ANY_CPU,
                                           .stack_bytes = KERNEL_STACK_BYTES_MAX + 1};
    thread_detach(thread_run("first", add_one, NULL));
    thread_sleep(20000000, false);
    unsigned count = thread_count();
    EXPECT(thread_create(&request) == NULL);
    EXPECT(thread_count() <= count);
}
