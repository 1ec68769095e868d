/* Signals: actions, masks, what is pending, waiting, calls that begin anew; and each error of each call. */
#include "check.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

static volatile int count;
static volatile int order[16];
static siginfo_t last;

static void counts(int signal)
{
    order[count++ & 15] = signal;
}

static void keeps(int signal, siginfo_t *information, void *context)
{
    (void)context;
    counts(signal);
    last = *information;
}

static void set(int signal, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(signal, &action, NULL);
}

static void set_told(int signal, int flags)
{
    struct sigaction action = {.sa_sigaction = keeps, .sa_flags = flags | SA_SIGINFO};
    sigaction(signal, &action, NULL);
}

static void block(int how, int signal)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, signal);
    sigprocmask(how, &mask, NULL);
}

static void show(const char *what)
{
    printf("%s: %d", what, count);
    for (int i = 0; i < count && i < 16; i++) {
        printf(" %d", order[i]);
    }
    printf("\n");
    count = 0;
}

static void show_told(const char *what)
{
    printf("%s: signal %d error %d code %d mine %d user %d value %d\n", what, last.si_signo, last.si_errno,
           last.si_code, last.si_pid == getpid(), last.si_uid == getuid(), last.si_value.sival_int);
    memset(&last, 0, sizeof last);
    count = 0;
}

/* As the kernel has it. */
struct action {
    void (*handler)(int);
    unsigned long flags;
    void *restorer;
    unsigned long mask;
};

static void errors(void)
{
    struct action action = {.handler = counts};
    unsigned long mask = 1;
    siginfo_t information = {.si_code = SI_QUEUE};
    void *nowhere = (void *)8;
    TELL(syscall(SYS_rt_sigaction, 10, NULL, &action, 4));
    TELL(syscall(SYS_rt_sigaction, 0, NULL, &action, 8));
    TELL(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8));
    TELL(syscall(SYS_rt_sigaction, -1, NULL, NULL, 8));
    TELL(syscall(SYS_rt_sigaction, SIGKILL, NULL, NULL, 8));
    TELL(syscall(SYS_rt_sigaction, SIGKILL, &action, NULL, 8));
    TELL(syscall(SYS_rt_sigaction, SIGSTOP, &action, NULL, 8));
    TELL(syscall(SYS_rt_sigaction, 10, nowhere, NULL, 8));
    TELL(syscall(SYS_rt_sigaction, 10, NULL, nowhere, 8));
    TELL(syscall(SYS_rt_sigprocmask, 3, NULL, NULL, 8));
    TELL(syscall(SYS_rt_sigprocmask, 3, &mask, NULL, 8));
    TELL(syscall(SYS_rt_sigprocmask, 0, nowhere, NULL, 8));
    TELL(syscall(SYS_rt_sigprocmask, 0, NULL, nowhere, 8));
    TELL(syscall(SYS_rt_sigprocmask, 0, &mask, NULL, 16));
    TELL(syscall(SYS_rt_sigpending, &mask, 16));
    TELL(syscall(SYS_rt_sigpending, nowhere, 8));
    TELL(syscall(SYS_rt_sigpending, &mask, 4));
    TELL(syscall(SYS_rt_sigsuspend, &mask, 4));
    TELL(syscall(SYS_rt_sigsuspend, nowhere, 8));
    TELL(syscall(SYS_rt_sigsuspend, NULL, 8));
    TELL(syscall(SYS_rt_sigtimedwait, &mask, NULL, NULL, 4));
    TELL(syscall(SYS_rt_sigtimedwait, nowhere, NULL, NULL, 8));
    TELL(syscall(SYS_rt_sigtimedwait, &mask, NULL, nowhere, 8));
    struct timespec time = {0, 1000000000};
    TELL(syscall(SYS_rt_sigtimedwait, &mask, NULL, &time, 8));
    time = (struct timespec){0, 0};
    TELL(syscall(SYS_rt_sigtimedwait, &mask, NULL, &time, 8));
    time = (struct timespec){0, 1000000};
    TELL(syscall(SYS_rt_sigtimedwait, &mask, NULL, &time, 8));
    TELL(syscall(SYS_rt_sigqueueinfo, getpid(), 10, nowhere));
    TELL(syscall(SYS_rt_sigqueueinfo, getpid(), 65, &information));
    TELL(syscall(SYS_rt_sigqueueinfo, 32767, 0, &information));
    TELL(syscall(SYS_rt_sigqueueinfo, -1, 0, &information));
    TELL(syscall(SYS_rt_sigqueueinfo, getpid(), 0, &information));
    information.si_code = SI_USER;
    TELL(syscall(SYS_rt_sigqueueinfo, getppid(), 0, &information));
    information.si_code = SI_TKILL;
    TELL(syscall(SYS_rt_sigqueueinfo, getppid(), 0, &information));
    TELL(syscall(SYS_rt_tgsigqueueinfo, 0, getpid(), 0, &information));
    TELL(syscall(SYS_rt_tgsigqueueinfo, getpid(), 0, 0, &information));
    TELL(syscall(SYS_rt_tgsigqueueinfo, getpid(), 32767, 0, &information));
    TELL(syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), 65, &information));
    TELL(syscall(SYS_rt_tgsigqueueinfo, getpid(), getpid(), 0, &information));
    TELL(kill(getpid(), 65));
    TELL(kill(getpid(), -1));
    TELL(kill(32767, 0));
    TELL(kill(getpid(), 0));
    TELL(syscall(SYS_tgkill, getpid(), getpid(), 65));
    TELL(syscall(SYS_restart_syscall));
    struct pollfd none = {-1, 0, 0};
    TELL(syscall(SYS_ppoll, &none, 1, NULL, &mask, 4));
    TELL(syscall(SYS_ppoll, &none, 1, NULL, nowhere, 8));
    TELL(syscall(SYS_pselect6, 0, NULL, NULL, NULL, NULL, nowhere));
}

static void actions(void)
{
    struct sigaction action;
    set(SIGUSR1, counts, 0);
    kill(getpid(), SIGUSR1);
    show("one");
    sigaction(SIGUSR1, NULL, &action);
    printf("flags %x, mine %d\n", action.sa_flags & 0x7bffffff, action.sa_handler == counts);
    struct action all = {.handler = counts, .flags = ~0UL & ~0x04000000UL, .mask = ~0UL};
    struct action told;
    syscall(SYS_rt_sigaction, SIGUSR2, &all, NULL, 8);
    syscall(SYS_rt_sigaction, SIGUSR2, NULL, &told, 8);
    printf("flags %lx mask %lx\n", told.flags, told.mask);
    set(SIGUSR1, counts, SA_RESETHAND);
    kill(getpid(), SIGUSR1);
    sigaction(SIGUSR1, NULL, &action);
    printf("once: %d\n", action.sa_handler == SIG_DFL);
    show("once");
    set(SIGUSR1, SIG_IGN, 0);
    kill(getpid(), SIGUSR1);
    show("ignored");
    block(SIG_BLOCK, SIGUSR1);
    kill(getpid(), SIGUSR1);
    set(SIGUSR1, counts, 0);
    block(SIG_UNBLOCK, SIGUSR1);
    show("masked while ignored");
    block(SIG_BLOCK, SIGUSR1);
    kill(getpid(), SIGUSR1);
    set(SIGUSR1, SIG_IGN, 0);
    set(SIGUSR1, counts, 0);
    block(SIG_UNBLOCK, SIGUSR1);
    show("thrown away");
    kill(getpid(), SIGCHLD);
    kill(getpid(), SIGWINCH);
    kill(getpid(), SIGURG);
    kill(getpid(), SIGCONT);
    show("nothing");
}

static void pending(void)
{
    sigset_t set_of;
    set(SIGUSR1, counts, 0);
    set(SIGUSR2, counts, 0);
    set_told(SIGRTMIN, 0);
    set_told(SIGRTMIN + 1, 0);
    block(SIG_BLOCK, SIGUSR1);
    block(SIG_BLOCK, SIGUSR2);
    block(SIG_BLOCK, SIGRTMIN);
    block(SIG_BLOCK, SIGRTMIN + 1);
    for (int i = 0; i < 3; i++) {
        kill(getpid(), SIGUSR2);
        kill(getpid(), SIGUSR1);
        sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = 10 + i});
        sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = i});
    }
    sigpending(&set_of);
    for (int i = 1; i < 65; i++) {
        if (sigismember(&set_of, i) == 1) {
            printf("pending %d\n", i);
        }
    }
    pid_t child = fork();
    if (child == 0) {
        sigpending(&set_of);
        printf("child: %d %d\n", sigismember(&set_of, SIGUSR1), sigismember(&set_of, SIGRTMIN));
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    sigset_t rt;
    siginfo_t information;
    struct timespec none = {0, 0};
    sigemptyset(&rt);
    sigaddset(&rt, SIGRTMIN + 1);
    while (sigtimedwait(&rt, &information, &none) > 0) {
        printf("taken %d code %d value %d\n", information.si_signo, information.si_code,
               information.si_value.sival_int);
    }
    sigset_t nothing;
    sigemptyset(&nothing);
    sigprocmask(SIG_SETMASK, &nothing, NULL);
    show("all at once");
    show_told("last");
    raise(SIGRTMIN);
    show_told("raise");
    kill(getpid(), SIGRTMIN);
    show_told("kill");
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 77});
    show_told("sigqueue");
}

/* ---- Handlers in handlers, and masks ---- */

static void nests(int signal)
{
    counts(signal);
    if (count < 3) {
        raise(signal);
        order[count++ & 15] = 100 + signal;
    }
}

static sigset_t seen;

static void sees_mask(int signal)
{
    (void)signal;
    sigprocmask(SIG_BLOCK, NULL, &seen);
}

static void masks(void)
{
    set(SIGUSR1, nests, 0);
    raise(SIGUSR1);
    show("deferred");
    set(SIGUSR1, nests, SA_NODEFER);
    raise(SIGUSR1);
    show("not deferred");
    struct sigaction action = {.sa_handler = sees_mask};
    sigaddset(&action.sa_mask, SIGUSR2);
    sigaddset(&action.sa_mask, SIGKILL);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    printf("in the handler: %d %d %d\n", sigismember(&seen, SIGUSR1), sigismember(&seen, SIGUSR2),
           sigismember(&seen, SIGKILL));
    sigprocmask(SIG_BLOCK, NULL, &seen);
    printf("after: %d %d\n", sigismember(&seen, SIGUSR1), sigismember(&seen, SIGUSR2));
    sigfillset(&seen);
    sigprocmask(SIG_SETMASK, &seen, NULL);
    unsigned long raw;
    syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &raw, 8);
    printf("all: %d %d\n", (int)(raw >> (SIGKILL - 1) & 1), (int)(raw >> (SIGSTOP - 1) & 1));
    sigemptyset(&seen);
    sigprocmask(SIG_SETMASK, &seen, NULL);
}

/* ---- Waiting ---- */

static void moment(void)
{
    struct timespec time = {0, 5000000};
    syscall(SYS_ppoll, NULL, 0, &time, NULL, 8);
}

/* A child that sends the signal again and again, as nobody knows when this process waits. */
static pid_t hammer(int signal)
{
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        for (;;) {
            moment();
            kill(parent, signal);
        }
    }
    return child;
}

static void some(const char *what)
{
    printf("%s: %d\n", what, count > 0);
    count = 0;
}

static void end(pid_t child)
{
    kill(child, SIGKILL);
    while (waitpid(child, NULL, 0) < 0) {
    }
    count = 0;
}

static void waits(void)
{
    sigset_t mask;
    sigset_t awaited;
    siginfo_t information;
    pid_t child;
    set(SIGUSR1, counts, 0);
    block(SIG_BLOCK, SIGUSR1);
    sigprocmask(SIG_BLOCK, NULL, &mask);
    sigdelset(&mask, SIGUSR1);
    child = hammer(SIGUSR1);
    TELL(sigsuspend(&mask));
    some("sigsuspend");
    end(child);
    sigprocmask(SIG_BLOCK, NULL, &awaited);
    printf("masked again: %d\n", sigismember(&awaited, SIGUSR1));
    kill(getpid(), SIGUSR1);
    TELL(sigsuspend(&mask));
    show("sigsuspend at once");
    TELL(ppoll(NULL, 0, &(struct timespec){0, 0}, &mask));
    show("ppoll without a signal");
    child = hammer(SIGUSR1);
    TELL(ppoll(NULL, 0, NULL, &mask));
    some("ppoll");
    TELL(pselect(0, NULL, NULL, NULL, NULL, &mask));
    some("pselect");
    sigemptyset(&awaited);
    sigaddset(&awaited, SIGUSR1);
    TELL_EXACT(sigwaitinfo(&awaited, &information));
    printf("told: %d %d %d\n", information.si_signo, information.si_code, information.si_pid == child);
    show("sigwaitinfo");
    end(child);
    set(SIGUSR1, SIG_IGN, 0);
    set(SIGUSR1, counts, 0);
    set(SIGUSR2, counts, SA_RESTART);
    child = hammer(SIGUSR2);
    TELL_EXACT(sigwaitinfo(&awaited, &information));
    some("another signal");
    TELL(pause());
    some("pause");
    end(child);
    block(SIG_UNBLOCK, SIGUSR1);
}

/* ---- Calls that are interrupted ---- */

static int full[2];

/* The third time it gives what is waited for. */
static void gives(int signal)
{
    (void)signal;
    if (++count == 3) {
        write(full[1], "x", 1);
    }
}

/* Sends some signals, and then has something to read. */
static pid_t signals_and_byte(int signal)
{
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < 5; i++) {
            moment();
            kill(parent, signal);
        }
        write(full[1], "x", 1);
        _exit(0);
    }
    return child;
}

static void restarts(void)
{
    char byte;
    pid_t child;
    pipe(full);
    struct pollfd awaited = {full[0], POLLIN, 0};
    set(SIGUSR1, counts, 0);
    child = hammer(SIGUSR1);
    TELL(read(full[0], &byte, 1));
    some("without SA_RESTART");
    TELL(poll(&awaited, 1, 100000));
    some("poll");
    int word = 0;
    TELL(syscall(SYS_futex, &word, 0, 0, NULL, NULL, 0));
    some("futex");
    TELL(waitpid(child, NULL, 0));
    some("waitpid");
    end(child);
    set(SIGUSR1, gives, SA_RESTART);
    child = hammer(SIGUSR1);
    TELL_EXACT(read(full[0], &byte, 1));
    some("with SA_RESTART");
    TELL(poll(&awaited, 1, 100000));
    some("poll never begins anew");
    struct timespec time = {100, 0};
    TELL(syscall(SYS_futex, &word, 0, 0, &time, NULL, 0));
    some("futex with a time");
    end(child);
    set(SIGUSR1, SIG_IGN, 0);
    child = signals_and_byte(SIGUSR1);
    TELL_EXACT(poll(&awaited, 1, 100000));
    read(full[0], &byte, 1);
    end(child);
    child = signals_and_byte(SIGCONT);
    TELL_EXACT(poll(&awaited, 1, 100000));
    end(child);
    close(full[0]);
    close(full[1]);
}

/* ---- Pipes and children ---- */

static void pipes(void)
{
    int ends[2];
    pipe(ends);
    close(ends[0]);
    set_told(SIGPIPE, 0);
    TELL(write(ends[1], "x", 1));
    show_told("SIGPIPE");
    set(SIGPIPE, SIG_IGN, 0);
    TELL(write(ends[1], "x", 1));
    set(SIGPIPE, SIG_DFL, 0);
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        write(ends[1], "x", 1);
        _exit(0);
    }
    waitpid(child, &status, 0);
    printf("ended by %d\n", WTERMSIG(status));
    close(ends[1]);
}

static void child_of(int way)
{
    pid_t child = fork();
    if (child == 0) {
        if (way == 1) {
            kill(getpid(), SIGTERM);
        }
        _exit(5);
    }
    int status;
    pid_t found;
    do {
        found = waitpid(child, &status, 0);
    } while (found < 0 && errno == EINTR);
    printf("found %d error %d\n", found == child, found < 0 ? errno : 0);
    printf("told: signal %d code %d child %d status %d\n", last.si_signo, last.si_code, last.si_pid == child,
           last.si_status);
    memset(&last, 0, sizeof last);
    count = 0;
}

static void children(void)
{
    set_told(SIGCHLD, 0);
    child_of(0);
    child_of(1);
    set_told(SIGCHLD, SA_NOCLDWAIT);
    child_of(0);
    set(SIGCHLD, SIG_IGN, 0);
    child_of(0);
    set(SIGCHLD, SIG_DFL, 0);
    child_of(0);
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    errors();
    actions();
    pending();
    masks();
    waits();
    restarts();
    pipes();
    children();
    return 0;
}
