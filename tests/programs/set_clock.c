/* Sets the time of day, and tells what follows from it. No Linux that somebody uses is asked for that. */
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <time.h>

#define SECOND 1000000000LL
#define DAY    86400

static long long now_of(clockid_t clock)
{
    struct timespec time;
    if (syscall(SYS_clock_gettime, clock, &time) != 0) {
        return -1;
    }
    return time.tv_sec * SECOND + time.tv_nsec;
}

static void expect(int holds, const char *what)
{
    if (!holds) {
        printf("wrong: %s\n", what);
        exit(1);
    }
}

#define EXPECT(condition) expect(condition, #condition)

static int set(time_t seconds)
{
    struct timespec time = {seconds, 0};
    return clock_settime(CLOCK_REALTIME, &time);
}

static time_t tomorrow;

static void *sleep_till_tomorrow(void *unused)
{
    struct timespec time = {tomorrow, 0};
    EXPECT(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &time, NULL) == 0);
    EXPECT(now_of(CLOCK_REALTIME) >= tomorrow * SECOND);
    return unused;
}

static int timer_at(time_t when, int flags)
{
    int timer = timerfd_create(CLOCK_REALTIME, 0);
    struct itimerspec setting = {{0, 0}, {when, 0}};
    EXPECT(timerfd_settime(timer, TFD_TIMER_ABSTIME | flags, &setting, NULL) == 0);
    return timer;
}

static int becomes_ready(int timer, int milliseconds)
{
    struct pollfd one = {timer, POLLIN, 0};
    return poll(&one, 1, milliseconds);
}

static volatile sig_atomic_t alarmed;

static void note_alarm(int signal)
{
    alarmed = signal;
}

static void sleepers_follow(void)
{
    pthread_t sleeper;
    unsigned long long count;
    tomorrow = time(NULL) + DAY;
    signal(SIGALRM, note_alarm);
    int timer = timer_at(tomorrow, 0);
    timer_t by_signal, relative;
    struct itimerspec setting = {{0, 0}, {tomorrow, 0}}, left;
    EXPECT(timer_create(CLOCK_REALTIME, NULL, &by_signal) == 0);
    EXPECT(timer_settime(by_signal, TIMER_ABSTIME, &setting, NULL) == 0);
    setting.it_value.tv_sec = DAY / 2;
    EXPECT(timer_create(CLOCK_REALTIME, NULL, &relative) == 0);
    EXPECT(timer_settime(relative, 0, &setting, NULL) == 0);
    int cancelled = timer_at(tomorrow + DAY, TFD_TIMER_CANCEL_ON_SET);
    pthread_create(&sleeper, NULL, sleep_till_tomorrow, NULL);
    usleep(20000);
    EXPECT(becomes_ready(timer, 0) == 0 && becomes_ready(cancelled, 0) == 0);
    long long monotonic = now_of(CLOCK_MONOTONIC);
    EXPECT(set(tomorrow) == 0);
    EXPECT(now_of(CLOCK_MONOTONIC) - monotonic < DAY * SECOND / 2);
    EXPECT(becomes_ready(timer, 60000) == 1);
    while (!alarmed) {
        usleep(1000);
    }
    EXPECT(timer_gettime(by_signal, &left) == 0 && left.it_value.tv_sec == 0);
    EXPECT(timer_gettime(relative, &left) == 0 && left.it_value.tv_sec > DAY / 4);
    timer_delete(by_signal);
    timer_delete(relative);
    EXPECT(read(timer, &count, sizeof count) == 8 && count == 1);
    EXPECT(becomes_ready(cancelled, 60000) == 1);
    EXPECT(read(cancelled, &count, sizeof count) == -1 && errno == ECANCELED);
    EXPECT(becomes_ready(cancelled, 0) == 0);
    pthread_join(sleeper, NULL);
    close(timer);
    close(cancelled);
}

int main(void)
{
    struct stat status;
    struct timeval day = {1000000000, 5};
    EXPECT(now_of(CLOCK_REALTIME) > 1735689600 * SECOND); /* 2025: from the firmware */
    EXPECT(set(2000000000) == 0);
    EXPECT(time(NULL) - 2000000000 < 1000);
    EXPECT(mkdir("/tmp", 0777) == 0 || errno == EEXIST);
    EXPECT(mkdir("/tmp/day", 0777) == 0 && stat("/tmp/day", &status) == 0 && rmdir("/tmp/day") == 0);
    EXPECT(status.st_mtime >= 2000000000 && status.st_mtime < 2000001000);
    EXPECT(settimeofday(&day, NULL) == 0 && time(NULL) - 1000000000 < 1000);
    EXPECT(set(0) == -1 && errno == EINVAL); /* before the machine was started */
    EXPECT(time(NULL) - 1000000000 < 1000);
    sleepers_follow();
    printf("the time was set\n");
    return 0;
}
