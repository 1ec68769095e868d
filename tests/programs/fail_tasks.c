/* Every allocation inside the calls of processes, signals, timers and futexes fails in turn; see fail_nth.h.
 * What a call has made where it was done (a child, a thread) is waited for. */
#include "fail_nth.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#define STACK_BYTES 65536
#define FAILED      70 /* a program that was executed says that allocations had failed; */
#define NOT_FAILED  71 /* none had */
#define CHANGED     72 /* execve() failed, and something was changed */

static char stack[STACK_BYTES] __attribute__((aligned(16)));
static char bytes[PAGE];
static char *program;
static volatile int cleared; /* by the end of a thread */
static int self;

#define CALL(name, ...)                                                                                      \
    static long name(void)                                                                                   \
    {                                                                                                        \
        return __VA_ARGS__;                                                                                  \
    }

/* ---- Processes ---- */

static void reap(long child)
{
    waitpid((int)child, NULL, 0);
}

static long end_child(long answer)
{
    if (answer == 0) {
        syscall(SYS_exit_group, 0);
    }
    return answer;
}

CALL(fork_it, end_child(syscall(SYS_fork)))
CALL(clone_it, end_child(syscall(SYS_clone, SIGCHLD | CLONE_FS | CLONE_FILES, 0, 0, 0, 0)))

static long clone_3(void)
{
    uint64_t how[8] = {[4] = SIGCHLD};
    return end_child(syscall(SYS_clone3, how, sizeof how));
}

static int *pidfd; /* in shared memory, as no page is to be copied only to be written to */

static long clone_handle(void)
{
    return end_child(syscall(SYS_clone, SIGCHLD | CLONE_PIDFD, 0, pidfd, 0, 0));
}

static void reap_handle(long child)
{
    reap(child);
    close(*pidfd);
}

static int nothing(void *unused)
{
    (void)unused;
    return 0;
}

/* With the memory of this process, which waits. */
CALL(clone_vfork, clone(nothing, stack + STACK_BYTES, SIGCHLD | CLONE_VM | CLONE_VFORK, NULL))

static long clone_thread(void)
{
    cleared = 1;
    return clone(nothing, stack + STACK_BYTES,
                 CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                     CLONE_CHILD_CLEARTID,
                 NULL, NULL, NULL, &cleared);
}

static void join(long thread)
{
    for (int was; thread > 0 && (was = cleared) != 0;) {
        syscall(SYS_futex, &cleared, FUTEX_WAIT, was, NULL, NULL, 0);
    }
}

CALL(open_handle, syscall(SYS_pidfd_open, self, 0))

static void close_it(long answer)
{
    close((int)answer);
}

/* ---- Programs ---- */

/* In the child: says how it went by the status. */
static void execute(unsigned long nth, bool rest, const char *path)
{
    char *arguments[] = {program, "executed", NULL};
    struct seen before = see();
    plan(nth, rest);
    syscall(SYS_execve, path, arguments, (char *[]){NULL});
    int error = errno;
    _exit(plan(0, false) > 0 && !differs("execve", nth, "failed", before, see()) ? error : CHANGED);
}

/* How it ended: FAILED or NOT_FAILED if it was executed; else its error, or 128 + a signal, as what fails
 * when the old program has gone can only end the process. */
static int try_execute(unsigned long nth, bool rest, const char *path)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        execute(nth, rest, path);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void try_program(const char *name, const char *path)
{
    unsigned long nth = 0;
    int status = try_execute(0, false, path);
    bool good = status == NOT_FAILED;
    for (int rest = 0; fails_here && rest < 2; rest++) {
        nth = 0;
        do {
            status = try_execute(++nth, rest, path);
            bool right = status == ENOMEM || status == FAILED || status == 128 + SIGKILL ||
                         status == 128 + SIGSEGV || (status == NOT_FAILED && nth > 1);
            if (!right) {
                printf("%s, allocation %lu%s: ended with %d\n", name, nth, rest ? " on" : "", status);
            }
            good = good && right;
            failures += status != NOT_FAILED;
        } while (status != NOT_FAILED && nth < MOST);
    }
    printf("%s: %s\n", name, good ? "good" : "wrong");
}

/* The end of a process needs no memory: its status is the one that it says. */
static void try_end(long number)
{
    bool good = true;
    for (unsigned long nth = 1; nth < 6; nth++) {
        int status = 0;
        pid_t child = fork();
        if (child == 0) {
            static struct {
                void *list;
                long offset;
                void *pending;
            } robust = {&robust, 0, NULL};
            syscall(SYS_set_robust_list, &robust, sizeof robust);
            syscall(SYS_set_tid_address, &cleared);
            plan(nth, true);
            syscall(number, 7);
        }
        waitpid(child, &status, 0);
        good = good && WIFEXITED(status) && WEXITSTATUS(status) == 7;
    }
    printf("end by %ld: %s\n", number, good ? "good" : "wrong");
}

/* ---- Signals, timers, waits ---- */

static long queue(void)
{
    siginfo_t told = {.si_code = SI_QUEUE};
    return syscall(SYS_rt_sigqueueinfo, self, SIGRTMIN + 1, &told);
}

static void take(long answer)
{
    uint64_t set = 1UL << (SIGRTMIN + 1 - 1) | 1UL << (SIGUSR1 - 1);
    struct timespec none = {0, 0};
    (void)answer;
    syscall(SYS_rt_sigtimedwait, &set, NULL, &none, 8);
}

CALL(send_signal, syscall(SYS_kill, self, SIGUSR1))

static int timer;

static long create_timer(void)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
    return syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer);
}

static void delete_timer(long answer)
{
    (void)answer;
    syscall(SYS_timer_delete, timer);
}

static long wait_for_word(void)
{
    struct timespec soon = {0, 1};
    long answer = syscall(SYS_futex, &self, FUTEX_WAIT, self, &soon, NULL, 0);
    return answer == -1 && errno == ETIMEDOUT ? 0 : answer;
}

static long sleep_a_little(void)
{
    struct timespec soon = {0, 1};
    return syscall(SYS_nanosleep, &soon, NULL);
}

CALL(wake_words, syscall(SYS_futex, &self, FUTEX_WAKE, 1, NULL, NULL, 0))
CALL(ask_cpus, syscall(SYS_sched_getaffinity, 0, sizeof bytes, bytes))
CALL(set_cpus, syscall(SYS_sched_setaffinity, 0, 128, bytes))
CALL(ask_limit, syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, bytes))
CALL(name_it, syscall(SYS_prctl, PR_SET_NAME, "name", 0, 0, 0))
CALL(new_session, syscall(SYS_getsid, 0))
CALL(random_bytes, syscall(SYS_getrandom, bytes, sizeof bytes, 0))
CALL(barrier, syscall(SYS_membarrier, 1, 0, 0))
CALL(interval, syscall(SYS_setitimer, ITIMER_REAL, bytes, NULL))
CALL(alternate, syscall(SYS_sigaltstack, NULL, bytes))

static const struct attempt attempts[] = {
    {"fork", fork_it, reap, EAGAIN, 0},
    {"clone", clone_it, reap, EAGAIN, 0},
    {"clone3", clone_3, reap, EAGAIN, 0},
    {"clone, with a handle", clone_handle, reap_handle, EAGAIN, 0},
    {"clone, as vfork", clone_vfork, reap, EAGAIN, 0},
    {"clone, a thread", clone_thread, join, EAGAIN, 0},
    {"pidfd_open", open_handle, close_it, 0, 0},
    {"rt_sigqueueinfo", queue, take, EAGAIN, 0},
    {"kill", send_signal, take, EAGAIN, MAY_ALLOCATE_NOTHING},
    {"timer_create", create_timer, delete_timer, EAGAIN, 0},
    {"futex, waits", wait_for_word, NULL, 0, MAY_ALLOCATE_NOTHING},
    {"futex, wakes", wake_words, NULL, 0, MAY_ALLOCATE_NOTHING},
    {"nanosleep", sleep_a_little, NULL, 0, MAY_ALLOCATE_NOTHING},
    {"sched_getaffinity", ask_cpus, NULL, 0, 0},
    {"sched_setaffinity", set_cpus, NULL, 0, 0},
    {"prlimit64", ask_limit, NULL, 0, MAY_ALLOCATE_NOTHING},
    {"prctl", name_it, NULL, 0, MAY_ALLOCATE_NOTHING},
    {"getsid", new_session, NULL, 0, MAY_ALLOCATE_NOTHING},
    {"getrandom", random_bytes, NULL, 0, MAY_ALLOCATE_NOTHING},
    {"membarrier", barrier, NULL, 0, MAY_ALLOCATE_NOTHING},
    {"sigaltstack", alternate, NULL, 0, MAY_ALLOCATE_NOTHING},
    {"setitimer", interval, NULL, 0, MAY_ALLOCATE_NOTHING},
};

static void write_script(void)
{
    int file = open("script", O_CREAT | O_TRUNC | O_WRONLY, 0755);
    dprintf(file, "#!%s executed\n", program);
    close(file);
}

int main(int count, char **arguments)
{
    static char path[512];
    if (count > 1 && strcmp(arguments[1], "executed") == 0) {
        return plan(0, false) > 0 ? FAILED : NOT_FAILED;
    }
    if (begin(count, arguments) != 0) {
        return 1;
    }
    path[readlink("/proc/self/exe", path, sizeof path - 1)] = 0;
    program = path;
    self = (int)getpid();
    pidfd = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    uint64_t blocked = 1UL << (SIGRTMIN + 1 - 1) | 1UL << (SIGUSR1 - 1);
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, &blocked, NULL, 8);
    ask_cpus();
    for (unsigned i = 0; i < sizeof attempts / sizeof *attempts; i++) {
        if (attempts[i].call == set_cpus) {
            memset(bytes, 0, sizeof bytes);
            ask_cpus();
        }
        try_call(&attempts[i]);
        memset(bytes, 0, sizeof bytes);
    }
    write_script();
    try_program("execve", program);
    try_program("execve, a script", "script");
    unlink("script");
    try_end(SYS_exit_group);
    try_end(SYS_exit);
    return finish(count);
}
