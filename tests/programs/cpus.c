/* CPUs, scheduling, and what is told of the system: what each call answers, for two kernels to be compared.
 */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#define BAD   ((void *)8)
#define WORDS 16

static unsigned long allowed[WORDS];
static int words; /* that getaffinity() answers */

static int first_cpu(const unsigned long *set)
{
    int cpu = 0;
    while (!(set[cpu / 64] >> cpu % 64 & 1)) {
        cpu++;
    }
    return cpu;
}

static int last_cpu(const unsigned long *set)
{
    int cpu = WORDS * 64 - 1;
    while (!(set[cpu / 64] >> cpu % 64 & 1)) {
        cpu--;
    }
    return cpu;
}

static int here(void)
{
    unsigned cpu;
    syscall(SYS_getcpu, &cpu, NULL, NULL);
    return (int)cpu;
}

static void only(unsigned long *set, int cpu)
{
    memset(set, 0, WORDS * sizeof *set);
    set[cpu / 64] = 1UL << cpu % 64;
}

/* Runs a while, and sleeps in between; whether it was always on that CPU. */
static int stays_on(int cpu)
{
    int right = 1;
    for (int i = 0; i < 200; i++) {
        right = right && here() == cpu;
        if (i % 40 == 0) {
            usleep(1000);
        }
        sched_yield();
    }
    return right;
}

static void affinity_errors(void)
{
    unsigned long none[WORDS] = {0};
    TELL(words = (int)syscall(SYS_sched_getaffinity, 0, sizeof allowed, allowed));
    printf("some: %d\n", words > 0 && words % 8 == 0);
    TELL(syscall(SYS_sched_getaffinity, 0, 0, allowed));
    TELL(syscall(SYS_sched_getaffinity, 0, sizeof allowed - 1, allowed));
    TELL(syscall(SYS_sched_getaffinity, 0, sizeof allowed, BAD));
    TELL(syscall(SYS_sched_getaffinity, 99999999, sizeof allowed, allowed));
    TELL(syscall(SYS_sched_setaffinity, 0, sizeof none, none));
    TELL(syscall(SYS_sched_setaffinity, 0, 0, allowed));
    TELL(syscall(SYS_sched_setaffinity, 0, sizeof none, BAD));
    TELL(syscall(SYS_sched_setaffinity, 99999999, sizeof allowed, allowed));
    none[WORDS - 1] = 1UL << 63;
    TELL(syscall(SYS_sched_setaffinity, 0, sizeof none, none)); /* none that is there */
}

static volatile int goes_on = 1;
static pid_t _Atomic number_of_other;

static void *spin(void *unused)
{
    number_of_other = (pid_t)syscall(SYS_gettid);
    while (goes_on) {
        here();
    }
    return unused;
}

static int _Atomic moved_to;

static void *sleep_and_look(void *unused)
{
    number_of_other = (pid_t)syscall(SYS_gettid);
    while (goes_on) {
        usleep(500);
        moved_to = here();
    }
    return unused;
}

/* Another thread, which runs or sleeps, goes where it is told. */
static void move_another(void *(*entry)(void *unused), const char *what)
{
    unsigned long set[WORDS];
    pthread_t other;
    int right = 1;
    goes_on = 1;
    number_of_other = 0;
    pthread_create(&other, NULL, entry, NULL);
    while (number_of_other == 0) {
        sched_yield();
    }
    for (int i = 0; i < 20; i++) {
        int cpu = i % 2 ? first_cpu(allowed) : last_cpu(allowed);
        only(set, cpu);
        right = right && syscall(SYS_sched_setaffinity, number_of_other, sizeof set, set) == 0;
        memset(set, 0, sizeof set);
        right = right && syscall(SYS_sched_getaffinity, number_of_other, sizeof set, set) > 0;
        right = right && first_cpu(set) == cpu && last_cpu(set) == cpu;
        if (entry == sleep_and_look) {
            for (int news = 0; news < 2; news++) { /* the first may be from before the move */
                moved_to = -1;
                while (moved_to == -1) {
                    usleep(500);
                }
            }
            right = right && moved_to == cpu;
        }
    }
    goes_on = 0;
    pthread_join(other, NULL);
    printf("another that %s: %d\n", what, right);
}

static void affinity(void)
{
    unsigned long set[WORDS];
    int right = 1;
    for (int i = 0; i < 6; i++) {
        int cpu = i % 2 ? first_cpu(allowed) : last_cpu(allowed);
        only(set, cpu);
        right = right && syscall(SYS_sched_setaffinity, 0, sizeof set, set) == 0 && here() == cpu &&
                stays_on(cpu);
    }
    printf("stays where it was told: %d\n", right);
    pid_t child = fork();
    if (child == 0) {
        memset(set, 0, sizeof set);
        syscall(SYS_sched_getaffinity, 0, sizeof set, set);
        _exit(first_cpu(set) == first_cpu(allowed) && last_cpu(set) == first_cpu(set) &&
              stays_on(first_cpu(set)));
    }
    int status;
    waitpid(child, &status, 0);
    printf("so does its child: %d\n", WEXITSTATUS(status));
    TELL(syscall(SYS_sched_setaffinity, 0, sizeof allowed, allowed));
    move_another(spin, "runs");
    move_another(sleep_and_look, "sleeps");
}

static void policies(void)
{
    struct sched_param parameter = {77};
    struct timespec interval = {-1, -1};
    TELL_EXACT(sched_getscheduler(0));
    TELL_EXACT(sched_getscheduler(-1));
    TELL_EXACT(sched_getscheduler(99999999));
    TELL_EXACT(sched_getparam(0, &parameter));
    printf("priority %d\n", parameter.sched_priority);
    TELL_EXACT(syscall(SYS_sched_getparam, 0, NULL));
    TELL_EXACT(syscall(SYS_sched_getparam, 0, BAD));
    TELL_EXACT(sched_getparam(-1, &parameter));
    TELL_EXACT(sched_getparam(99999999, &parameter));
    static const int policies[] = {SCHED_OTHER, SCHED_FIFO, SCHED_RR, SCHED_BATCH, 4, SCHED_IDLE, 6, 99, -1};
    for (unsigned i = 0; i < sizeof policies / sizeof *policies; i++) {
        TELL_EXACT(sched_get_priority_max(policies[i]));
        TELL_EXACT(sched_get_priority_min(policies[i]));
    }
    parameter.sched_priority = 0;
    TELL_EXACT(sched_setscheduler(0, SCHED_BATCH, &parameter));
    TELL_EXACT(sched_getscheduler(0));
    TELL_EXACT(sched_setscheduler(0, SCHED_IDLE, &parameter));
    TELL_EXACT(sched_getscheduler(0));
    TELL_EXACT(sched_setscheduler(0, SCHED_OTHER, &parameter));
    TELL_EXACT(sched_setscheduler(0, SCHED_FIFO, &parameter));
    TELL_EXACT(sched_setscheduler(0, 99, &parameter));
    TELL_EXACT(sched_setscheduler(0, -1, &parameter));
    TELL_EXACT(sched_setscheduler(99999999, SCHED_OTHER, &parameter));
    TELL_EXACT(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, NULL));
    TELL_EXACT(syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, BAD));
    TELL_EXACT(sched_setparam(0, &parameter));
    parameter.sched_priority = 1;
    TELL_EXACT(sched_setscheduler(0, SCHED_OTHER, &parameter));
    TELL_EXACT(sched_setparam(0, &parameter));
    parameter.sched_priority = 100;
    TELL_EXACT(sched_setscheduler(0, SCHED_RR, &parameter));
    TELL_EXACT(sched_rr_get_interval(0, &interval));
    printf("interval: %d\n", interval.tv_sec == 0 && interval.tv_nsec >= 0);
    TELL_EXACT(syscall(SYS_sched_rr_get_interval, 0, BAD));
    TELL_EXACT(sched_rr_get_interval(-1, &interval));
    TELL_EXACT(sched_rr_get_interval(99999999, &interval));
}

/* Whoever runs this may be nice himself. */
static void niceness(void)
{
    long told = syscall(SYS_getpriority, PRIO_PROCESS, 0);
    printf("%d\n", told >= 1 && told <= 40);
    TELL_EXACT(syscall(SYS_getpriority, PRIO_PROCESS, 99999999));
    TELL_EXACT(syscall(SYS_getpriority, PRIO_PGRP, 99999999));
    TELL_EXACT(syscall(SYS_getpriority, 3, 0));
    TELL_EXACT(syscall(SYS_setpriority, 3, 0, 0));
    TELL_EXACT(syscall(SYS_setpriority, PRIO_PROCESS, 99999999, 0));
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        setsid();
        TELL_EXACT(setpriority(PRIO_PROCESS, 0, 15));
        TELL_EXACT(syscall(SYS_getpriority, PRIO_PROCESS, 0));
        TELL_EXACT(setpriority(PRIO_PGRP, 0, 17));
        TELL_EXACT(syscall(SYS_getpriority, PRIO_PGRP, 0));
        TELL_EXACT(setpriority(PRIO_PROCESS, getpid(), 100));
        TELL_EXACT(syscall(SYS_getpriority, PRIO_PROCESS, getpid()));
        pid_t grandchild = fork();
        if (grandchild == 0) {
            _exit((int)syscall(SYS_getpriority, PRIO_PROCESS, 0));
        }
        int inner;
        waitpid(grandchild, &inner, 0);
        printf("inherited: %d\n", WEXITSTATUS(inner));
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    printf("its parent is as it was: %d\n", syscall(SYS_getpriority, PRIO_PROCESS, 0) == told);
}

static void told(void)
{
    struct sysinfo info;
    memset(&info, 0xff, sizeof info);
    TELL(sysinfo(&info));
    printf("%d %d %d %d %d %lu %lu\n", info.uptime >= 0 && info.uptime<1L << 32, info.totalram> info.freeram,
           info.freeram > 0, info.procs > 0, info.mem_unit == 1, info.totalhigh, info.freehigh);
    TELL(syscall(SYS_sysinfo, BAD));
    TELL_EXACT(personality(0xffffffff));
    TELL_EXACT(personality(0));
    struct utsname names;
    TELL(uname(&names));
    TELL(syscall(SYS_uname, BAD));
    TELL(syscall(SYS_sethostname, names.nodename, -1));
    TELL(syscall(SYS_sethostname, names.nodename, 65));
    TELL(syscall(SYS_setdomainname, names.nodename, 65));
    TELL(syscall(SYS_setdomainname, names.nodename, -1));
}

/* ---- Barriers: two threads that each write one word and read the other never both read the old ones ---- */

#define QUERY    0
#define PRIVATE  8
#define REGISTER 16

static volatile int one;
static volatile int other_word;
static volatile int _Atomic round_number;
static volatile int _Atomic answered;
static volatile int seen_by_other;

static void *fast_side(void *unused)
{
    for (int i = 1; i <= 2000; i++) {
        while (round_number != i) {
            sched_yield();
        }
        one = i;
        __asm__ volatile("" : : : "memory"); /* no fence here: the slow side has them all */
        seen_by_other = other_word;
        answered = i;
    }
    return unused;
}

static void barriers(void)
{
    TELL(syscall(SYS_membarrier, QUERY, 0, 0));
    printf("private: %d\n",
           (syscall(SYS_membarrier, QUERY, 0, 0) & (PRIVATE | REGISTER)) == (PRIVATE | REGISTER));
    TELL_EXACT(syscall(SYS_membarrier, PRIVATE, 0, 0));
    TELL_EXACT(syscall(SYS_membarrier, QUERY, 1, 0));
    TELL_EXACT(syscall(SYS_membarrier, 1 << 30, 0, 0));
    TELL_EXACT(syscall(SYS_membarrier, 3, 0, 0));
    TELL_EXACT(syscall(SYS_membarrier, REGISTER, 0, 0));
    TELL_EXACT(syscall(SYS_membarrier, PRIVATE, 0, 0));
    pthread_t thread;
    int both_old = 0;
    pthread_create(&thread, NULL, fast_side, NULL);
    for (int i = 1; i <= 2000; i++) {
        round_number = i;
        other_word = i;
        syscall(SYS_membarrier, PRIVATE, 0, 0);
        int seen = one;
        while (answered != i) {
            sched_yield();
        }
        both_old += seen != i && seen_by_other != i;
    }
    pthread_join(thread, NULL);
    printf("both saw the old: %d\n", both_old);
}

int main(void)
{
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    affinity_errors();
    fflush(stdout);
    affinity();
    policies();
    fflush(stdout);
    niceness();
    told();
    barriers();
    return 0;
}
