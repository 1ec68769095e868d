/* Signals in masses: to threads on all CPUs none is lost and none comes twice; and a process in each kind of
 * wait is ended by a signal. */
#include "check.h"

#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/select.h>
#include <sys/wait.h>

#define THREADS 4
#define EACH    1000
#define MOVES   100

static atomic_int got[THREADS];
static atomic_int of_process;
static atomic_int wrong;
static atomic_int ready;
static atomic_bool over;
static pthread_t threads[THREADS];
static int numbers[THREADS];
static __thread int me;
static __thread int next;

/* To this thread: values rise by one, so none is lost, doubled, or out of order. */
static void to_thread(int signal, siginfo_t *information, void *context)
{
    (void)signal;
    (void)context;
    if (information->si_value.sival_int != next++) {
        atomic_fetch_add(&wrong, 1);
    }
    atomic_fetch_add(&got[me], 1);
}

static void to_process(int signal, siginfo_t *information, void *context)
{
    (void)signal;
    (void)context;
    (void)information;
    atomic_fetch_add(&of_process, 1);
}

static void *works(void *argument)
{
    unsigned long x = 1;
    me = (int)(long)argument;
    numbers[me] = (int)syscall(SYS_gettid);
    atomic_fetch_add(&ready, 1);
    while (!atomic_load(&over)) {
        if (me & 1) {
            poll(NULL, 0, 1);
        } else {
            x = x * 3 + 1;
            syscall(SYS_getppid);
        }
    }
    return (void *)(x & 0);
}

static void send(int thread, int value)
{
    siginfo_t information;
    memset(&information, 0, sizeof information);
    information.si_code = SI_QUEUE;
    information.si_value.sival_int = value;
    while (syscall(SYS_rt_tgsigqueueinfo, getpid(), numbers[thread], SIGRTMIN, &information) != 0) {
        poll(NULL, 0, 1); /* EAGAIN: as many are pending as may be */
    }
}

static void masses(void)
{
    struct sigaction action = {.sa_sigaction = to_thread, .sa_flags = SA_SIGINFO | SA_RESTART};
    sigaction(SIGRTMIN, &action, NULL);
    action.sa_sigaction = to_process;
    sigaction(SIGRTMIN + 1, &action, NULL);
    sigset_t mask;
    for (long i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, works, (void *)i);
    }
    while (atomic_load(&ready) != THREADS) {
        poll(NULL, 0, 1);
    }
    sigemptyset(&mask);
    sigaddset(&mask, SIGRTMIN + 1);
    pthread_sigmask(SIG_BLOCK, &mask, NULL); /* the others take these */
    for (int i = 0; i < EACH; i++) {
        for (int thread = 0; thread < THREADS; thread++) {
            send(thread, i);
        }
        while (sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i}) != 0) {
            poll(NULL, 0, 1);
        }
    }
    for (int i = 0; i < THREADS; i++) {
        while (atomic_load(&got[i]) < EACH) {
            poll(NULL, 0, 1);
        }
    }
    while (atomic_load(&of_process) < EACH) {
        poll(NULL, 0, 1);
    }
    poll(NULL, 0, 20);
    atomic_store(&over, 1);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        printf("thread %d: %d\n", i, atomic_load(&got[i]));
    }
    printf("process %d, out of order %d\n", atomic_load(&of_process), atomic_load(&wrong));
}

/* ---- A mask that moves about: a process's signal reaches whoever lets it through ---- */

static void *masks_and_unmasks(void *argument)
{
    sigset_t mask;
    (void)argument;
    sigemptyset(&mask);
    sigaddset(&mask, SIGRTMIN + 1);
    while (!atomic_load(&over)) {
        pthread_sigmask(SIG_BLOCK, &mask, NULL);
        syscall(SYS_getppid);
        pthread_sigmask(SIG_UNBLOCK, &mask, NULL);
        syscall(SYS_getppid);
    }
    return NULL;
}

static void moving_masks(void)
{
    atomic_store(&over, 0);
    atomic_store(&of_process, 0);
    for (long i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, masks_and_unmasks, NULL);
    }
    for (int i = 0; i < MOVES; i++) {
        sigqueue(getpid(), SIGRTMIN + 1, (union sigval){.sival_int = i});
        while (atomic_load(&of_process) <= i) {
            sched_yield();
        }
    }
    atomic_store(&over, 1);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    printf("moving masks: %d\n", atomic_load(&of_process));
}

/* ---- Ended in each kind of wait ---- */

static int ends[2];

static void wait_in(int kind)
{
    char byte;
    int word = 0;
    sigset_t none;
    sigemptyset(&none);
    struct pollfd file = {ends[0], POLLIN, 0};
    fd_set files;
    FD_ZERO(&files);
    FD_SET(ends[0], &files);
    struct timespec time = {1000, 0};
    static char much[100000];
    switch (kind) {
    case 0:
        read(ends[0], &byte, 1);
        break;
    case 1:
        while (write(ends[1], much, sizeof much) > 0) {
        }
        break;
    case 2:
        poll(&file, 1, -1);
        break;
    case 3:
        select(ends[0] + 1, &files, NULL, NULL, NULL);
        break;
    case 4:
        syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
        break;
    case 5:
        syscall(SYS_futex, &word, FUTEX_WAIT, 0, &time, NULL, 0);
        break;
    case 6:
        pause();
        break;
    case 7:
        sigsuspend(&none);
        break;
    case 8:
        sigaddset(&none, SIGUSR1);
        sigwaitinfo(&none, NULL);
        break;
    case 9:
        if (fork() == 0) {
            for (;;) {
                if (getppid() == 1 || getppid() == 0) {
                    _exit(0);
                }
                poll(NULL, 0, 5);
            }
        }
        wait(NULL);
        break;
    case 10:
        if (vfork() == 0) {
            for (int i = 0; i < 20; i++) {
                poll(NULL, 0, 5);
            }
            _exit(0);
        }
        break;
    case 11:
        raise(SIGSTOP);
        break;
    case 12:
        for (;;) {
        }
        break;
    default:
        break;
    }
    _exit(99);
}

static void ended_in_waits(int signal)
{
    for (int kind = 0; kind <= 12; kind++) {
        int status = 0;
        if (kind == 11 && signal != SIGKILL) {
            continue; /* who has stopped takes others when he goes on */
        }
        pipe(ends);
        pid_t child = fork();
        if (child == 0) {
            wait_in(kind);
        }
        poll(NULL, 0, 10);
        kill(child, signal);
        waitpid(child, &status, 0);
        printf("wait %d: signal %d exit %d\n", kind, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
               WIFEXITED(status) ? WEXITSTATUS(status) : 0);
        close(ends[0]);
        close(ends[1]);
    }
}

int main(void)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    masses();
    moving_masks();
    ended_in_waits(SIGKILL);
    ended_in_waits(SIGTERM);
    return 0;
}
