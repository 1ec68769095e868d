/* Crowds that sleep for one word, and a thread whose maker waits for it; for two kernels to be compared. */
#include "check.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#define CROWD  70
#define FEW    6
#define ALL    0x7fffffff
#define FIRST  1L
#define SECOND 2L

static volatile uint32_t word = 1;
static volatile uint32_t other = 1;
static volatile int child_is_done;

static long futex(volatile uint32_t *at, int operation, uint32_t value, long second, volatile uint32_t *to,
                  uint32_t last)
{
    return syscall(SYS_futex, at, operation | FUTEX_PRIVATE_FLAG, value, second, to, last);
}

static void *sleep_on_word(void *bits)
{
    return (void *)futex(&word, FUTEX_WAIT_BITSET, 1, 0, NULL, (uint32_t)(long)bits);
}

/* How many sleep for the word: they are moved to where they are. */
static long asleep(void)
{
    return futex(&word, FUTEX_CMP_REQUEUE, 0, ALL, &word, 1);
}

static void start(pthread_t *threads, int count, long bits, long all)
{
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (int i = 0; i < count; i++) {
        pthread_create(&threads[i], &small, sleep_on_word, (void *)bits);
    }
    while (asleep() != all) {
        sched_yield();
    }
}

static void crowds(void)
{
    pthread_t threads[CROWD + FEW];
    long sum = 0;
    start(threads, CROWD, FIRST, CROWD);
    start(threads + CROWD, FEW, SECOND, CROWD + FEW);
    TELL_EXACT(futex(&word, FUTEX_WAKE_BITSET, 2, 0, NULL, SECOND));
    TELL_EXACT(futex(&word, FUTEX_WAKE_BITSET, ALL, 0, NULL, SECOND));
    TELL_EXACT(futex(&word, FUTEX_WAKE_BITSET, ALL, 0, NULL, SECOND));
    TELL_EXACT(asleep());
    TELL_EXACT(futex(&word, FUTEX_CMP_REQUEUE, 3, 4, &other, 1));
    TELL_EXACT(futex(&other, FUTEX_WAKE, 2, 0, NULL, 0));
    TELL_EXACT(futex(&word, FUTEX_CMP_REQUEUE, 5, ALL, &other, 1));
    TELL_EXACT(asleep());
    TELL_EXACT(futex(&other, FUTEX_WAKE, 66, 0, NULL, 0));
    TELL_EXACT(futex(&other, FUTEX_WAKE, ALL, 0, NULL, 0));
    for (int i = 0; i < CROWD + FEW; i++) {
        void *result;
        pthread_join(threads[i], &result);
        sum += (long)result;
    }
    printf("all woke: %ld\n", sum);
}

static int end_late(void *unused)
{
    (void)unused;
    for (int i = 0; i < 2000; i++) {
        sched_yield();
    }
    child_is_done = 1;
    return 0;
}

static void thread_that_is_waited_for(void)
{
    const int flags =
        CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_VFORK;
    char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int number = clone(end_late, stack + 65536, flags, NULL);
    printf("a thread by vfork: %d, done %d\n", number > 0, child_is_done);
}

/* ---- Memory that has gone ---- */

static uint32_t *fresh_page(void)
{
    int file = memfd_create("page", 0);
    ftruncate(file, 4096);
    uint32_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    return page;
}

static void *sleep_on_page(void *page)
{
    return (void *)(syscall(SYS_futex, page, FUTEX_WAIT, 0, NULL, NULL, 0) == 0 ? 0L : (long)errno);
}

static pthread_t sleeper_on(uint32_t *page)
{
    pthread_t thread;
    pthread_create(&thread, NULL, sleep_on_page, page);
    while (syscall(SYS_futex, page, FUTEX_CMP_REQUEUE, 0, ALL, page, 0) < 1) {
        sched_yield();
    }
    return thread;
}

static void interrupt(int signal)
{
    (void)signal;
}

/* Who sleeps for a word of memory that has gone is not woken in place of one who sleeps for a new one, even
 * if the kernel keeps the new one where the old one was. */
static void of_memory_that_has_gone(void)
{
    enum { ROUNDS = 10 };
    const struct sigaction action = {.sa_handler = interrupt};
    int right = 0;
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        void *early = NULL;
        void *late = NULL;
        uint32_t *first = fresh_page();
        pthread_t left = sleeper_on(first);
        munmap(first, 4096);
        uint32_t *second = fresh_page();
        pthread_t meant = sleeper_on(second);
        struct timespec patience;
        clock_gettime(CLOCK_REALTIME, &patience);
        patience.tv_sec += 5;
        long woken = syscall(SYS_futex, second, FUTEX_WAKE, 1, NULL, NULL, 0);
        bool in_time = pthread_timedjoin_np(meant, &late, &patience) == 0;
        pthread_kill(left, SIGUSR1);
        pthread_join(left, &early);
        right += woken == 1 && in_time && late == NULL && (long)early == EINTR;
        munmap(second, 4096);
    }
    printf("woken was who sleeps for the new memory: %d of %d\n", right, ROUNDS);
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    crowds();
    of_memory_that_has_gone();
    thread_that_is_waited_for();
    return 0;
}
