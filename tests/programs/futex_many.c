/* futex_waitv: sleeping for many words at once, for two kernels to be compared. */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define MANY        128
#define SIZE_32     2
#define PRIVATE     128
#define WAKE        1
#define CMP_REQUEUE 4

struct word {
    uint64_t value;
    uint64_t address;
    uint32_t flags;
    uint32_t reserved;
};

static uint32_t values[MANY];
static struct word words[MANY + 1];

static long waitv(const void *list, unsigned count, unsigned flags, const struct timespec *time, int clock)
{
    return syscall(449, list, count, flags, time, clock);
}

static long futex(uint32_t *word, int operation, uint32_t value, long moves, uint32_t *other, uint32_t last)
{
    return syscall(SYS_futex, word, operation, value, moves, other, last);
}

static void prepare(void)
{
    for (unsigned i = 0; i < MANY; i++) {
        words[i] = (struct word){values[i], (uint64_t)&values[i], SIZE_32 | PRIVATE, 0};
    }
    words[MANY] = words[0];
}

static struct timespec in(int clock, long nanoseconds)
{
    struct timespec time;
    clock_gettime(clock, &time);
    time.tv_nsec += nanoseconds;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

/* ---- Errors ---- */

static void errors(void)
{
    const struct timespec past = {0, 1}, broken = {0, 1000000000}, negative = {-1, 0};
    char *hole = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(hole + 4096, 4096);
    prepare();
    TELL(waitv(words, 1, 1, NULL, 0));
    TELL(waitv(words, 0, 0, NULL, 0));
    TELL(waitv(words, MANY + 1, 0, &past, 0));
    TELL(waitv(NULL, 1, 0, NULL, 0));
    TELL(waitv(words, 1, 0, &past, CLOCK_BOOTTIME));
    TELL(waitv(words, 1, 0, &past, -1));
    TELL(waitv(words, 1, 0, &broken, CLOCK_MONOTONIC));
    TELL(waitv(words, 1, 0, &negative, CLOCK_REALTIME));
    TELL(waitv(words, 1, 0, (void *)8, CLOCK_MONOTONIC));
    memcpy(hole + 4096 - 24, words, 24);
    TELL(waitv(hole + 4096 - 24, 2, 0, &past, CLOCK_MONOTONIC));
    TELL(waitv((void *)-24L, 2, 0, &past, CLOCK_MONOTONIC));
    words[1].flags = PRIVATE;
    TELL(waitv(words, 2, 0, &past, CLOCK_MONOTONIC));
    words[1].flags = SIZE_32 | 64;
    TELL(waitv(words, 2, 0, &past, CLOCK_MONOTONIC));
    words[1].flags = SIZE_32;
    words[1].reserved = 1;
    TELL(waitv(words, 2, 0, &past, CLOCK_MONOTONIC));
    words[1].reserved = 0;
    words[1].value = 1UL << 32;
    TELL(waitv(words, 2, 0, &past, CLOCK_MONOTONIC));
    words[1].value = 0;
    words[1].address = (uint64_t)values + 2;
    TELL(waitv(words, 2, 0, &past, CLOCK_MONOTONIC));
    words[1].address = (uint64_t)hole + 4096;
    TELL(waitv(words, 2, 0, &past, CLOCK_MONOTONIC));
    words[1].flags |= PRIVATE;
    TELL(waitv(words, 2, 0, &past, CLOCK_MONOTONIC));
    words[1].address = 0xffffffff80000000;
    TELL(waitv(words, 2, 0, &past, CLOCK_MONOTONIC));
    prepare();
    words[MANY - 1].value = 5;
    TELL(waitv(words, MANY, 0, &past, CLOCK_MONOTONIC));
    TELL(waitv(words, MANY - 1, 0, &past, CLOCK_MONOTONIC));
    TELL(waitv(words, MANY - 1, 0, &past, CLOCK_REALTIME));
    words[0].value = 5;
    TELL(waitv(words, 1, 0, NULL, CLOCK_MONOTONIC));
}

static void timeouts(void)
{
    static const int clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME};
    prepare();
    for (int i = 0; i < 2; i++) {
        struct timespec begin, end, until = in(clocks[i], 3000000);
        clock_gettime(clocks[i], &begin);
        TELL(waitv(words, MANY, 0, &until, clocks[i]));
        clock_gettime(clocks[i], &end);
        printf("not too early: %d\n",
               end.tv_sec > until.tv_sec || (end.tv_sec == until.tv_sec && end.tv_nsec >= until.tv_nsec));
    }
    struct timespec never = {INT64_MAX, 999999999};
    words[0].value = 1;
    TELL(waitv(words, MANY, 0, &never, CLOCK_REALTIME));
}

/* ---- Waking ---- */

/* Until somebody sleeps for it. */
static void *wake(void *word)
{
    while (futex(word, WAKE | PRIVATE, 1, 0, NULL, 0) != 1) {
        sched_yield();
    }
    return NULL;
}

static void *move_and_wake(void *word)
{
    static uint32_t other;
    while (futex(word, CMP_REQUEUE | PRIVATE, 0, 1, &other, 0) != 1) {
        sched_yield();
    }
    printf("the old word: %ld\n", futex(word, WAKE | PRIVATE, 1, 0, NULL, 0));
    return wake(&other);
}

static void wakes(void)
{
    static const unsigned places[] = {0, 1, 64, MANY - 1};
    pthread_t thread;
    prepare();
    for (int i = 0; i < 4; i++) {
        pthread_create(&thread, NULL, wake, &values[places[i]]);
        TELL_EXACT(waitv(words, MANY, 0, NULL, 0));
        pthread_join(thread, NULL);
    }
    pthread_create(&thread, NULL, move_and_wake, &values[7]);
    TELL_EXACT(waitv(words, MANY, 0, NULL, 0));
    pthread_join(thread, NULL);
    words[3].address = words[5].address; /* twice the same: the first of them is woken first */
    pthread_create(&thread, NULL, wake, &values[5]);
    TELL_EXACT(waitv(words, MANY, 0, NULL, 0));
    pthread_join(thread, NULL);
    printf("nobody is left: %ld\n", futex(&values[9], WAKE | PRIVATE, 9, 0, NULL, 0));
}

/* Of a file that two processes show. */
static void shared(void)
{
    uint32_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    prepare();
    words[2] = (struct word){0, (uint64_t)&page[10], SIZE_32, 0};
    pid_t child = fork();
    if (child == 0) {
        while (futex(&page[10], WAKE, 1, 0, NULL, 0) != 1) {
            sched_yield();
        }
        _exit(0);
    }
    TELL_EXACT(waitv(words, 5, 0, NULL, 0));
    waitpid(child, NULL, 0);
}

/* ---- Signals ---- */

static pthread_t sleeper;
static volatile sig_atomic_t handled;

static void handle(int signal)
{
    handled = signal;
}

/* Until the handler has run; then, if asked, wakes the word. */
static void *interrupt(void *word)
{
    while (!handled) {
        pthread_kill(sleeper, SIGUSR1);
        struct timespec moment = {0, 1000000};
        nanosleep(&moment, NULL);
    }
    return word ? wake(word) : NULL;
}

static void signals(void)
{
    struct sigaction action = {.sa_handler = handle};
    pthread_t thread;
    prepare();
    sleeper = pthread_self();
    sigaction(SIGUSR1, &action, NULL);
    sigset_t all, one;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &one); /* what comes earlier waits until the call that it shall interrupt */
    pthread_create(&thread, NULL, interrupt, NULL);
    struct timespec until = in(CLOCK_MONOTONIC, 3600000000000);
    sigprocmask(SIG_SETMASK, &one, NULL);
    while (!handled) {
        long answer = waitv(words, 3, 0, &until, CLOCK_MONOTONIC);
        printf("interrupted: %ld, %d\n", answer, errno);
    }
    pthread_join(thread, NULL);
}

static void *interrupt_and_wake(void *word)
{
    for (int i = 0; i < 20; i++) {
        pthread_kill(sleeper, SIGUSR1);
        struct timespec moment = {0, 300000};
        nanosleep(&moment, NULL);
    }
    return wake(word);
}

static void restarted(void)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    pthread_t thread;
    prepare();
    sigaction(SIGUSR1, &action, NULL);
    pthread_create(&thread, NULL, interrupt_and_wake, &values[2]);
    TELL_EXACT(waitv(words, 3, 0, NULL, 0));
    pthread_join(thread, NULL);
}

/* ---- Crowds ---- */

#define SLEEPERS 6
#define TIMES    300

static void *sleep_often(void *unused)
{
    long bad = 0;
    (void)unused;
    for (int i = 0; i < TIMES; i++) {
        struct timespec until = in(CLOCK_MONOTONIC, 20000 + i % 7 * 10000);
        long answer = waitv(words, 1 + (unsigned)i % MANY, 0, &until, CLOCK_MONOTONIC);
        bad += answer >= 0 ? answer > i % MANY : errno != ETIMEDOUT;
    }
    return (void *)bad;
}

static _Atomic(int) stop;

static void *wake_often(void *unused)
{
    for (unsigned i = 0; !stop; i++) {
        futex(&values[i % MANY], WAKE | PRIVATE, 2, 0, NULL, 0);
        futex(&values[i % 5], CMP_REQUEUE | PRIVATE, 0, 3, &values[i % 11], 0);
    }
    return unused;
}

static void crowd(void)
{
    pthread_t threads[SLEEPERS + 2];
    long bad = 0;
    prepare();
    for (int i = 0; i < SLEEPERS + 2; i++) {
        pthread_create(&threads[i], NULL, i < SLEEPERS ? sleep_often : wake_often, NULL);
    }
    for (int i = 0; i < SLEEPERS + 2; i++) {
        void *value;
        stop = i >= SLEEPERS;
        pthread_join(threads[i], &value);
        bad += (long)value;
    }
    long left = 0;
    for (int i = 0; i < MANY; i++) {
        left += futex(&values[i], WAKE | PRIVATE, 1000, 0, NULL, 0);
    }
    printf("a crowd: %ld bad, %ld left\n", bad, left);
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    errors();
    timeouts();
    wakes();
    shared();
    signals();
    restarted();
    crowd();
    return 0;
}
