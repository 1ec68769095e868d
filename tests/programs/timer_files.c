/* timerfd: what each call answers, for two kernels to be compared. */
#include "check.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>

#define SECOND      1000000000LL
#define MILLISECOND 1000000LL
#define BAD         ((void *)8)

static long long now_of(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * SECOND + time.tv_nsec;
}

static struct timespec of(long long nanoseconds)
{
    return (struct timespec){nanoseconds / SECOND, nanoseconds % SECOND};
}

static int set(int timer, int flags, long long value, long long interval)
{
    struct itimerspec setting = {of(interval), of(value)};
    return timerfd_settime(timer, flags, &setting, NULL);
}

static long long left(int timer, long long *interval)
{
    struct itimerspec setting = {{-1, -1}, {-1, -1}};
    TELL(timerfd_gettime(timer, &setting));
    if (interval) {
        *interval = setting.it_interval.tv_sec * SECOND + setting.it_interval.tv_nsec;
    }
    return setting.it_value.tv_sec * SECOND + setting.it_value.tv_nsec;
}

/* Reads once: the count, or an error with a minus. */
static long long read_from(int timer)
{
    unsigned long long count = 0;
    ssize_t got = read(timer, &count, sizeof count);
    return got == sizeof count ? (long long)count : -errno;
}

static int is_ready(int timer, int milliseconds)
{
    struct pollfd poll_one = {timer, POLLIN | POLLOUT, 0};
    int ready = poll(&poll_one, 1, milliseconds);
    return ready > 0 ? poll_one.revents : ready;
}

static void errors(void)
{
    struct itimerspec setting = {{0, 0}, {1, 0}};
    char small[7];
    TELL(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0));
    TELL(timerfd_create(CLOCK_MONOTONIC_RAW, 0));
    TELL(timerfd_create(99, 0));
    TELL(timerfd_create(CLOCK_MONOTONIC, 1));
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    TELL(timer);
    TELL_EXACT(fcntl(timer, F_GETFD));
    TELL_EXACT(fcntl(timer, F_GETFL));
    TELL_EXACT(read(timer, small, sizeof small));
    TELL_EXACT(read(timer, small, 0));
    TELL_EXACT(write(timer, small, 8));
    printf("nothing yet: %lld, %d\n", read_from(timer), is_ready(timer, 0));
    TELL(timerfd_settime(timer, 4, &setting, NULL));
    TELL(timerfd_settime(timer, 0, BAD, NULL));
    TELL(timerfd_settime(-1, 0, &setting, NULL));
    TELL(timerfd_settime(1, 0, &setting, NULL));
    TELL(timerfd_settime(timer, 0, &setting, BAD));
    static const struct itimerspec bad[] = {{{0, 0}, {0, SECOND}},
                                            {{0, 0}, {-1, 0}},
                                            {{0, SECOND}, {1, 0}},
                                            {{0, -1}, {1, 0}},
                                            {{-1, 0}, {1, 0}}};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        TELL(timerfd_settime(timer, 0, &bad[i], NULL));
    }
    TELL(timerfd_gettime(timer, BAD));
    TELL(timerfd_gettime(-1, &setting));
    TELL(timerfd_gettime(1, &setting));
    struct stat status;
    TELL(fstat(timer, &status));
    printf("mode %o, size %lld\n", status.st_mode, (long long)status.st_size);
    close(timer);
    TELL(timerfd_settime(timer, 0, &setting, NULL));
}

static void once(clockid_t clock)
{
    int timer = timerfd_create(clock, 0);
    long long interval;
    printf("disarmed: %lld\n", left(timer, &interval));
    long long before = now_of(clock);
    TELL(set(timer, 0, 20 * MILLISECOND, 0));
    long long rest = left(timer, &interval);
    printf("left: %d, interval %lld\n", rest <= 20 * MILLISECOND, interval);
    printf("read: %lld, %d\n", read_from(timer), now_of(clock) - before >= 20 * MILLISECOND);
    printf("over: %lld\n", left(timer, &interval));
    TELL(set(timer, TFD_TIMER_ABSTIME, now_of(clock) + 15 * MILLISECOND, 0));
    printf("poll: %d\n", is_ready(timer, 10000));
    printf("poll: %d\n", is_ready(timer, 0));
    printf("read: %lld\n", read_from(timer));
    TELL(set(timer, TFD_TIMER_ABSTIME, 1, 0));
    printf("long past: %lld\n", read_from(timer));
    TELL(set(timer, 0, 3600 * SECOND, 0));
    struct itimerspec before_setting;
    struct itimerspec none = {{0, 0}, {0, 0}};
    TELL(timerfd_settime(timer, 0, &none, &before_setting));
    printf("an hour: %d\n", before_setting.it_value.tv_sec >= 3500);
    fcntl(timer, F_SETFL, O_NONBLOCK);
    printf("disarmed: %lld, %d\n", read_from(timer), is_ready(timer, 30));
    close(timer);
}

static void often(void)
{
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    long long interval;
    long long begin = now_of(CLOCK_MONOTONIC);
    TELL(set(timer, 0, 5 * MILLISECOND, 5 * MILLISECOND));
    long long sum = 0;
    while (sum < 20) {
        sum += read_from(timer);
    }
    long long now = now_of(CLOCK_MONOTONIC);
    printf("as many as time has gone: %d\n", sum <= (now - begin) / (5 * MILLISECOND));
    usleep(40000);
    printf("left: %d", left(timer, &interval) <= 5 * MILLISECOND);
    printf(" of %lld\n", interval);
    printf("several at once: %d\n", read_from(timer) >= 7);
    TELL(set(timer, 0, 1, 1));
    usleep(1000);
    printf("very many: %d\n", read_from(timer) >= 1000000);
    TELL(set(timer, 0, LLONG_MAX, 0));
    printf("the longest: %d\n", is_ready(timer, 20));
    close(timer);
}

static int shared_timer;

static void *arm_it(void *unused)
{
    usleep(20000);
    set(shared_timer, 0, MILLISECOND, 0);
    return unused;
}

/* Somebody waits for a timer that another arms; and one that waits for ever is killed. */
static void waiting(void)
{
    pthread_t other;
    int status;
    shared_timer = timerfd_create(CLOCK_MONOTONIC, 0);
    pthread_create(&other, NULL, arm_it, NULL);
    printf("armed by another: %lld\n", read_from(shared_timer));
    pthread_join(other, NULL);
    pthread_create(&other, NULL, arm_it, NULL);
    printf("armed by another: %d\n", is_ready(shared_timer, 10000));
    pthread_join(other, NULL);
    read_from(shared_timer);
    pid_t child = fork();
    if (child == 0) {
        _exit((int)read_from(shared_timer));
    }
    usleep(10000);
    kill(child, SIGKILL);
    waitpid(child, &status, 0);
    printf("killed: %d\n", WTERMSIG(status));
    child = fork();
    if (child == 0) {
        _exit(set(shared_timer, 0, MILLISECOND, 0));
    }
    printf("armed by a child: %lld\n", read_from(shared_timer));
    waitpid(child, &status, 0);
    close(shared_timer);
}

/* Two hundred at once, each of which is ready in time and not before. */
#define MANY 200

static void many(void)
{
    static int timers[MANY];
    static long long when[MANY];
    int early = 0;
    int counted = 0;
    for (int i = 0; i < MANY; i++) {
        timers[i] = timerfd_create(CLOCK_MONOTONIC, 0);
        when[i] = now_of(CLOCK_MONOTONIC) + i * 7 % 40 * MILLISECOND;
        set(timers[i], TFD_TIMER_ABSTIME, when[i], 0);
    }
    for (int i = 0; i < MANY; i++) {
        counted += read_from(timers[i]) == 1;
        early += now_of(CLOCK_MONOTONIC) < when[i];
        close(timers[i]);
    }
    printf("many: %d, early %d\n", counted, early);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    errors();
    once(CLOCK_MONOTONIC);
    once(CLOCK_REALTIME);
    once(CLOCK_BOOTTIME);
    often();
    fflush(stdout);
    waiting();
    many();
    return 0;
}
