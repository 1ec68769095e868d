/* Waiting, waking, times, kills, and mutexes. */
#include <ashlar/clock.h>
#include <ashlar/platform.h>
#include <ashlar/string.h>
#include <ashlar/test.h>
#include <ashlar/thread.h>
#include <ashlar/wait.h>

#define ROUNDS  2000
#define THREADS 8

/* ---- Two that wake each other ---- */

struct table {
    struct wait_queue queue[2];
    _Atomic(unsigned) turn;
};

struct player {
    struct table *table;
    unsigned side;
};

static uint64_t play(void *argument)
{
    const struct player *player = argument;
    struct table *table = player->table;
    for (unsigned i = 0; i < ROUNDS; i++) {
        (void)WAIT_UNTIL(&table->queue[player->side], atomic_load(&table->turn) == player->side, "a turn",
                         WAIT_PATIENTLY);
        atomic_store(&table->turn, !player->side);
        wake_one(&table->queue[!player->side]);
    }
    return ROUNDS;
}

KERNEL_TEST(wait_no_wake_of_two_is_lost)
{
    static struct table table = {{WAIT_QUEUE_INITIALIZER, WAIT_QUEUE_INITIALIZER}, 0};
    struct player players[2] = {{&table, 0}, {&table, 1}};
    struct thread *one = thread_run("ping", play, &players[0]);
    struct thread *other = thread_run("pong", play, &players[1]);
    uint64_t rounds[2] = {0, 0};
    EXPECT(one != NULL && other != NULL);
    thread_join(one, &rounds[0]);
    thread_join(other, &rounds[1]);
    EXPECT_EQUAL(rounds[0] + rounds[1], 2 * ROUNDS);
}

/* ---- Times ---- */

KERNEL_TEST(wait_ends_at_its_time)
{
    struct wait_queue queue = WAIT_QUEUE_INITIALIZER;
    uint64_t start = clock_nanoseconds();
    const struct wait_how how = {.deadline = start + 3000000};
    EXPECT_EQUAL(WAIT_UNTIL(&queue, false, "nothing", how), WAIT_TIMED_OUT);
    EXPECT(clock_nanoseconds() >= start + 3000000);
    EXPECT(wait_queue_is_empty(&queue));
    EXPECT_EQUAL(thread_sleep(1000000, true), WAIT_TIMED_OUT);
    EXPECT(clock_nanoseconds() >= start + 4000000);
}

static uint64_t sleep_often(void *argument)
{
    uint64_t late = 0;
    for (unsigned i = 1; i <= 20; i++) {
        uint64_t start = clock_nanoseconds();
        uint64_t time = i * (uintptr_t)argument;
        late += thread_sleep(time, false) != WAIT_TIMED_OUT || clock_nanoseconds() - start < time;
    }
    return late;
}

KERNEL_TEST(wait_many_sleep_at_once)
{
    struct thread *threads[50];
    uint64_t wrong = 0;
    for (unsigned i = 0; i < 50; i++) {
        threads[i] = thread_run("sleeper", sleep_often, (void *)(uintptr_t)(1000 * (i + 1)));
        EXPECT(threads[i] != NULL);
    }
    for (unsigned i = 0; i < 50; i++) {
        uint64_t value = 1;
        thread_join(threads[i], &value);
        wrong += value;
    }
    EXPECT_EQUAL(wrong, 0);
}

/* Wakes and times that come at the same moment: a wake is either taken, or it goes to the one that waits on.
 */
static struct wait_queue race = WAIT_QUEUE_INITIALIZER;
static _Atomic(unsigned) tokens;
static _Atomic(unsigned) taken;
static _Atomic(bool) race_is_over;

static bool take_a_token(void)
{
    unsigned seen = atomic_load(&tokens);
    while (seen != 0 && !atomic_compare_exchange_weak(&tokens, &seen, seen - 1)) {
    }
    return seen != 0;
}

static uint64_t take_in_time(void *argument)
{
    (void)argument;
    while (!atomic_load(&race_is_over)) {
        const struct wait_how how = {.deadline = clock_nanoseconds() + 20000};
        if (WAIT_UNTIL(&race, take_a_token(), "a token", how) == WAIT_WOKEN) {
            atomic_fetch_add(&taken, 1);
        }
    }
    return 0;
}

static uint64_t take_patiently(void *argument)
{
    (void)argument;
    while (!atomic_load(&race_is_over)) {
        if (WAIT_UNTIL(&race, take_a_token() || atomic_load(&race_is_over), "a token", WAIT_PATIENTLY) ==
                WAIT_WOKEN &&
            !atomic_load(&race_is_over)) {
            atomic_fetch_add(&taken, 1);
        }
    }
    return 0;
}

KERNEL_TEST(wait_a_wake_at_the_last_moment_is_not_lost)
{
    struct thread *threads[4];
    atomic_store(&tokens, 0);
    atomic_store(&taken, 0);
    atomic_store(&race_is_over, false);
    for (unsigned i = 0; i < 4; i++) {
        threads[i] = thread_run("racer", i < 2 ? take_in_time : take_patiently, NULL);
        EXPECT(threads[i] != NULL);
    }
    bool stuck = false;
    for (unsigned i = 0; i < ROUNDS / 4; i++) {
        atomic_fetch_add(&tokens, 1);
        wake_one(&race);
        struct lock_wait patience = lock_wait_begin(MUTEX_PATIENCE);
        while (atomic_load(&taken) <= i && !stuck) {
            stuck = !lock_wait_goes_on(&patience);
            thread_sleep(10000, false);
        }
    }
    atomic_store(&race_is_over, true);
    wake_all(&race);
    for (unsigned i = 0; i < 4; i++) {
        thread_join(threads[i], NULL);
    }
    EXPECT(!stuck);
}

/* ---- Kills ---- */

static struct wait_queue never = WAIT_QUEUE_INITIALIZER;

static uint64_t wait_for_ever(void *argument)
{
    (void)argument;
    return WAIT_UNTIL(&never, false, "ever", WAIT_KILLABLY);
}

static uint64_t join_another(void *argument)
{
    return thread_join_killable(argument, NULL);
}

KERNEL_TEST(wait_ends_with_a_kill)
{
    struct thread *waiter = thread_run("victim", wait_for_ever, NULL);
    EXPECT(waiter != NULL);
    struct thread *joiner = thread_run("joiner", join_another, waiter);
    uint64_t results[2] = {WAIT_WOKEN, WAIT_WOKEN};
    EXPECT(joiner != NULL);
    thread_sleep(2000000, false);
    thread_kill(joiner);
    thread_join(joiner, &results[0]);
    thread_kill(waiter);
    thread_join(waiter, &results[1]);
    EXPECT_EQUAL(results[0], WAIT_KILLED);
    EXPECT_EQUAL(results[1], WAIT_KILLED);
}

KERNEL_TEST(wait_of_one_that_was_killed_before_ends_at_once)
{
    const struct thread_request request = {
        .name = "doomed", .entry = wait_for_ever, .level = THREAD_NORMAL, .cpu = THREAD_ANY_CPU};
    struct thread *thread = thread_create(&request);
    uint64_t result = WAIT_WOKEN;
    EXPECT(thread != NULL);
    thread_kill(thread);
    thread_start(thread);
    thread_join(thread, &result);
    EXPECT_EQUAL(result, WAIT_KILLED);
}

/* ---- Mutexes ---- */

static struct mutex mutex = MUTEX_INITIALIZER(LOCK_SPACE_CHANGE);
static uint64_t guarded[2];
static uint64_t torn;

static uint64_t count_guarded(void *argument)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        mutex_acquire(&mutex);
        torn += guarded[0] != guarded[1];
        guarded[0]++;
        if (i % 8 == (uintptr_t)argument % 8) {
            thread_yield(); /* it sleeps, or others run, while it holds the mutex */
        }
        guarded[1]++;
        mutex_release(&mutex);
    }
    return 0;
}

KERNEL_TEST(mutex_lets_in_one_thread_at_a_time)
{
    struct thread *threads[THREADS];
    guarded[0] = guarded[1] = torn = 0;
    for (unsigned i = 0; i < THREADS; i++) {
        threads[i] = thread_run("counter", count_guarded, (void *)(uintptr_t)i);
        EXPECT(threads[i] != NULL);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        thread_join(threads[i], NULL);
    }
    EXPECT_EQUAL(guarded[0], THREADS * ROUNDS);
    EXPECT_EQUAL(torn, 0);
}

static _Atomic(bool) is_held;

static bool waits_for_a_mutex(const struct thread *thread)
{
    const char *what = atomic_load(&thread->waits_for);
    return what && strcmp(what, "mutex") == 0;
}

/* Holds the mutex until the other one sleeps for it. */
static uint64_t hold_until_wanted(void *other)
{
    mutex_acquire(&mutex);
    atomic_store(&is_held, true);
    while (!waits_for_a_mutex(other)) {
        thread_sleep(100000, false);
    }
    mutex_release(&mutex);
    return 0;
}

KERNEL_TEST(mutex_is_waited_for_asleep)
{
    atomic_store(&is_held, false);
    struct thread *holder = thread_run("holder", hold_until_wanted, thread_current());
    EXPECT(holder != NULL);
    while (!atomic_load(&is_held)) {
        thread_sleep(100000, false);
    }
    EXPECT(!mutex_try_acquire(&mutex));
    mutex_acquire(&mutex);
    bool mine = mutex_is_mine(&mutex);
    mutex_release(&mutex);
    thread_join(holder, NULL);
    EXPECT(mine);
}

static _Atomic(bool) is_done;

static uint64_t hold_while_asked(void *argument)
{
    (void)argument;
    mutex_acquire(&mutex);
    atomic_store(&is_held, true);
    for (uint64_t start = clock_nanoseconds(); clock_nanoseconds() - start < 20000000;) {
    }
    mutex_release(&mutex);
    return 0;
}

static uint64_t run_on(void *argument)
{
    (void)argument;
    while (!atomic_load(&is_done)) {
    }
    return 0;
}

/* A thread of the idle level has the mutex, and one of the normal level never stops: on one CPU. */
KERNEL_TEST(mutex_lends_its_holder_a_level)
{
    struct thread_request request = {
        .name = "low", .entry = hold_while_asked, .level = THREAD_IDLE, .cpu = cpu_number()};
    if (!timer_available()) {
        kernel_test_skip("no timer");
        return;
    }
    atomic_store(&is_held, false);
    atomic_store(&is_done, false);
    struct thread *low = thread_create(&request);
    request =
        (struct thread_request){.name = "busy", .entry = run_on, .level = THREAD_NORMAL, .cpu = cpu_number()};
    struct thread *busy = thread_create(&request);
    EXPECT(low != NULL && busy != NULL);
    thread_start(low);
    while (!atomic_load(&is_held)) {
        thread_sleep(100000, false);
    }
    thread_start(busy);
    mutex_acquire(&mutex);
    mutex_release(&mutex);
    atomic_store(&is_done, true);
    thread_join(low, NULL);
    thread_join(busy, NULL);
}

/* ---- Several queues at once ---- */

struct pair {
    struct wait_queue queue[2];
    unsigned side;
};

static uint64_t wake_later(void *argument)
{
    struct pair *pair = argument;
    thread_sleep(2000000, false);
    wake_all(&pair->queue[pair->side]);
    return 0;
}

KERNEL_TEST(wait_in_several_queues_ends_by_any)
{
    static struct pair pair = {{WAIT_QUEUE_INITIALIZER, WAIT_QUEUE_INITIALIZER}, 0};
    const struct wait_how patient = WAIT_PATIENTLY;
    for (pair.side = 0; pair.side < 2; pair.side++) {
        struct waiter waiters[2];
        wait_enter(&pair.queue[0], &waiters[0], "any");
        wait_enter(&pair.queue[1], &waiters[1], "any");
        struct thread *waker = thread_run("waker", wake_later, &pair);
        EXPECT_EQUAL(wait_rest_any(waiters, 2, &patient), WAIT_WOKEN);
        EXPECT(wait_queue_is_empty(&pair.queue[0]) && wait_queue_is_empty(&pair.queue[1]));
        thread_join(waker, NULL);
    }
    const struct wait_how soon = {.deadline = clock_nanoseconds() + 1000000};
    struct waiter waiters[2];
    wait_enter(&pair.queue[0], &waiters[0], "any");
    wait_enter(&pair.queue[1], &waiters[1], "any");
    EXPECT_EQUAL(wait_rest_any(waiters, 2, &soon), WAIT_TIMED_OUT);
    EXPECT(wait_queue_is_empty(&pair.queue[0]) && wait_queue_is_empty(&pair.queue[1]));
}

/* A wake that comes to a second queue as well goes on to the next that waits there. */
KERNEL_TEST(wait_in_several_queues_keeps_no_second_wake)
{
    static struct pair pair = {{WAIT_QUEUE_INITIALIZER, WAIT_QUEUE_INITIALIZER}, 0};
    const struct wait_how patient = WAIT_PATIENTLY;
    struct waiter waiters[2];
    struct waiter next;
    wait_enter(&pair.queue[0], &waiters[0], "any");
    wait_enter(&pair.queue[1], &waiters[1], "any");
    wait_enter(&pair.queue[1], &next, "the second");
    wake_one(&pair.queue[0]);
    wake_one(&pair.queue[1]);
    EXPECT_EQUAL(wait_rest_any(waiters, 2, &patient), WAIT_WOKEN);
    EXPECT_EQUAL(wait_rest(&next, &patient), WAIT_WOKEN);
}
