/* Clocks, sleeping, and what processes and threads have used: what each call answers, for two kernels to be
 * compared. */
#include "check.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>

#define SECOND      1000000000LL
#define MILLISECOND 1000000LL
#define BAD         ((void *)8)

static volatile unsigned long sink;

/* By the call itself: the C library may read the clock without one. */
static long long now_of(clockid_t clock)
{
    struct timespec time = {-1, -1};
    if (syscall(SYS_clock_gettime, clock, &time) != 0) {
        return -1;
    }
    return time.tv_sec * SECOND + time.tv_nsec;
}

static void burn(long long nanoseconds)
{
    long long end = now_of(CLOCK_THREAD_CPUTIME_ID) + nanoseconds;
    while (now_of(CLOCK_THREAD_CPUTIME_ID) < end) {
        for (unsigned i = 0; i < 1000; i++) {
            sink += i;
        }
    }
}

/* ---- Reading clocks ---- */

static void reading(void)
{
    static const clockid_t clocks[] = {CLOCK_REALTIME,          CLOCK_MONOTONIC,     CLOCK_PROCESS_CPUTIME_ID,
                                       CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE,
                                       CLOCK_MONOTONIC_COARSE,  CLOCK_BOOTTIME,      CLOCK_TAI};
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        struct timespec time = {-1, -1};
        long long first = now_of(clocks[i]);
        long long second = now_of(clocks[i]);
        printf("clock %d: %d %d\n", (int)clocks[i], first >= 0, second >= first);
        TELL(syscall(SYS_clock_getres, clocks[i], NULL));
        TELL(syscall(SYS_clock_getres, clocks[i], BAD));
        TELL(syscall(SYS_clock_gettime, clocks[i], BAD));
        TELL(syscall(SYS_clock_getres, clocks[i], &time));
        printf("%d\n", time.tv_sec == 0 && time.tv_nsec > 0 && time.tv_nsec < 100 * MILLISECOND);
    }
    struct timespec time;
    TELL(syscall(SYS_clock_gettime, 10, &time));
    TELL(syscall(SYS_clock_gettime, 12, &time));
    TELL(syscall(SYS_clock_gettime, 99, &time));
    TELL(syscall(SYS_clock_gettime, -1, &time));
    TELL(syscall(SYS_clock_getres, 99, NULL));
    TELL(syscall(SYS_clock_settime, CLOCK_MONOTONIC, &time));
    TELL(syscall(SYS_clock_settime, CLOCK_PROCESS_CPUTIME_ID, &time));
    TELL(syscall(SYS_clock_settime, 99, &time));
    TELL(syscall(SYS_clock_settime, CLOCK_REALTIME, BAD));
    time = (struct timespec){1, SECOND};
    TELL(syscall(SYS_clock_settime, CLOCK_REALTIME, &time));
    time = (struct timespec){-1, 0};
    TELL(syscall(SYS_clock_settime, CLOCK_REALTIME, &time));
}

static void agreeing(void)
{
    struct timeval day = {-1, -1};
    struct timezone zone = {-1, -1};
    long long before = now_of(CLOCK_REALTIME);
    TELL(syscall(SYS_gettimeofday, &day, &zone));
    long long after = now_of(CLOCK_REALTIME);
    long long middle = day.tv_sec * SECOND + day.tv_usec * 1000;
    printf("gettimeofday: %d %d\n", middle >= before / 1000 * 1000, middle <= after);
    TELL(syscall(SYS_gettimeofday, NULL, NULL));
    TELL(syscall(SYS_gettimeofday, BAD, NULL));
    TELL(syscall(SYS_gettimeofday, NULL, BAD));
    time_t seconds = 0;
    before = now_of(CLOCK_REALTIME);
    time_t answer = syscall(SYS_time, &seconds);
    after = now_of(CLOCK_REALTIME);
    printf("time: %d %d %d\n", answer == seconds, answer >= before / SECOND - 1, answer <= after / SECOND);
    TELL(syscall(SYS_time, BAD));
    printf("after 2025: %d\n", seconds > 1735689600);
    day = (struct timeval){0, 1000001};
    TELL(syscall(SYS_settimeofday, &day, NULL));
    day = (struct timeval){-1, 0};
    TELL(syscall(SYS_settimeofday, &day, NULL));
    TELL(syscall(SYS_settimeofday, BAD, NULL));
    TELL(syscall(SYS_settimeofday, NULL, BAD));
}

/* ---- Clocks of processes and threads ---- */

static pid_t other_thread;
static volatile int other_goes = 1;

static void *be_the_other(void *unused)
{
    __atomic_store_n(&other_thread, (pid_t)syscall(SYS_gettid), __ATOMIC_SEQ_CST);
    while (other_goes) {
        sched_yield();
    }
    return unused;
}

#define PROCESS_CLOCK(number, kind) ((clockid_t)(~(unsigned)(number) << 3 | (kind)))

static void cpu_clocks(void)
{
    long long process = now_of(CLOCK_PROCESS_CPUTIME_ID);
    long long thread = now_of(CLOCK_THREAD_CPUTIME_ID);
    burn(20 * MILLISECOND);
    printf("burnt: %d %d\n", now_of(CLOCK_PROCESS_CPUTIME_ID) - process >= 20 * MILLISECOND,
           now_of(CLOCK_THREAD_CPUTIME_ID) - thread >= 20 * MILLISECOND);
    thread = now_of(CLOCK_THREAD_CPUTIME_ID);
    usleep(200000);
    printf("slept, not run: %d\n", now_of(CLOCK_THREAD_CPUTIME_ID) - thread < 150 * MILLISECOND);
    for (unsigned kind = 0; kind < 4; kind++) {
        printf("own, kind %u: %d\n", kind, now_of(PROCESS_CLOCK(getpid(), kind)) >= 0);
        printf("0, kind %u: %d\n", kind, now_of(PROCESS_CLOCK(0, kind)) >= 0);
        printf("thread, kind %u: %d\n", kind, now_of(PROCESS_CLOCK(syscall(SYS_gettid), kind | 4)) >= 0);
    }
    printf("nobody's: %lld\n", now_of(PROCESS_CLOCK(99999999, 2)));
    printf("the first process's as a thread's: %lld\n", now_of(PROCESS_CLOCK(1 << 20, 6)));
    struct timespec time = {0, 0};
    TELL(syscall(SYS_clock_settime, PROCESS_CLOCK(getpid(), 2), &time));
    pthread_t other;
    pthread_create(&other, NULL, be_the_other, NULL);
    while (__atomic_load_n(&other_thread, __ATOMIC_SEQ_CST) == 0) {
        sched_yield();
    }
    printf("another thread's: %d\n", now_of(PROCESS_CLOCK(other_thread, 6)) >= 0);
    printf("a thread's as a process's: %lld\n", now_of(PROCESS_CLOCK(other_thread, 2)));
    long long before = now_of(CLOCK_PROCESS_CPUTIME_ID);
    time = (struct timespec){0, 30 * MILLISECOND};
    TELL(syscall(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0, &time, NULL));
    printf("by the other's time: %d\n", now_of(CLOCK_PROCESS_CPUTIME_ID) - before >= 30 * MILLISECOND);
    other_goes = 0;
    pthread_join(other, NULL);
    printf("its time is kept: %d\n", now_of(CLOCK_PROCESS_CPUTIME_ID) >= before + 30 * MILLISECOND);
    pid_t child = fork();
    if (child == 0) {
        _exit(now_of(CLOCK_PROCESS_CPUTIME_ID) < before);
    }
    int status;
    waitpid(child, &status, 0);
    printf("a child begins at nothing: %d\n", WEXITSTATUS(status));
}

/* ---- Sleeping ---- */

static void sleep_by(clockid_t clock, int flags)
{
    long long before = now_of(clock);
    long long wanted = before + 15 * MILLISECOND;
    struct timespec time = {0, 15 * MILLISECOND};
    struct timespec left = {77, 77};
    if (flags & TIMER_ABSTIME) {
        time = (struct timespec){wanted / SECOND, wanted % SECOND};
    }
    long answer = syscall(SYS_clock_nanosleep, clock, flags, &time, &left);
    printf("clock %d, flags %d: %ld (%d); %d; left %d\n", (int)clock, flags, answer, answer ? errno : 0,
           answer != 0 || now_of(clock) >= wanted, (int)left.tv_sec);
}

static void sleeping(void)
{
    static const clockid_t clocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI};
    for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        sleep_by(clocks[i], 0);
        sleep_by(clocks[i], TIMER_ABSTIME);
    }
    sleep_by(CLOCK_MONOTONIC, 2); /* flags without meaning */
    struct timespec time = {0, 1};
    static const clockid_t unfit[] = {
        CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, 10, 99};
    for (unsigned i = 0; i < sizeof unfit / sizeof *unfit; i++) {
        TELL(syscall(SYS_clock_nanosleep, unfit[i], 0, &time, NULL));
        TELL(syscall(SYS_clock_nanosleep, unfit[i], 0, BAD, NULL));
    }
    TELL(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, BAD, NULL));
    TELL(syscall(SYS_nanosleep, BAD, NULL));
    static const struct timespec bad[] = {{0, SECOND}, {0, -1}, {-1, 0}, {LONG_MIN, 0}, {0, LONG_MAX}};
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        TELL(syscall(SYS_nanosleep, &bad[i], NULL));
        TELL(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &bad[i], NULL));
    }
    time = (struct timespec){0, 0};
    TELL(syscall(SYS_nanosleep, &time, BAD));
    time = (struct timespec){0, MILLISECOND};
    TELL(syscall(SYS_nanosleep, &time, BAD)); /* nothing is written when nothing interrupts it */
    time = (struct timespec){1, 0};
    TELL(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL)); /* long past */
    time = (struct timespec){0, 0};
    TELL(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &time, NULL));
}

/* One that would sleep for ever is killed, and so is one that sleeps till the clock ends. */
static void killed(void)
{
    static const struct timespec longest = {LONG_MAX, SECOND - 1};
    for (int absolute = 0; absolute < 2; absolute++) {
        for (clockid_t clock = CLOCK_REALTIME; clock <= CLOCK_MONOTONIC; clock++) {
            pid_t child = fork();
            if (child == 0) {
                _exit((int)syscall(SYS_clock_nanosleep, clock, absolute ? TIMER_ABSTIME : 0, &longest, NULL));
            }
            usleep(20000);
            int status;
            printf("still there: %d\n", waitpid(child, &status, WNOHANG));
            kill(child, SIGKILL);
            waitpid(child, &status, 0);
            printf("killed: %d\n", WTERMSIG(status));
        }
    }
}

/* Hundreds at once, each of which wakes when its time has come and not before. */
#define SLEEPERS 200

static void *sleep_some(void *argument)
{
    long number = (long)argument;
    long long before = now_of(CLOCK_MONOTONIC);
    struct timespec time = {0, (number * 37 % 50 + 1) * MILLISECOND};
    long answer = syscall(SYS_nanosleep, &time, NULL);
    return (void *)(long)(answer == 0 && now_of(CLOCK_MONOTONIC) - before >= time.tv_nsec);
}

static void many_sleepers(void)
{
    static pthread_t threads[SLEEPERS];
    pthread_attr_t small;
    long right = 0;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (long i = 0; i < SLEEPERS; i++) {
        pthread_create(&threads[i], &small, sleep_some, (void *)i);
    }
    for (long i = 0; i < SLEEPERS; i++) {
        void *answer;
        pthread_join(threads[i], &answer);
        right += (long)answer;
    }
    printf("sleepers: %ld\n", right);
}

/* ---- What was used ---- */

static long long of(struct timeval time)
{
    return time.tv_sec * SECOND + time.tv_usec * 1000;
}

static struct rusage used_by(int who)
{
    struct rusage usage;
    memset(&usage, 0xff, sizeof usage);
    if (getrusage(who, &usage) != 0) {
        printf("getrusage: error %d\n", errno);
    }
    return usage;
}

static void call_much(void)
{
    long long end = now_of(CLOCK_THREAD_CPUTIME_ID) + 60 * MILLISECOND;
    while (now_of(CLOCK_THREAD_CPUTIME_ID) < end) {
        void *pages =
            mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        munmap(pages, 1 << 20);
    }
}

static void think_much(void)
{
    long long end = now_of(CLOCK_THREAD_CPUTIME_ID) + 60 * MILLISECOND;
    while (now_of(CLOCK_THREAD_CPUTIME_ID) < end) {
        for (unsigned i = 0; i < 200000; i++) {
            sink += i;
        }
    }
}

/* Who thinks uses user time, and who calls system time: soon, if not at once, as a computer that has other
 * things to do may count its own time to either. */
static int uses_more(int who, void (*use)(void), int system)
{
    struct rusage before = used_by(who);
    for (unsigned rounds = 0; rounds < 50; rounds++) {
        use();
        struct rusage after = used_by(who);
        long long user_time = of(after.ru_utime) - of(before.ru_utime);
        long long system_time = of(after.ru_stime) - of(before.ru_stime);
        if (system ? system_time > user_time : user_time > system_time) {
            return 1;
        }
    }
    return 0;
}

static void told_apart(int who)
{
    int thinking = uses_more(who, think_much, 0);
    int calling = uses_more(who, call_much, 1);
    printf("thinking: %d; calling: %d\n", thinking, calling);
}

static void usage(void)
{
    static volatile char pages[64 * 4096];
    told_apart(RUSAGE_SELF);
    told_apart(RUSAGE_THREAD);
    struct rusage before = used_by(RUSAGE_SELF);
    struct rusage thread = used_by(RUSAGE_THREAD);
    for (size_t i = 0; i < sizeof pages; i += 4096) {
        pages[i] = 1;
    }
    struct rusage after = used_by(RUSAGE_SELF);
    struct rusage thread_after = used_by(RUSAGE_THREAD);
    printf("faults: %d %d\n", after.ru_minflt - before.ru_minflt >= 60,
           thread_after.ru_minflt - thread.ru_minflt >= 60);
    printf("resident: %d %d\n", after.ru_maxrss >= 256, after.ru_maxrss < 1000000);
    struct rusage children = used_by(RUSAGE_CHILDREN);
    pid_t child = fork();
    if (child == 0) {
        burn(30 * MILLISECOND);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    struct rusage children_after = used_by(RUSAGE_CHILDREN);
    printf("children: %d %d\n",
           of(children_after.ru_utime) + of(children_after.ru_stime) - of(children.ru_utime) -
                   of(children.ru_stime) >=
               25 * MILLISECOND,
           children_after.ru_maxrss > 0);
    TELL(getrusage(2, &before));
    TELL(getrusage(-2, &before));
    TELL(syscall(SYS_getrusage, RUSAGE_SELF, NULL));
    TELL(syscall(SYS_getrusage, RUSAGE_SELF, BAD));
    struct tms ticks;
    clock_t first = times(&ticks);
    printf("times: %d %d %d\n", ticks.tms_utime + ticks.tms_stime >= 10,
           ticks.tms_cutime + ticks.tms_cstime >= 2, first > 0);
    usleep(30000);
    printf("ticks: %d\n", times(NULL) - first >= 2);
    TELL(syscall(SYS_times, BAD));
}

/* A file's times are times of day. */
static void files(void)
{
    const char *name = "/tmp/clocks of a file";
    struct stat status;
    mkdir("/tmp", 0777);
    int file = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    long long before = now_of(CLOCK_REALTIME);
    TELL(write(file, "x", 1));
    fstat(file, &status);
    long long written = status.st_mtim.tv_sec * SECOND + status.st_mtim.tv_nsec;
    printf("a file: %d %d\n", written >= before - 20 * MILLISECOND, written <= now_of(CLOCK_REALTIME));
    close(file);
    unlink(name);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    reading();
    agreeing();
    cpu_clocks();
    sleeping();
    fflush(stdout);
    killed();
    many_sleepers();
    usage();
    files();
    return 0;
}
