/* Timers by the time that threads have run, for two kernels to be compared. */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>

#define MILLISECOND 1000000L

static volatile sig_atomic_t signals;
static _Atomic(int) stop;
static _Atomic(long) number;

static void count(int signal)
{
    (void)signal;
    signals++;
}

static long long time_of(clockid_t clock)
{
    struct timespec time;
    return clock_gettime(clock, &time) == 0 ? time.tv_sec * 1000000000LL + time.tv_nsec : -1;
}

static long make(clockid_t clock, int *timer)
{
    struct sigevent event = {.sigev_signo = SIGUSR1, .sigev_notify = SIGEV_SIGNAL};
    return syscall(SYS_timer_create, clock, &event, timer);
}

static long set(int timer, int flags, long long nanoseconds, long interval)
{
    struct itimerspec value = {{0, interval}, {nanoseconds / 1000000000, nanoseconds % 1000000000}};
    return syscall(SYS_timer_settime, timer, flags, &value, NULL);
}

static clockid_t clock_of(long task, int kind)
{
    return (clockid_t)(~(unsigned)task << 3 | (unsigned)kind);
}

static void *run(void *unused)
{
    number = syscall(SYS_gettid);
    while (!stop) {
    }
    return unused;
}

static void own(void)
{
    int timer;
    long long begin = time_of(CLOCK_THREAD_CPUTIME_ID);
    TELL(make(CLOCK_THREAD_CPUTIME_ID, &timer));
    TELL(set(timer, 0, 5 * MILLISECOND, 0));
    while (!signals) {
    }
    printf("not too early: %d\n", time_of(CLOCK_THREAD_CPUTIME_ID) - begin >= 5 * MILLISECOND);
    signals = 0;
    TELL(set(timer, 1, time_of(CLOCK_THREAD_CPUTIME_ID) + 3 * MILLISECOND, 2 * MILLISECOND));
    while (signals < 4) {
    }
    TELL(set(timer, 0, 0, 0));
    signals = 0;
    TELL(syscall(SYS_timer_delete, timer));
}

static void of_another(void)
{
    int timer, later, none;
    pthread_t thread;
    struct itimerspec value;
    sigset_t set_of_one;
    sigemptyset(&set_of_one);
    sigaddset(&set_of_one, SIGUSR1);
    pthread_create(&thread, NULL, run, NULL);
    while (number == 0) {
    }
    TELL(make(clock_of(number, 6), &timer));
    TELL(make(clock_of(number, 4), &later));
    TELL(set(timer, 0, 5 * MILLISECOND, 0));
    TELL(set(later, 0, 3600000 * MILLISECOND, 0));
    pthread_sigmask(SIG_BLOCK, &set_of_one, NULL);
    while (!signals) {
        struct timespec moment = {0, MILLISECOND};
        nanosleep(&moment, NULL);
        sigset_t pending;
        sigpending(&pending);
        if (sigismember(&pending, SIGUSR1)) {
            break;
        }
    }
    printf("its time: %d\n", time_of(clock_of(number, 6)) >= 5 * MILLISECOND);
    pthread_sigmask(SIG_UNBLOCK, &set_of_one, NULL);
    printf("told: %d\n", signals == 1);
    struct timespec time = {0, 2 * MILLISECOND};
    TELL(clock_nanosleep(clock_of(number, 6), 0, &time, NULL));
    printf("oneself: %d, %d\n", clock_nanosleep(clock_of(0, 6), 0, &time, NULL),
           clock_nanosleep(clock_of(syscall(SYS_gettid), 6), 0, &time, NULL));
    stop = 1;
    pthread_join(thread, NULL);
    while (syscall(SYS_tgkill, getpid(), number, 0) == 0) { /* it may have a few steps to go */
        usleep(100);
    }
    TELL(syscall(SYS_timer_gettime, later, &value));
    printf("it has ended: %ld %ld\n", value.it_value.tv_sec, value.it_value.tv_nsec);
    TELL(set(later, 0, MILLISECOND, 0));
    TELL(make(clock_of(number, 6), &none));
    TELL(syscall(SYS_timer_delete, later));
    TELL(make(clock_of(number, 7), &none));
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    signal(SIGUSR1, count);
    own();
    of_another();
    pid_t child = fork(); /* with timers that run on the process's end */
    if (child == 0) {
        int timer;
        make(CLOCK_THREAD_CPUTIME_ID, &timer);
        set(timer, 0, 3600000 * MILLISECOND, 0);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    return 0;
}
