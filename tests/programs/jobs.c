/* Stopping and going on, as shells use it: SIGSTOP, SIGTSTP, SIGCONT, wait4 and waitid with WUNTRACED and
 * WCONTINUED, orphaned groups; signals of groups; a parent's death. */
#include "check.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static volatile int *shared;
static volatile int count;

static void counts(int signal)
{
    (void)signal;
    count++;
}

static void set(int signal, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
    sigaction(signal, &action, NULL);
}

static void show(const char *what, pid_t child, int options)
{
    int status = 0;
    pid_t found;
    do {
        found = waitpid(child, &status, options);
    } while (found < 0 && errno == EINTR);
    printf("%s: found %d status %x\n", what, found == child ? 1 : found, status);
}

static void show_id(const char *what, pid_t child, int options)
{
    siginfo_t told;
    memset(&told, 0, sizeof told);
    int result = waitid(P_PID, (id_t)child, &told, options);
    printf("%s: %d signal %d code %d child %d status %d\n", what, result, told.si_signo, told.si_code,
           told.si_pid == child, told.si_status);
}

/* A child that counts without end. */
static pid_t counter(void)
{
    pid_t child = fork();
    if (child == 0) {
        for (;;) {
            shared[0]++;
        }
    }
    while (shared[0] == 0) {
        poll(NULL, 0, 1);
    }
    return child;
}

/* Whether it counts while we wait for so many times 5 ms. */
static int moves(int tries)
{
    int before = shared[0];
    for (int i = 0; i < tries && shared[0] == before; i++) {
        poll(NULL, 0, 5);
    }
    return shared[0] != before;
}

static void stops(int signal)
{
    shared[0] = 0;
    pid_t child = counter();
    setpgid(child, child);
    printf("signal %d: runs %d\n", signal, moves(2000));
    kill(child, signal);
    show_id("looked at", child, WSTOPPED | WNOWAIT);
    show("stopped", child, WUNTRACED);
    show("not again", child, WUNTRACED | WNOHANG);
    printf("stands %d\n", moves(20));
    kill(child, SIGCONT);
    show_id("looked at", child, WCONTINUED | WNOWAIT);
    show("goes on", child, WCONTINUED);
    show("not again", child, WCONTINUED | WNOHANG);
    printf("runs %d\n", moves(2000));
    kill(child, signal);
    show_id("stopped", child, WSTOPPED);
    kill(child, SIGTERM);
    poll(NULL, 0, 20);
    show("a stopped one keeps it", child, WNOHANG);
    kill(child, SIGCONT);
    show("and ends", child, 0);
    child = counter();
    kill(child, SIGSTOP);
    show("stopped", child, WUNTRACED);
    kill(child, SIGKILL);
    show("a stopped one is killed", child, 0);
}

static void masked_stop(void)
{
    sigset_t mask;
    sigset_t pending;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTSTP);
    sigaddset(&mask, SIGCONT);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    raise(SIGTSTP);
    sigpending(&pending);
    printf("pending: %d %d\n", sigismember(&pending, SIGTSTP), sigismember(&pending, SIGCONT));
    raise(SIGCONT);
    sigpending(&pending);
    printf("pending: %d %d\n", sigismember(&pending, SIGTSTP), sigismember(&pending, SIGCONT));
    raise(SIGTSTP);
    sigpending(&pending);
    printf("pending: %d %d\n", sigismember(&pending, SIGTSTP), sigismember(&pending, SIGCONT));
    raise(SIGCONT);
    sigprocmask(SIG_UNBLOCK, &mask, NULL);
    printf("goes on\n");
}

/* A read that a stop interrupts begins anew; a handler of SIGCONT is called. */
static void interrupted(void)
{
    int ends[2];
    int out[2];
    char byte = 0;
    pipe(ends);
    pipe(out);
    pid_t child = fork();
    if (child == 0) {
        set(SIGCONT, counts, SA_RESTART);
        write(out[1], "r", 1);
        byte = 'n';
        long got = read(ends[0], &byte, 1);
        printf("child: read %ld %c, SIGCONT %d\n", got, byte, count);
        _exit(0);
    }
    read(out[0], &byte, 1);
    kill(child, SIGSTOP);
    show("stopped", child, WUNTRACED);
    kill(child, SIGCONT);
    show("goes on", child, WCONTINUED);
    write(ends[1], "y", 1);
    show("ends", child, 0);
    close(ends[0]);
    close(ends[1]);
    close(out[0]);
    close(out[1]);
}

static siginfo_t told;

static void keeps(int signal, siginfo_t *information, void *context)
{
    (void)signal;
    (void)context;
    told = *information;
    count++;
}

static void parent_told(int flags)
{
    struct sigaction action = {.sa_sigaction = keeps, .sa_flags = flags | SA_SIGINFO | SA_RESTART};
    sigaction(SIGCHLD, &action, NULL);
    shared[0] = 0;
    count = 0;
    pid_t child = counter();
    kill(child, SIGSTOP);
    show("stopped", child, WUNTRACED);
    printf("told %d: code %d status %d child %d\n", count, told.si_code, told.si_status,
           told.si_pid == child);
    kill(child, SIGCONT);
    show("goes on", child, WCONTINUED);
    while (!(flags & SA_NOCLDSTOP) && told.si_code != CLD_CONTINUED) {
        poll(NULL, 0, 1); /* the child itself tells, when it runs again */
    }
    printf("told %d: code %d status %d child %d\n", count, told.si_code, told.si_status,
           told.si_pid == child);
    kill(child, SIGKILL);
    show("ended", child, 0);
    printf("told %d: code %d status %d child %d\n", count, told.si_code, told.si_status,
           told.si_pid == child);
    memset(&told, 0, sizeof told);
    signal(SIGCHLD, SIG_DFL);
}

/* A group whose last tie to a shell goes: who has stopped in it gets SIGHUP and SIGCONT. */
static void orphans(void)
{
    int out[2];
    char text[64];
    pipe(out);
    pid_t shell = fork();
    if (shell == 0) {
        setsid();
        pid_t job = fork();
        if (job == 0) {
            setpgid(0, 0);
            set(SIGHUP, counts, 0);
            raise(SIGTSTP);
            dprintf(out[1], "hung up %d\n", count);
            raise(SIGTSTP); /* nobody would let it go on: it does not stop */
            dprintf(out[1], "does not stop\n");
            _exit(0);
        }
        waitpid(job, NULL, WUNTRACED);
        _exit(0);
    }
    close(out[1]);
    show("the shell ends", shell, 0);
    for (long got; (got = read(out[0], text, sizeof text - 1)) > 0;) {
        text[got] = 0;
        printf("%s", text);
    }
    close(out[0]);
}

static void groups(void)
{
    pid_t children[3];
    for (int i = 0; i < 3; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            setpgid(0, i == 0 ? 0 : children[0]);
            for (;;) {
                pause();
            }
        }
        setpgid(children[i], children[0]);
    }
    TELL(kill(-children[0], 0));
    TELL(kill(-32767, 0));
    TELL(kill(-children[0], SIGINT));
    for (int i = 0; i < 3; i++) {
        show("of a group", children[i], 0);
    }
    TELL(kill(-children[0], 0));
}

static void death(void)
{
    int out[2];
    int number = 0;
    char byte;
    pipe(out);
    TELL(prctl(PR_SET_PDEATHSIG, 65));
    TELL(prctl(PR_SET_PDEATHSIG, SIGTERM));
    TELL(prctl(PR_GET_PDEATHSIG, &number));
    TELL(prctl(PR_GET_PDEATHSIG, 8));
    printf("at the parent's death %d\n", number);
    TELL(prctl(PR_SET_PDEATHSIG, 0));
    pid_t parent = fork();
    if (parent == 0) {
        int ready[2];
        pipe(ready);
        pid_t child = fork();
        if (child == 0) {
            prctl(PR_GET_PDEATHSIG, &number);
            dprintf(out[1], "%d", number);
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            write(ready[1], "r", 1);
            for (;;) {
                pause();
            }
        }
        read(ready[0], &byte, 1);
        _exit(0);
    }
    close(out[1]);
    show("the parent ends", parent, 0);
    printf("inherited: %ld", (long)read(out[0], &byte, 1));
    printf(" %c\n", byte);
    printf("its child, too: %ld\n", (long)read(out[0], &byte, 1));
    close(out[0]);
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        int file = memfd_create("shared", 0);
        ftruncate(file, 4096);
        shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
        close(file);
    }
    stops(SIGSTOP);
    stops(SIGTSTP);
    stops(SIGTTIN);
    masked_stop();
    interrupted();
    parent_told(0);
    parent_told(SA_NOCLDSTOP);
    orphans();
    groups();
    death();
    return 0;
}
