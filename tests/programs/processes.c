/* fork, vfork, wait4, waitid, groups, kill: what each answers, for two kernels to be compared. */
#include "check.h"

#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

static void end_with(int status)
{
    syscall(SYS_exit_group, status);
}

static pid_t child_that_ends_with(int status)
{
    pid_t child = fork();
    if (child == 0) {
        end_with(status);
    }
    return child;
}

static pid_t child_that_stays(void)
{
    pid_t child = fork();
    if (child == 0) {
        for (;;) {
        }
    }
    return child;
}

static void tell_status(const char *what, pid_t wanted, pid_t got, int status)
{
    printf("%s: %s, exited %d (%d), signal %d\n", what, wanted == got ? "the child" : "another",
           WIFEXITED(status), WEXITSTATUS(status), WTERMSIG(status));
}

static void ends(void)
{
    int status = -1;
    pid_t child = child_that_ends_with(42);
    tell_status("wait", child, wait(&status), status);
    child = child_that_ends_with(300);
    tell_status("waitpid", child, waitpid(child, &status, 0), status);
    child = child_that_ends_with(1);
    pid_t other = child_that_ends_with(2);
    tell_status("the other first", other, waitpid(other, &status, 0), status);
    tell_status("then the one", child, waitpid(-1, &status, 0), status);
    child = fork();
    if (child == 0) {
        *(volatile int *)0 = 1;
    }
    waitpid(child, &status, 0);
    printf("a fault: signal %d\n", WTERMSIG(status));
    child = fork();
    if (child == 0) {
        abort();
    }
    waitpid(child, &status, 0);
    printf("abort: signal %d\n", WTERMSIG(status));
    TELL_EXACT(wait(NULL));
    TELL_EXACT(waitpid(1, NULL, 0));
    TELL_EXACT(waitpid(-1, NULL, 0x100));
    TELL_EXACT(syscall(SYS_wait4, INT_MIN, NULL, 0, NULL));
}

static void killing(void)
{
    int status;
    pid_t child = child_that_stays();
    TELL_EXACT(waitpid(child, &status, WNOHANG));
    TELL_EXACT(kill(child, 0));
    TELL_EXACT(kill(child, SIGCHLD));
    TELL_EXACT(kill(child, 65));
    TELL_EXACT(kill(child, -1));
    TELL_EXACT(kill(child, SIGTERM));
    tell_status("killed", child, waitpid(child, &status, 0), status);
    TELL_EXACT(kill(child, 0));
    child = child_that_stays();
    TELL_EXACT(syscall(SYS_tkill, child, SIGKILL));
    tell_status("tkill", child, waitpid(child, &status, 0), status);
    child = child_that_stays();
    TELL_EXACT(syscall(SYS_tgkill, child, getpid(), SIGKILL));
    TELL_EXACT(syscall(SYS_tgkill, child, child, 65));
    TELL_EXACT(syscall(SYS_tgkill, child, child, SIGUSR1));
    tell_status("tgkill", child, waitpid(child, &status, 0), status);
    TELL_EXACT(syscall(SYS_tkill, 0, SIGKILL));
    TELL_EXACT(syscall(SYS_tgkill, -1, 1, SIGKILL));
    TELL_EXACT(kill(INT_MIN, 0));
    child = child_that_stays();
    TELL_EXACT(setpgid(child, 0));
    TELL_EXACT(getpgid(child) == child);
    TELL_EXACT(kill(-child, SIGHUP));
    tell_status("its group", child, waitpid(-child, &status, 0), status);
    TELL_EXACT(kill(-child, SIGHUP));
}

static void by_id(void)
{
    siginfo_t info;
    pid_t child = child_that_ends_with(7);
    memset(&info, 0xff, sizeof info);
    TELL_EXACT(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT));
    printf("%d %d %d %d %d\n", info.si_signo, info.si_errno, info.si_code, info.si_pid == child,
           info.si_status);
    memset(&info, 0xff, sizeof info);
    TELL_EXACT(waitid(P_ALL, 0, &info, WEXITED));
    printf("%d %d %d %d %d\n", info.si_signo, info.si_errno, info.si_code, info.si_pid == child,
           info.si_status);
    TELL_EXACT(waitid(P_ALL, 0, &info, WEXITED));
    TELL_EXACT(waitid(P_ALL, 0, &info, 0));
    TELL_EXACT(waitid(P_PID, 0, &info, WEXITED));
    TELL_EXACT(waitid(77, 1, &info, WEXITED));
    child = child_that_stays();
    memset(&info, 0xff, sizeof info);
    TELL_EXACT(waitid(P_PID, (id_t)child, &info, WEXITED | WNOHANG));
    printf("%d %d\n", info.si_signo, info.si_pid);
    kill(child, SIGKILL);
    TELL_EXACT(waitid(P_PGID, 0, &info, WEXITED));
    printf("%d %d %d %d\n", info.si_signo, info.si_code, info.si_pid == child, info.si_status);
}

/* Each has a copy: writes of one are not seen by the other. */
static void copies(void)
{
    static int counted = 1;
    int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int status;
    *shared = 10;
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        counted++;
        *shared += 5;
        end_with((getppid() == parent) * 100 + (getpid() != parent) * 50 + counted + *shared);
    }
    counted += 10;
    waitpid(child, &status, 0);
    printf("copies: the child %d, the parent %d and %d\n", WEXITSTATUS(status), counted, *shared);
    double before = 1.0 / 3;
    child = fork();
    if (child == 0) {
        end_with(before == 1.0 / 3 && (int)(before * 300) == 100);
    }
    waitpid(child, &status, 0);
    printf("numbers: %d\n", WEXITSTATUS(status));
}

static void borrowed(void)
{
    static volatile int seen;
    int status;
    pid_t child = vfork();
    if (child == 0) {
        seen = 33;
        _exit(5);
    }
    int now = seen;
    waitpid(child, &status, 0);
    printf("vfork: %d, exit %d\n", now, WEXITSTATUS(status));
}

static void groups(void)
{
    TELL_EXACT(getpgid(0) == getpgrp());
    TELL_EXACT(setpgid(0, -1));
    TELL_EXACT(setpgid(-1, 0));
    TELL_EXACT(getpgid(99999999));
    TELL_EXACT(getsid(99999999));
    pid_t child = fork();
    int status;
    if (child == 0) {
        pid_t old = getsid(0);
        int bits = setsid() == getpid();
        bits |= (getsid(0) == getpid() && getpgrp() == getpid() && old != getpid()) << 1;
        bits |= (setsid() == -1) << 2;
        bits |= (setpgid(0, 0) == -1) << 3;
        end_with(bits);
    }
    waitpid(child, &status, 0);
    printf("a session: %d\n", WEXITSTATUS(status));
}

static void names(void)
{
    char name[16];
    memset(name, 'x', sizeof name);
    TELL(prctl(PR_SET_NAME, "a name that is too long"));
    TELL(prctl(PR_GET_NAME, name));
    printf("%s\n", name);
    TELL(prctl(PR_SET_NAME, 1));
    TELL(prctl(PR_GET_NAME, 1));
    TELL(prctl(0x7ffffff));
}

static void refused(void)
{
    TELL_EXACT(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0));
    TELL_EXACT(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0));
    TELL_EXACT(syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND, 0, 0, 0, 0));
    uint64_t arguments[16] = {0};
    TELL_EXACT(syscall(SYS_clone3, arguments, 63));
    TELL_EXACT(syscall(SYS_clone3, arguments, 5000));
    TELL_EXACT(syscall(SYS_clone3, 1, 64));
    arguments[11] = 1;
    TELL_EXACT(syscall(SYS_clone3, arguments, 96));
    arguments[11] = 0;
    arguments[4] = 65;
    TELL_EXACT(syscall(SYS_clone3, arguments, 88));
    arguments[4] = 0;
    arguments[0] = 1;
    TELL_EXACT(syscall(SYS_clone3, arguments, 88));
    arguments[0] = 0;
    arguments[5] = 0x1000;
    TELL_EXACT(syscall(SYS_clone3, arguments, 88));
}

/* A child of a child that is left alone does not disturb; it ends by itself. */
static void orphans(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        pid_t parent = getpid();
        if (fork() == 0) {
            while (getppid() == parent) {
            }
            end_with(0);
        }
        end_with(9);
    }
    tell_status("left alone", child, waitpid(child, &status, 0), status);
    TELL_EXACT(wait(NULL));
}

static void many(void)
{
    int sum = 0;
    for (int i = 0; i < 200; i++) {
        int status;
        pid_t child = child_that_ends_with(i % 100);
        sum += waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : 1000000;
    }
    printf("200 one after the other: %d\n", sum);
    sum = 0;
    for (int i = 0; i < 40; i++) {
        child_that_ends_with(1);
    }
    for (int i = 0; i < 40; i++) {
        int status;
        sum += wait(&status) > 0 ? WEXITSTATUS(status) : 1000000;
    }
    printf("40 at once: %d\n", sum);
}

/* Of a number that is no signal the parent is told nothing, though it is waited for. */
static void no_signal(void)
{
    int status = 0;
    long child = syscall(SYS_clone, 200, 0, 0, 0, 0);
    if (child == 0) {
        _exit(3);
    }
    printf("no signal: %d", waitpid((pid_t)child, &status, __WALL) == child);
    printf(" %x\n", status);
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    no_signal();
    ends();
    killing();
    by_id();
    copies();
    borrowed();
    groups();
    names();
    refused();
    orphans();
    many();
    return 0;
}
