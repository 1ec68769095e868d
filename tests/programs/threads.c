/* Threads of the C library, and the futexes under them, for two kernels to be compared. */
#include "check.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define THREADS 8
#define ROUNDS  2000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static long counted;
static int turn;

static long futex(volatile uint32_t *word, int operation, uint32_t value, const void *time,
                  volatile uint32_t *other, uint32_t last)
{
    return syscall(SYS_futex, word, operation, value, time, other, last);
}

static void *count(void *unused)
{
    (void)unused;
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&lock);
        counted++;
        pthread_mutex_unlock(&lock);
    }
    return (void *)(long)ROUNDS;
}

static void mutexes(void)
{
    pthread_t threads[THREADS];
    long sum = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, count, NULL);
    }
    for (int i = 0; i < THREADS; i++) {
        void *value;
        pthread_join(threads[i], &value);
        sum += (long)value;
    }
    printf("mutexes: %ld, %ld\n", counted, sum);
}

static void *take_turns(void *number)
{
    for (int i = 0; i < 100; i++) {
        pthread_mutex_lock(&lock);
        while (turn % 4 != (long)number) {
            pthread_cond_wait(&changed, &lock);
        }
        turn++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    pthread_barrier_wait(&barrier);
    return number;
}

static void conditions(void)
{
    pthread_t threads[4];
    pthread_barrier_init(&barrier, NULL, 5);
    for (long i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, take_turns, (void *)i);
    }
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("turns: %d\n", turn);
    struct timespec when;
    clock_gettime(CLOCK_MONOTONIC, &when);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_t never;
    pthread_cond_init(&never, &attributes);
    pthread_mutex_lock(&lock);
    when.tv_nsec = (when.tv_nsec + 1000000) % 1000000000;
    printf("in time: %d\n", pthread_cond_timedwait(&never, &lock, &when));
    pthread_mutex_unlock(&lock);
}

static __thread int own = 5;

static void *see_own(void *unused)
{
    (void)unused;
    own += 3;
    return (void *)(long)own;
}

static void of_its_own(void)
{
    pthread_t thread;
    void *value;
    own = 100;
    pthread_create(&thread, NULL, see_own, NULL);
    pthread_join(thread, &value);
    printf("of its own: %ld and %d\n", (long)value, own);
}

/* The owner ends and leaves the lock locked. */
static pthread_mutex_t robust;

static void *leave_locked(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&robust);
    return NULL;
}

static void robust_locks(void)
{
    pthread_mutexattr_t attributes;
    pthread_t thread;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    pthread_create(&thread, NULL, leave_locked, NULL);
    pthread_join(thread, NULL);
    printf("robust: %d\n", pthread_mutex_lock(&robust));
    printf("made consistent: %d\n", pthread_mutex_consistent(&robust));
    printf("let go: %d\n", pthread_mutex_unlock(&robust));
    printf("and again: %d\n", pthread_mutex_lock(&robust));
}

static volatile uint32_t word;
static volatile uint32_t other;

static void futex_errors(void)
{
    struct timespec moment = {0, 1000000};
    struct timespec bad = {0, 1000000000};
    struct timespec negative = {-1, 0};
    word = 1;
    TELL_EXACT(futex(&word, FUTEX_WAIT, 2, NULL, NULL, 0));
    TELL_EXACT(futex(&word, FUTEX_WAIT, 1, &moment, NULL, 0));
    TELL_EXACT(futex(&word, FUTEX_WAIT_PRIVATE, 1, &moment, NULL, 0));
    TELL_EXACT(futex(&word, FUTEX_WAIT, 1, &bad, NULL, 0));
    TELL_EXACT(futex(&word, FUTEX_WAIT, 1, &negative, NULL, 0));
    TELL_EXACT(futex(&word, FUTEX_WAIT, 1, (void *)1, NULL, 0));
    TELL_EXACT(futex(&word, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 1, &moment, NULL, 0));
    TELL_EXACT(futex(&word, FUTEX_WAIT_BITSET, 1, &moment, NULL, 1));
    TELL_EXACT(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 1, &moment, NULL, 1));
    TELL_EXACT(futex(&word, FUTEX_WAIT_BITSET, 1, &moment, NULL, 0));
    TELL_EXACT(futex(&word, FUTEX_WAKE_BITSET, 1, NULL, NULL, 0));
    TELL_EXACT(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
    TELL_EXACT(futex((void *)((char *)&word + 1), FUTEX_WAKE, 1, NULL, NULL, 0));
    TELL_EXACT(futex((void *)((char *)&word + 1), FUTEX_WAIT, 1, NULL, NULL, 0));
    TELL_EXACT(futex((void *)0x1000, FUTEX_WAIT, 1, NULL, NULL, 0));
    TELL_EXACT(futex((void *)0x1000, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0));
    TELL_EXACT(futex((void *)0x1000, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    TELL_EXACT(futex((void *)0x1000, FUTEX_WAKE, 1, NULL, NULL, 0));
    TELL_EXACT(futex((void *)0xffff800000000000, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0));
    TELL_EXACT(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 2));
    TELL_EXACT(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)1, &other, 1));
    TELL_EXACT(futex(&word, FUTEX_REQUEUE, (uint32_t)-1, (void *)1, &other, 1));
    TELL_EXACT(futex(&word, 77, 1, NULL, NULL, 0));
}

static uint32_t waiting;

static void *wait_for_word(void *bits)
{
    __atomic_add_fetch(&waiting, 1, __ATOMIC_SEQ_CST);
    return (void *)futex(&word, FUTEX_WAIT_BITSET_PRIVATE, 1, NULL, NULL, (uint32_t)(long)bits);
}

/* Sleepers are counted by the wakes that they answer: nobody knows from outside when a thread sleeps. */
static void sleepers(void)
{
    pthread_t threads[4];
    int woken = 0;
    int moved;
    word = 1;
    for (long i = 0; i < 4; i++) {
        pthread_create(&threads[i], NULL, wait_for_word, (void *)(1L << i));
    }
    while (woken < 1) {
        woken += futex(&word, FUTEX_WAKE_BITSET_PRIVATE, 100, NULL, NULL, 4);
    }
    printf("by its bit: %d\n", woken);
    for (moved = 0; moved < 3;) {
        moved += futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 0, (void *)100, &other, 1);
    }
    printf("moved: %d\n", moved);
    printf("at the old place: %ld\n", futex(&word, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0));
    printf("at the new one: %ld, then %ld\n", futex(&other, FUTEX_WAKE_PRIVATE, 2, NULL, NULL, 0),
           futex(&other, FUTEX_WAKE_PRIVATE, 100, NULL, NULL, 0));
    for (int i = 0; i < 4; i++) {
        void *value;
        pthread_join(threads[i], &value);
        printf("%ld", (long)value);
    }
    printf("\n");
}

static void *stay(void *unused)
{
    (void)unused;
    for (;;) {
    }
}

static void *end_all(void *unused)
{
    (void)unused;
    syscall(SYS_exit_group, 77);
    return NULL;
}

static void *sleep_on(void *unused)
{
    futex(&word, FUTEX_WAIT_PRIVATE, 1, NULL, NULL, 0);
    return unused;
}

static void *fail(void *unused)
{
    *(volatile int *)8 = 1;
    return unused;
}

/* One thread ends all: those that run, and those that sleep. */
static void ended_together(const char *what, void *(*by)(void *))
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        word = 1;
        pthread_create(&thread, NULL, stay, NULL);
        pthread_create(&thread, NULL, sleep_on, NULL);
        pthread_create(&thread, NULL, by, NULL);
        stay(NULL);
    }
    waitpid(child, &status, 0);
    printf("%s: %d, %d\n", what, WEXITSTATUS(status), WTERMSIG(status));
}

static void *end_later(void *status)
{
    struct timespec moment = {0, 2000000};
    futex(&other, FUTEX_WAIT_PRIVATE, other, &moment, NULL, 0);
    syscall(SYS_exit, (long)status);
    return NULL;
}

/* The first thread goes first: the status of the last one is what is told, when all have gone. */
static void first_goes_first(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, end_later, (void *)4L);
        syscall(SYS_exit, 3);
    }
    waitpid(child, &status, 0);
    printf("the first goes first: %d, %d\n", WEXITSTATUS(status), WTERMSIG(status));
}

static void created_many(void)
{
    long sum = 0;
    for (int i = 0; i < 300; i++) {
        pthread_t thread;
        void *value;
        if (pthread_create(&thread, NULL, see_own, NULL) == 0 && pthread_join(thread, &value) == 0) {
            sum += (long)value;
        }
    }
    printf("300 one after the other: %ld\n", sum);
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    mutexes();
    conditions();
    of_its_own();
    robust_locks();
    futex_errors();
    sleepers();
    ended_together("exit_group", end_all);
    ended_together("a fault", fail);
    first_goes_first();
    created_many();
    return 0;
}
