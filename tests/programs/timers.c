/* Timers that send signals: alarm, setitimer, getitimer, and those of timer_create; and each error of each
 * call. */
#include "check.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

static volatile int count;
static siginfo_t told;

static void keeps(int signal, siginfo_t *information, void *context)
{
    (void)signal;
    (void)context;
    told = *information;
    count++;
}

static void set(int signal, int flags)
{
    struct sigaction action = {.sa_sigaction = keeps, .sa_flags = flags | SA_SIGINFO};
    sigaction(signal, &action, NULL);
    count = 0;
    memset(&told, 0, sizeof told);
}

static void wait_for(int times)
{
    while (count < times) {
        poll(NULL, 0, 1000);
    }
}

static void errors(void)
{
    struct itimerval value = {{0, 0}, {0, 1000000}};
    struct itimerval good = {{0, 0}, {100, 0}};
    void *nowhere = (void *)8;
    TELL(syscall(SYS_setitimer, 0, &value, NULL));
    value = (struct itimerval){{0, -1}, {0, 0}};
    TELL(syscall(SYS_setitimer, 0, &value, NULL));
    value = (struct itimerval){{0, 0}, {-1, 0}};
    TELL(syscall(SYS_setitimer, 0, &value, NULL));
    TELL(syscall(SYS_setitimer, 3, &good, NULL));
    TELL(syscall(SYS_setitimer, 0, nowhere, NULL));
    TELL(syscall(SYS_setitimer, 0, &good, nowhere));
    TELL(syscall(SYS_getitimer, 3, &value));
    TELL(syscall(SYS_getitimer, 0, nowhere));
    TELL(syscall(SYS_setitimer, 0, NULL, NULL));
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
    int id = -1;
    TELL(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
    event.sigev_signo = 0;
    TELL(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
    event.sigev_signo = SIGUSR1;
    event.sigev_notify = 77;
    TELL(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
    event.sigev_notify = SIGEV_SIGNAL | 4;
    TELL(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id)); /* thread 0 */
    TELL(syscall(SYS_timer_create, 77, NULL, &id));
    TELL(syscall(SYS_timer_create, CLOCK_MONOTONIC_RAW, NULL, &id));
    TELL(syscall(SYS_timer_create, CLOCK_MONOTONIC, nowhere, &id));
    TELL(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, nowhere));
    struct itimerspec time = {{0, 0}, {0, 1000000000}};
    TELL(syscall(SYS_timer_settime, 5, 0, NULL, NULL));
    TELL(syscall(SYS_timer_settime, 5, 0, nowhere, NULL));
    TELL(syscall(SYS_timer_settime, 5, 0, &time, NULL));
    time.it_value.tv_nsec = 0;
    TELL(syscall(SYS_timer_settime, 5, 0, &time, NULL));
    TELL(syscall(SYS_timer_gettime, 5, &time));
    TELL(syscall(SYS_timer_getoverrun, 5));
    TELL(syscall(SYS_timer_delete, 5));
}

static void intervals(void)
{
    struct itimerval value;
    set(SIGALRM, 0);
    TELL_EXACT(alarm(100));
    TELL_EXACT(alarm(0));
    TELL_EXACT(alarm(0));
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 5000}, {0, 1000}}, NULL);
    wait_for(5);
    printf("alarms: signal %d code %d\n", told.si_signo, told.si_code);
    getitimer(ITIMER_REAL, &value);
    printf("interval %ld, left %d\n", (long)value.it_interval.tv_usec, value.it_value.tv_sec == 0);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, &value);
    printf("interval %ld\n", (long)value.it_interval.tv_usec);
    getitimer(ITIMER_REAL, &value);
    printf("off: %ld %ld %ld\n", (long)value.it_interval.tv_usec, (long)value.it_value.tv_sec,
           (long)value.it_value.tv_usec);
    set(SIGPROF, SA_RESTART);
    setitimer(ITIMER_PROF, &(struct itimerval){{0, 10000}, {0, 10000}}, NULL);
    while (count < 3) {
    }
    setitimer(ITIMER_PROF, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    printf("profile: signal %d code %d\n", told.si_signo, told.si_code);
    set(SIGVTALRM, SA_RESTART);
    setitimer(ITIMER_VIRTUAL, &(struct itimerval){{0, 0}, {0, 10000}}, NULL);
    while (count < 1) {
    }
    printf("virtual: signal %d code %d\n", told.si_signo, told.si_code);
    set(SIGALRM, 0);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 5000}, {0, 5000}},
              NULL); /* one may come before the wait */
    TELL(poll(NULL, 0, 100000));
    alarm(50);
    pid_t child = fork();
    if (child == 0) {
        printf("child: %u\n", alarm(0));
        alarm(0);
        signal(SIGALRM, SIG_DFL);
        setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 1000}}, NULL);
        for (;;) {
            pause();
        }
    }
    int status;
    waitpid(child, &status, 0);
    printf("child ended by %d, still %d\n", WTERMSIG(status), alarm(0) > 0);
}

static void made(void)
{
    timer_t one;
    timer_t other;
    struct sigevent event = {
        .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_int = 42};
    struct itimerspec value = {{0, 0}, {0, 1000000}};
    set(SIGRTMIN, 0);
    TELL(timer_create(CLOCK_MONOTONIC, &event, &one));
    TELL(timer_settime(one, 0, &value, NULL));
    wait_for(1);
    printf("made: signal %d code %d value %d overrun %d\n", told.si_signo, told.si_code,
           told.si_value.sival_int, told.si_overrun);
    TELL(timer_gettime(one, &value));
    printf("off: %ld %ld\n", (long)value.it_value.tv_sec, value.it_value.tv_nsec);
    set(SIGALRM, 0);
    TELL(timer_create(CLOCK_REALTIME, NULL, &other));
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    value = (struct itimerspec){{0, 0}, {now.tv_sec, now.tv_nsec}};
    TELL(timer_settime(one, TIMER_ABSTIME, &value, NULL));
    value = (struct itimerspec){{0, 0}, {0, 2000000}};
    TELL(timer_settime(other, 0, &value, NULL));
    wait_for(1);
    while (told.si_signo != SIGALRM) {
        poll(NULL, 0, 1000);
    }
    printf("by default: signal %d code %d\n", told.si_signo, told.si_code);
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    set(SIGRTMIN, 0);
    value = (struct itimerspec){{0, 1000000}, {0, 1000000}};
    TELL(timer_settime(one, 0, &value, NULL));
    poll(NULL, 0, 30);
    sigprocmask(SIG_UNBLOCK, &mask, NULL);
    wait_for(1);
    printf("overrun: some %d\n", told.si_overrun > 5 || timer_getoverrun(one) > 5 || count > 1);
    value = (struct itimerspec){{0, 0}, {0, 0}};
    TELL(timer_settime(one, 0, &value, &value));
    printf("interval %ld\n", value.it_interval.tv_nsec);
    TELL(timer_delete(one));
    TELL(timer_delete(one));
    TELL(timer_gettime(one, &value));
    TELL(timer_delete(other));
    struct sigevent none = {.sigev_notify = SIGEV_NONE};
    TELL(timer_create(CLOCK_MONOTONIC, &none, &one));
    value = (struct itimerspec){{0, 0}, {100, 0}};
    TELL(timer_settime(one, 0, &value, NULL));
    TELL(timer_gettime(one, &value));
    printf("left %d\n", value.it_value.tv_sec >= 90);
    struct sigevent by_time = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    set(SIGUSR1, SA_RESTART);
    TELL(timer_create(CLOCK_PROCESS_CPUTIME_ID, &by_time, &other));
    value = (struct itimerspec){{0, 0}, {0, 5000000}};
    TELL(timer_settime(other, 0, &value, NULL));
    while (count < 1) {
    }
    printf("of running time: signal %d code %d\n", told.si_signo, told.si_code);
    int id;
    struct sigevent here = {.sigev_notify = SIGEV_SIGNAL | 4, .sigev_signo = SIGUSR2};
    ((int *)&here)[4] = (int)syscall(SYS_gettid);
    set(SIGUSR2, 0);
    TELL(syscall(SYS_timer_create, CLOCK_BOOTTIME, &here, &id));
    value = (struct itimerspec){{0, 0}, {0, 1000000}};
    TELL(syscall(SYS_timer_settime, id, 0, &value, NULL));
    wait_for(1);
    printf("to a thread: signal %d code %d\n", told.si_signo, told.si_code);
}

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Whether this process has at least three quarters of the time that goes by meanwhile. */
static int has_the_time(void)
{
    double began = now(CLOCK_MONOTONIC);
    double own = now(CLOCK_PROCESS_CPUTIME_ID);
    while (now(CLOCK_MONOTONIC) - began < 0.1) {
    }
    return now(CLOCK_PROCESS_CPUTIME_ID) - own > (now(CLOCK_MONOTONIC) - began) * 0.75;
}

/* Some tries, since whatever else runs here has its time, too. */
static int has_the_time_once(void)
{
    for (int i = 0; i < 50; i++) {
        if (has_the_time()) {
            return 1;
        }
    }
    return 0;
}

/* Timers that expire each microsecond, of which nobody hears, cost next to nothing. */
static void unheard(void)
{
    const struct itimerval often = {{0, 1}, {0, 1}};
    const struct itimerval never = {{0, 0}, {0, 0}};
    const struct itimerspec made_often = {{0, 1}, {0, 1}};
    struct sigevent none = {.sigev_notify = SIGEV_NONE};
    struct itimerspec left;
    timer_t timer;
    sigset_t alarms;
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    sigprocmask(SIG_BLOCK, &alarms, NULL);
    set(SIGALRM, 0);
    setitimer(ITIMER_REAL, &often, NULL);
    printf("masked: %d\n", has_the_time_once());
    setitimer(ITIMER_REAL, &never, NULL);
    sigprocmask(SIG_UNBLOCK, &alarms, NULL);
    printf("came %d\n", count);
    signal(SIGALRM, SIG_IGN);
    setitimer(ITIMER_REAL, &often, NULL);
    printf("ignored: %d\n", has_the_time_once());
    setitimer(ITIMER_REAL, &never, NULL);
    timer_create(CLOCK_MONOTONIC, &none, &timer);
    timer_settime(timer, 0, &made_often, NULL);
    printf("told to nobody: %d\n", has_the_time_once());
    timer_settime(timer, 0, &(struct itimerspec){{10, 0}, {0, 1}}, NULL);
    usleep(1000);
    timer_gettime(timer, &left);
    printf("of ten seconds are left: %ld\n", (long)left.it_value.tv_sec);
    timer_delete(timer);
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    errors();
    intervals();
    made();
    unheard();
    return 0;
}
